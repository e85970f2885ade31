// What proves us to the servers of a configuration: one and the same for as long as it is asked for in the same way, so that a
// server whose configuration did not change is not another one.
import type { UpstreamCredential } from '../login/credential.ts'
import type { OwnLogins } from '../login/own-logins.ts'
import type { Log } from '../observe/log.ts'
import type { NamedServer } from '../openmcp.ts'
import type { ConfiguredServer } from './configured-servers.ts'
import type { OwnProof, Proof } from './upstream-login.ts'

/** Fails when there is no identity of a name: what an upstream says of it is found out when it asks. */
export type ProveServers = (servers: readonly ConfiguredServer[]) => Promise<NamedServer[]>

export function createProver(log: Log): ProveServers {
  const known = new Map<string, UpstreamCredential>()
  const ownKnown = new Map<string, OwnLogins>()

  async function credentialFor(proof: Proof): Promise<UpstreamCredential> {
    const key = JSON.stringify(proof)
    let credential = known.get(key)
    if (!credential) {
      const { credentialOf } = await import('./upstream-login.ts')
      credential = await credentialOf(proof, log)
      known.set(key, credential)
    }
    return credential
  }

  async function ownFor(own: OwnProof): Promise<OwnLogins> {
    const key = JSON.stringify(own)
    let logins = ownKnown.get(key)
    if (!logins) {
      const { ownLoginsOf } = await import('./upstream-login.ts')
      logins = await ownLoginsOf(own, log)
      ownKnown.set(key, logins)
    }
    return logins
  }

  return async (servers) => {
    const proved = await Promise.all(
      servers.map(async ({ proof, own, ...server }): Promise<NamedServer> => {
        if (own) return { ...server, ownLogins: await ownFor(own) }
        return proof ? { ...server, credential: await credentialFor(proof) } : server
      }),
    )
    // A secret that the configuration names no more is forgotten.
    const named = new Set(servers.flatMap(({ proof, own }) => [JSON.stringify(proof), JSON.stringify(own)]))
    for (const all of [known, ownKnown]) for (const key of all.keys()) if (!named.has(key)) all.delete(key)
    return proved
  }
}
