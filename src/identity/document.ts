// What a DID document says, once it was read: who may speak for a DID.
import type { Vid } from './vid.ts'

export type SignatureAlgorithm = 'EdDSA' | 'ES256' | 'ES256K'

/** A public key as JWK, without any other member than its curve's own. */
export type PublicJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256' | 'secp256k1'; readonly x: string; readonly y: string }

export interface VerificationKey {
  /** The DID URL of the verification method, absolute. */
  readonly id: string
  readonly alg: SignatureAlgorithm
  readonly jwk: PublicJwk
}

/** What became of a DID: found, surely not usable, or unknown for now. Only `found` lets anybody in. */
export type Resolution =
  | { readonly state: 'found'; readonly vid: Vid; readonly authentication: readonly VerificationKey[]; readonly resolvedAtMs: number }
  | { readonly state: 'deactivated' | 'not_found' | 'invalid' | 'failed'; readonly why: string; readonly resolvedAtMs: number }
