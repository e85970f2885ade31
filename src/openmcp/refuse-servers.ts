// Servers that cannot be served beside each other, or by a node like this one: told before any of them is started.
import { OpenMcpError } from '../errors.ts'
import type { NamedServer } from './servers.ts'

/** @throws OpenMcpError `usage`. `root`: the name of the one at the root, if there is one. */
export function refuseServers(servers: readonly NamedServer[], { root, asksCallers }: { root: string | undefined; asksCallers: boolean }): void {
  refuseTwins([...(root === undefined ? [] : [root]), ...servers.map(({ name }) => name)])
  if (asksCallers) refuseProofs(servers)
  else refuseOwnLogins(servers)
}

/** On /status and in the log a name is one server. */
function refuseTwins(names: readonly string[]): void {
  const twin = names.find((name, index) => names.indexOf(name) !== index)
  if (twin !== undefined) throw new OpenMcpError('usage', `two servers have the name ${twin}`, { hint: '--name NAME gives the one at the root another' })
}

const PROOFS = ['authorization', 'x-api-key', 'dpop']

/** Where everybody proves who they are, what proves it is for us: no child gets it. */
function refuseProofs(servers: readonly NamedServer[]): void {
  for (const { name, target } of servers) {
    const headers = target.kind === 'command' ? Object.keys(target.headerToEnv ?? {}) : []
    const proof = headers.find((header) => PROOFS.includes(header.toLowerCase()))
    if (proof === undefined) continue
    throw new OpenMcpError('usage', `the server ${name}: headerToEnv takes ${proof}, by which callers prove to us who they are`, {
      hint: 'take another header, like X-GitHub-Token: with --security nobody but openmcp reads that one',
    })
  }
}

/** A login of whom, when everybody is one? */
function refuseOwnLogins(servers: readonly NamedServer[]): void {
  const one = servers.find(({ ownLogins }) => ownLogins)
  if (!one) return
  throw new OpenMcpError('usage', `the server ${one.name} wants a login of each caller's own, and nobody is asked who they are`, { hint: 'add --security' })
}
