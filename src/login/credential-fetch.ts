// fetch with a credential: what the ways out do for each request, for whoever speaks HTTP through fetch.
import type { Fetch } from './bounded-fetch.ts'
import type { UpstreamCredential } from './credential.ts'

/** A request that is answered 401 is sent once more when there is something new to prove with. Bodies are texts. */
export function fetchWith(credential: UpstreamCredential, fetch: Fetch): Fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const request = { method: init.method ?? 'GET', url }
    const send = async (): Promise<{ response: Response; sent: Readonly<Record<string, string>> }> => {
      const sent = await credential.headers(request)
      const headers = new Headers(init.headers)
      for (const [name, value] of Object.entries(sent)) headers.set(name, value)
      return { response: await fetch(url, { ...init, headers }), sent }
    }
    const { response, sent } = await send()
    if (response.status !== 401) return response
    const [challenge, nonce] = [response.headers.get('www-authenticate') ?? undefined, response.headers.get('dpop-nonce') ?? undefined]
    const isWorthIt = await credential.refused(request, { status: 401, challenge, nonce, sent })
    if (!isWorthIt) return response
    void response.body?.cancel().catch(() => {})
    return (await send()).response
  }
}
