/** A URL in words, without query and fragment: they may hold what is nobody else's. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname === '/' ? '' : url.pathname}`
}
