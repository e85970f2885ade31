// What each DID method is to the resolver.
import type { VerificationKey } from '../document.ts'
import type { Vid } from '../vid.ts'

export interface DidMethod {
  /** What it says once it says for ever: the DID carries its document. */
  readonly immutable: boolean
  /** Throws `identity_invalid`, `egress_refused` or `egress_failed`. */
  resolve(vid: Vid): Promise<Outcome>
}

export type Outcome =
  | { readonly state: 'found'; readonly authentication: readonly VerificationKey[] }
  | { readonly state: 'deactivated' | 'not_found' | 'invalid'; readonly why: string }
