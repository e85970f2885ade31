// A key that tokens are bound to, and proofs that we hold it (RFC 9449).
import { createHash, randomUUID } from 'node:crypto'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

import { OpenMcpError } from '../errors.ts'

export interface DpopKey {
  /** A proof for one request. `nonce`: what the server asked for (RFC 9449 §8). */
  proof(request: ProvedRequest): Promise<string>
  /** For whoever is to use the token: without it a bound token is worth nothing. */
  privateJwk(): Promise<JWK>
  /** What names the key to an issuer before there is a token (RFC 9449 §10). */
  thumbprint(): Promise<string>
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
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return openDpopKey(await exportJWK(privateKey), { now })
}

/** A key that was kept. */
export async function openDpopKey(privateJwk: JWK, { now }: { now: () => number }): Promise<DpopKey> {
  const { kty, crv, x, y } = privateJwk
  const privateKey = await importJWK(privateJwk, 'ES256').catch(() => undefined)
  if (!privateKey || privateKey instanceof Uint8Array || kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined) {
    // Without its cause: what the library says may hold the key.
    throw new OpenMcpError('keys_unsafe', 'the key that a token is bound to is no key of P-256')
  }
  const jwk = { kty, crv, x, y }
  const header = { alg: 'ES256', typ: 'dpop+jwt', jwk }
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
    privateJwk: async () => privateJwk,
    thumbprint: () => calculateJwkThumbprint(jwk),
  }
}
