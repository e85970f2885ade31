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

/** With which keys, and where, the holder of a DID sends and receives by TSP. The keys are 32 bytes of base64url. */
export interface TspProfile {
  /** Of Ed25519. */
  readonly verifying: string
  /** Of X25519. */
  readonly sealing: string
  /** A URL: tcp://, tls://, http://, https://, or another that openmcp cannot reach. */
  readonly endpoint: string
}

/** What became of a DID: found, surely not usable, or unknown for now. Only `found` lets anybody in. */
export type Resolution =
  | {
      readonly state: 'found'
      readonly vid: Vid
      readonly authentication: readonly VerificationKey[]
      readonly tsp?: TspProfile
      readonly resolvedAtMs: number
    }
  | { readonly state: 'deactivated' | 'not_found' | 'invalid' | 'failed'; readonly why: string; readonly resolvedAtMs: number }
