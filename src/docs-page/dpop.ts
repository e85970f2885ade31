// Proofs that whoever sends a request holds a key that cannot be taken out of this page (RFC 9449): a token alone is then worth nothing.
import { base64url, random } from './base64url.ts'
import { withHeaders } from './proof.ts'

export interface DpopKey {
  /** As `fetch`, with a proof, and with the token that is bound to the key where there is one. */
  send(url: URL, init: RequestInit, token?: string): Promise<Response>
}

export async function createDpopKey(): Promise<DpopKey> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey)
  let nonce: string | undefined

  async function proof({ origin, pathname }: URL, method: string, token: string | undefined): Promise<string> {
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }
    const ath = token === undefined ? undefined : base64url(await crypto.subtle.digest('SHA-256', bytesOf(token)))
    const claims = { jti: random(), htm: method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000), ath, nonce }
    const signed = [header, claims].map((part) => base64url(bytesOf(JSON.stringify(part)))).join('.')
    return `${signed}.${base64url(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, bytesOf(signed)))}`
  }

  async function sendOnce(url: URL, init: RequestInit, token: string | undefined): Promise<Response> {
    const dpop = await proof(url, init.method ?? 'GET', token)
    const response = await fetch(url, withHeaders(init, { dpop, ...(token !== undefined && { authorization: `DPoP ${token}` }) }))
    nonce = response.headers.get('dpop-nonce') ?? nonce
    return response
  }

  return {
    async send(url, init, token) {
      const response = await sendOnce(url, init, token)
      return (await wantsNonce(response, token)) ? sendOnce(url, init, token) : response
    },
  }
}

/** Then the guard let nothing pass (RFC 9449 §8, §9). A tool that says it does not count: its call is not made again. */
async function wantsNonce(response: Response, token: string | undefined): Promise<boolean> {
  const { status, headers } = response
  if (token !== undefined) return status === 401 && /^DPoP .*error="use_dpop_nonce"/.test(headers.get('www-authenticate') ?? '')
  return status === 400 && (await response.clone().text()).includes('"use_dpop_nonce"')
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}
