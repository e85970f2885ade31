// A key that tokens are bound to, and proofs that we hold it (RFC 9449).
import { createHash, randomUUID } from 'node:crypto'
import { SignJWT, exportJWK, generateKeyPair, type JWK } from 'jose'

export interface DpopKey {
  /** A proof for one request. `nonce`: what the server asked for (RFC 9449 §8). */
  proof(request: ProvedRequest): Promise<string>
  /** For whoever is to use the token: without it a bound token is worth nothing. */
  privateJwk(): Promise<JWK>
}

interface ProvedRequest {
  method: string
  url: URL
  /** None for a request that asks for the token. */
  accessToken?: string | undefined
  nonce?: string | undefined
}

/** A new key, P-256 because every issuer that binds tokens takes it. */
export async function createDpopKey({ now }: { now: () => number }): Promise<DpopKey> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const header = { alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) }
  return {
    proof({ method, url, accessToken, nonce }) {
      const claims = {
        jti: randomUUID(),
        htm: method,
        htu: `${url.origin}${url.pathname}`,
        iat: Math.floor(now() / 1000),
        ...(accessToken !== undefined && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
        ...(nonce !== undefined && { nonce }),
      }
      return new SignJWT(claims).setProtectedHeader(header).sign(privateKey)
    },
    privateJwk: () => exportJWK(privateKey),
  }
}
