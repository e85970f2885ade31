// Who we are to an upstream: an identity of ours (--id NAME), a client with its secret (--client-id ID), else what a person's login has left
// (openmcp login).
import { createCredential, type TokenSource, type UpstreamCredential } from '../login/credential.ts'
import type { Fetch } from '../login/bounded-fetch.ts'
import type { OwnLogins, OwnLoginsOptions } from '../login/own-logins.ts'
import type { Log } from '../observe/log.ts'
import { fetchOver } from '../upstream/fetch-over.ts'
import { checkedWay, type Way } from '../upstream/way.ts'

/** `way`: of the upstream, and of its issuers. */
export type Proof = ({ login: UpstreamLogin } | { logins: KeptLogins } | { client: ClientLogin }) & { way?: Way }

/** Fails when there is no such identity. */
export async function credentialOf(proof: Proof, log: Log): Promise<UpstreamCredential> {
  const fetch = issuerFetch(proof.way)
  if ('login' in proof) return credentialFor(proof.login, log, fetch)
  return 'client' in proof ? clientCredentialFor(proof.client, log, fetch) : keptCredentialFor(proof.logins, log, fetch)
}

/** How each caller logs in at a server. */
export type OwnProof = Omit<OwnLoginsOptions, 'fetch' | 'now' | 'log' | 'bounds'> & { way?: Way | undefined }

export async function ownLoginsOf({ way, ...own }: OwnProof, log: Log): Promise<OwnLogins> {
  const { createOwnLogins } = await import('../login/own-logins.ts')
  return createOwnLogins({ ...own, fetch: issuerFetch(way), now: Date.now, log })
}

const CONNECT_SECONDS = 10

/** Whose certificate an issuer has is looked at always, whatever was said of the upstream. */
export function issuerFetch(way: Way | undefined): Fetch {
  return fetchOver(way && checkedWay(way), { connectSeconds: CONNECT_SECONDS })
}

export interface ClientLogin {
  readonly id: string
  readonly secret: string
  /** Where the token goes, and nowhere else. */
  readonly address: URL
  /** Where tokens are asked for, or whose metadata says so. Neither: the upstream says whose. */
  readonly tokenUrl?: URL | undefined
  readonly issuer?: URL | undefined
  readonly scope?: string | undefined
  /** In place of the upstream's own URL; `none`: not sent. */
  readonly resource?: string | undefined
}

async function clientCredentialFor({ address, ...client }: ClientLogin, log: Log, fetch: Fetch): Promise<UpstreamCredential> {
  const { clientToken } = await import('../login/client-token.ts')
  const now = Date.now
  const isEager = client.tokenUrl !== undefined || client.issuer !== undefined
  return createCredential({ resource: address, source: clientToken({ ...client, fetch, now }), isEager, now, log })
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
export async function credentialFor({ name, keys, resource, bound }: UpstreamLogin, log: Log, fetch: Fetch = globalThis.fetch): Promise<UpstreamCredential> {
  const [{ openIdentity }, { createDpopKey }, { provenToken }] = await Promise.all([
    import('../identity/own-identities.ts'),
    import('../login/dpop-key.ts'),
    import('../login/proven-token.ts'),
  ])
  const signer = await openIdentity(keys, name)
  const dpop = bound ? await createDpopKey({ now: Date.now }) : undefined
  const now = Date.now
  return createCredential({ resource, source: provenToken({ signer, dpop, fetch, now }), now, log })
}

export interface KeptLogins {
  readonly directory: string
  /** Where what is kept goes, and nowhere else. */
  readonly resource: URL
  /** What a person types to log in there, where that is not `openmcp login URL`. */
  readonly how?: string
}

/** Reads and loads nothing until the upstream asks: a login that is made later counts from then on. */
export function keptCredentialFor({ directory, resource, how }: KeptLogins, log: Log, fetch: Fetch = globalThis.fetch): UpstreamCredential {
  const now = Date.now
  let source: TokenSource | undefined
  const load = async (): Promise<TokenSource> => {
    const [{ keptToken }, { createLogins }] = await Promise.all([import('../login/kept-token.ts'), import('../login/logins.ts')])
    return keptToken({ logins: createLogins({ directory, now }), how, fetch, now })
  }
  return createCredential({ resource, source: async (wanted) => (source ??= await load())(wanted), now, log })
}
