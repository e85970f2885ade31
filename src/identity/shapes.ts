// What other rooms ask of identities: resolve one, fetch what a peer named, sign as the node or as one of our own.
import type { CryptoKey } from 'jose'

import type { PublicJwk, Resolution, SignatureAlgorithm } from './document.ts'
import type { Vid } from './vid.ts'

export interface Resolver {
  /** Never throws. A resolution younger than `maxAgeMs` (by default the cache's own age) is taken from the cache. */
  resolve(vid: Vid, options?: { maxAgeMs?: number }): Promise<Resolution>
}

/** A resolver that some did:peer:4 are shown to by us. */
export interface KeepingResolver extends Resolver {
  /**
   * Remembers the long forms of these did:peer:4, so that their short forms are found for as long as this runs: strangers, who can
   * show any number of others, push them out no more. A short form is kept if its long form is remembered; every other DID is no matter here.
   */
  keep(vids: Iterable<Vid>): void
}

/** One GET of something that a peer named. Throws `egress_refused` (nothing was connected to) or `egress_failed`. */
export type GuardedFetch = (url: URL, options?: { accept?: string }) => Promise<Fetched>

export interface Fetched {
  /** 200 or 404 or 410: anything else is `egress_failed`. */
  status: 200 | 404 | 410
  contentType: string
  /** Empty when nothing is said. */
  cacheControl: string
  body: Buffer
}

/** A key of this node. `next` is published and does not sign yet, `retiring` is published and signs no more. */
export interface NodeKey {
  readonly kid: string
  readonly purpose: 'tokens' | 'seal' | 'audit' | 'api-keys'
  readonly state: 'next' | 'active' | 'retiring'
}

interface SigningKey {
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly privateKey: CryptoKey
}

export interface NodeKeys {
  /** Signs tokens now. */
  signing(): SigningKey
  /** To be published: next, active and retiring keys for tokens, as public JWKs with kid, alg and use. */
  published(): readonly (PublicJwk & { kid: string; alg: 'EdDSA'; use: 'sig' })[]
  /** The public key of a token by its kid; undefined for a key that is not (or no longer) published. */
  verifying(kid: string): CryptoKey | undefined
  /** 32 bytes each, the one to seal with first; the others still open. */
  sealing(): readonly Uint8Array[]
  /** 32 bytes under which API keys are hashed. It never rotates: with another one every key would be void. */
  hashing(): Uint8Array
  list(): readonly NodeKey[]
  /**
   * Makes the next keys to sign and to seal with, published now and used after `leadSeconds`; those used now retire then. With
   * `dropOld`, for keys that leaked and without a lead, all others are removed at once: what they signed or sealed is void.
   */
  rotate(options: { leadSeconds: number; dropOld?: boolean }): Promise<void>
  /** Stops following the directory. */
  close(): void
}

/** An identity of our own: one that a client proves to others. */
export interface OwnIdentity {
  readonly name: string
  readonly vid: Vid
  /** The DID URL of its key. */
  readonly kid: string
  readonly alg: SignatureAlgorithm
  readonly createdAtMs: number
  readonly deactivated: boolean
  /** What names it to whoever may not have seen it: of a did:peer:4 the long form, of every other DID itself. */
  readonly long: Vid
  /** Where it is reached by TSP. Undefined: it is not for TSP. */
  readonly endpoint?: string
}

/** Signs a JWT as this identity; `typ` goes into the header beside alg and kid. */
export interface IdentitySigner {
  readonly identity: OwnIdentity
  sign(claims: Readonly<Record<string, unknown>>, typ: string): Promise<string>
}
