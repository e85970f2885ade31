// fetch with a credential: what the ways out do for each request, for whoever speaks HTTP through fetch.
import type { Fetch } from './bounded-fetch.ts'
import type { UpstreamCredential } from './credential.ts'

/** What is kept may be good no more, and what is obtained then may be as well: three tries tell. */
const TRIES = 3

/** A request that is answered 401 is sent once more as long as there is something new to prove with. Bodies are texts. */
export function fetchWith(credential: UpstreamCredential, fetch: Fetch): Fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const request = { method: init.method ?? 'GET', url }
    for (let tries = 1; ; tries++) {
      const sent = await credential.headers(request)
      const headers = new Headers(init.headers)
      for (const [name, value] of Object.entries(sent)) headers.set(name, value)
      const response = await fetch(url, { ...init, headers })
      const { status } = response
      if (status !== 403 && (status !== 401 || tries === TRIES)) return response
      const [challenge, nonce] = [response.headers.get('www-authenticate') ?? undefined, response.headers.get('dpop-nonce') ?? undefined]
      if (!(await credential.refused(request, { status, challenge, nonce, sent }))) return response
      void response.body?.cancel().catch(() => {})
    }
  }
}
