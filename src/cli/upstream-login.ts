// Who we are to an upstream that asks: an identity of ours (--id NAME), else what a person's login has left (openmcp login).
import { createCredential, type TokenSource, type UpstreamCredential } from '../login/credential.ts'
import type { Log } from '../observe/log.ts'

export type Proof = { login: UpstreamLogin } | { logins: KeptLogins }

/** Fails when there is no such identity. */
export async function credentialOf(proof: Proof, log: Log): Promise<UpstreamCredential> {
  return 'login' in proof ? credentialFor(proof.login, log) : keptCredentialFor(proof.logins, log)
}

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
  const [{ openIdentity }, { createDpopKey }, { provenToken }] = await Promise.all([
    import('../identity/own-identities.ts'),
    import('../login/dpop-key.ts'),
    import('../login/proven-token.ts'),
  ])
  const signer = await openIdentity(keys, name)
  const dpop = bound ? await createDpopKey({ now: Date.now }) : undefined
  const now = Date.now
  return createCredential({ resource, source: provenToken({ signer, dpop, fetch: globalThis.fetch, now }), now, log })
}

export interface KeptLogins {
  readonly directory: string
  /** Where what is kept goes, and nowhere else. */
  readonly resource: URL
}

/** Reads and loads nothing until the upstream asks: a login that is made later counts from then on. */
export function keptCredentialFor({ directory, resource }: KeptLogins, log: Log): UpstreamCredential {
  const now = Date.now
  let source: TokenSource | undefined
  const load = async (): Promise<TokenSource> => {
    const [{ keptToken }, { createLogins }] = await Promise.all([import('../login/kept-token.ts'), import('../login/logins.ts')])
    return keptToken({ logins: createLogins({ directory, now }), fetch: globalThis.fetch, now })
  }
  return createCredential({ resource, source: async (wanted) => (source ??= await load())(wanted), now, log })
}
