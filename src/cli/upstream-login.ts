// --id NAME: an identity of ours, proved to the upstream when it asks.
import { openIdentity } from '../identity/own-identities.ts'
import { createCredential, type UpstreamCredential } from '../login/credential.ts'
import { createDpopKey } from '../login/dpop-key.ts'
import { provenToken } from '../login/proven-token.ts'
import type { Log } from '../observe/log.ts'

export interface UpstreamLogin {
  /** Of the identity. */
  readonly name: string
  readonly keys: string
  /** Where it is proved, and nowhere else. */
  readonly resource: URL
  /** Whether the token is bound to a key that is made for this run. */
  readonly bound: boolean
}

/** Fails when there is no such identity: what the upstream says of it is found out when it asks. */
export async function credentialFor({ name, keys, resource, bound }: UpstreamLogin, log: Log): Promise<UpstreamCredential> {
  const signer = await openIdentity(keys, name)
  const dpop = bound ? await createDpopKey({ now: Date.now }) : undefined
  const now = Date.now
  return createCredential({ resource, source: provenToken({ signer, dpop, fetch: globalThis.fetch, now }), now, log })
}
