// Calls with a token that is bound to a key, as openmcp prints both.
import { openDpopKey } from '../../src/login/dpop-key.ts'
import { isJson, type Json } from './json.ts'

export async function fetchWith({ access_token: token, dpop_jwk: jwk }: Json): Promise<(url: string | URL, init?: RequestInit) => Promise<Response>> {
  const key = await openDpopKey(isJson(jwk) ? jwk : {}, { now: Date.now })
  return async (url, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `DPoP ${String(token)}`)
    headers.set('dpop', await key.proof({ method: init?.method ?? 'GET', url: new URL(url), accessToken: String(token) }))
    return fetch(url, { ...init, headers })
  }
}
