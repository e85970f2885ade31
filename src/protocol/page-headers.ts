// How a page of words alone is answered, to whomever it is shown.

/** Nobody frames it, opens it or keeps it, and it tells nobody where it was. `policy`: its `Content-Security-Policy`. */
export function headersOfPage(page: string, policy: string): Record<string, string | number> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(page),
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  }
}
