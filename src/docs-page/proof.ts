// What proves who the person at this page is: in memory alone, on requests to this server alone.

/** As `fetch`, with what proves who asks. Calls are sent once. */
export type Send = (url: URL, init?: RequestInit) => Promise<Response>

export interface Proof {
  /** Whether anything was shown that is to prove who asks. */
  isSet(): boolean
  send: Send
  /** From now on. */
  set(send: Send): void
}

export function createProof(): Proof {
  let current: Send | undefined
  return {
    isSet: () => current !== undefined,
    send: (url, init) => (current && url.origin === location.origin ? current : fetch)(url, init),
    set: (send) => void (current = send),
  }
}

export function withToken(token: string): Send {
  return (url, init) => fetch(url, withHeaders(init, { authorization: `Bearer ${token}` }))
}

export function withHeaders(init: RequestInit | undefined, more: Readonly<Record<string, string>>): RequestInit {
  const headers = new Headers(init?.headers)
  for (const [name, value] of Object.entries(more)) headers.set(name, value)
  return { ...init, headers }
}
