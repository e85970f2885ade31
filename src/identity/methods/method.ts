// What each DID method is to the resolver.
import type { TspProfile, VerificationKey } from '../document.ts'
import { authenticationKeysOf } from '../read-document.ts'
import { tspProfileOf } from '../tsp/profile.ts'
import type { Vid } from '../vid.ts'

export interface DidMethod {
  /** What it says once it says for ever: the DID carries its document. */
  readonly immutable: boolean
  /** Throws `identity_invalid`, `egress_refused` or `egress_failed`. */
  resolve(vid: Vid): Promise<Outcome>
}

export type Outcome =
  | { readonly state: 'found'; readonly authentication: readonly VerificationKey[]; readonly tsp?: TspProfile }
  | { readonly state: 'deactivated' | 'not_found' | 'invalid'; readonly why: string }

/** What a document says. Throws `identity_invalid` for one that is not of this DID. */
export function foundIn(document: unknown, vid: Vid): Outcome {
  const tsp = tspProfileOf(document, vid)
  return { state: 'found', authentication: authenticationKeysOf(document, vid), ...(tsp && { tsp }) }
}
