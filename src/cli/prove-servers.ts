// What proves us to the servers of a configuration: one and the same for as long as it is asked for in the same way, so that a
// server whose configuration did not change is not another one.
import type { UpstreamCredential } from '../login/credential.ts'
import type { Log } from '../observe/log.ts'
import type { NamedServer } from '../openmcp.ts'
import type { ConfiguredServer } from './configured-servers.ts'
import type { Proof } from './upstream-login.ts'

/** Fails when there is no identity of a name: what an upstream says of it is found out when it asks. */
export type ProveServers = (servers: readonly ConfiguredServer[]) => Promise<NamedServer[]>

export function createProver(log: Log): ProveServers {
  const known = new Map<string, UpstreamCredential>()

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

  return async (servers) => {
    const proved = await Promise.all(
      servers.map(async ({ proof, ...server }): Promise<NamedServer> => (proof ? { ...server, credential: await credentialFor(proof) } : server)),
    )
    // A secret that the configuration names no more is forgotten.
    const named = new Set(servers.map(({ proof }) => JSON.stringify(proof)))
    for (const key of known.keys()) if (!named.has(key)) known.delete(key)
    return proved
  }
}
