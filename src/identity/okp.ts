// Keys of Ed25519 and X25519 between their 32 bytes, as base64url, and node:crypto.
import { createPrivateKey, createPublicKey, randomBytes, type KeyObject } from 'node:crypto'

export type OkpCurve = 'Ed25519' | 'X25519'

export function publicKeyOf(crv: OkpCurve, x: string): KeyObject {
  // As JWK it takes a tenth of the time that DER takes.
  return createPublicKey({ key: { kty: 'OKP', crv, x }, format: 'jwk' })
}

/** `d` is the seed of Ed25519, or the scalar of X25519. */
export function privateKeyOf(crv: OkpCurve, d: string): KeyObject {
  return createPrivateKey({ key: { kty: 'OKP', crv, x: '', d }, format: 'jwk' })
}

/** Whether a text is 32 bytes, in the one base64url text that they have. */
export function isOkpKey(text: unknown): text is string {
  return typeof text === 'string' && text.length === 43 && Buffer.from(text, 'base64url').toString('base64url') === text
}

/** A seed of Ed25519 or a scalar of X25519: both are any 32 bytes. */
export function newOkpPair(crv: OkpCurve): { x: string; d: string } {
  const d = randomBytes(32).toString('base64url')
  return { x: publicTextOf(privateKeyOf(crv, d)), d }
}

/**
 * Of a private key its public half. The key must not come from generateKeyPairSync: exporting such a one hangs Node 20 for good when
 * garbage is collected meanwhile, because what generated it waits for the lock that the export holds.
 */
export function publicTextOf(key: KeyObject): string {
  const { x = '' } = key.export({ format: 'jwk' })
  return x
}
