// Keys of Ed25519 and X25519 between their 32 bytes, as base64url, and node:crypto.
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

export type OkpCurve = 'Ed25519' | 'X25519'

export function publicKeyOf(crv: OkpCurve, x: string): KeyObject {
  // As JWK it takes a tenth of the time that DER takes.
  return createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' })
}

/** `d` is the seed of Ed25519, or the scalar of X25519. */
export function privateKeyOf(crv: OkpCurve, d: string): KeyObject {
  return createPrivateKey({ key: { kty: 'OKP', crv, x: '', d }, format: 'jwk' })
}

/**
 * Of a private key its public half. The key must not come from generateKeyPairSync: exporting such a one hangs Node 20 for good when
 * garbage is collected meanwhile, because what generated it waits for the lock that the export holds.
 */
export function publicTextOf(key: KeyObject): string {
  const { x = '' } = key.export({ format: 'jwk' })
  return x
}
