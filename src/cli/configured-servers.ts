// From the servers that a file names to what openmcp serves beside the one that was typed.
import { dirname, join } from 'node:path'
import type { CommandEntry, RemoteEntry, ServerEntry } from '../config/server-entry.ts'
import { OpenMcpError } from '../errors.ts'
import type { NamedServer, OpenMcpOptions } from '../openmcp.ts'
import { childEnvironment, isSet } from '../upstream/child-environment.ts'
import { isSocket, parseTarget, shownTarget } from '../protocol/target.ts'
import { parseEnvFile } from './env-file.ts'
import { parseHeader } from './headers.ts'
import { textOf, type Machine } from './machine.ts'
import { keptLogins } from './home.ts'
import type { Mistakes } from './mistakes.ts'
import { DEFAULT_RETRY } from './several-options.ts'
import type { Proof } from './upstream-login.ts'

interface Surroundings {
  /** The file that names them: paths in it are seen from its directory. */
  file: string
  machine: Machine
  mistakes: Mistakes
  warnings: string[]
  /** What holds for a server that says nothing else. */
  defaults: Pick<OpenMcpOptions, 'isolation' | 'limits'>
  /** Where our identities are. */
  keys: string
}

/** A server, and how we prove ourselves to it: an identity, or what a person's login has left. */
export interface ConfiguredServer extends Omit<NamedServer, 'credential'> {
  proof?: Proof
}

export function configuredServers(entries: ReadonlyMap<string, NonNullable<ServerEntry>>, surroundings: Surroundings): ConfiguredServer[] {
  const { mistakes, defaults } = surroundings
  return [...entries].flatMap(([name, entry]) => {
    const at = `${surroundings.file}: mcpServers.${name}`
    for (const member of notBuilt(entry))
      mistakes.add(new OpenMcpError('unavailable_option', `${at}.${member} is not built yet; openmcp refuses it rather than run without it`))
    const target = mistakes.attempt(() => (entry.kind === 'command' ? commandOf(entry, at, surroundings) : remoteOf(entry, at)))
    if (!target) return []
    const { isolation = defaults.isolation, timeoutSeconds = defaults.limits.timeoutSeconds } = entry
    const { allowedTools: allow, blockedTools: block } = entry
    const tools = allow !== undefined || block.length > 0 ? { tools: { ...(allow && { allow }), block } } : {}
    const proof = mistakes.attempt(() => proofOf(entry, target, at, surroundings))
    if (entry.stateless && entry.kind === 'remote' && entry.forwardHeaders.length > 0)
      mistakes.add(new OpenMcpError('usage', `${at}: stateless shares one session upstream, and forwardHeaders are of one caller`))
    const stateless = entry.stateless ? { stateless: true } : {}
    return [{ name, target, isolation, limits: { ...defaults.limits, timeoutSeconds }, ...stateless, ...tools, ...forwardsOf(entry), ...(proof && { proof }) }]
  })
}

/** TODO: whoever builds one of them takes its line out. */
function notBuilt(entry: NonNullable<ServerEntry>): string[] {
  return [
    entry.kind === 'remote' && entry.oauth && 'oauth',
    entry.kind === 'remote' && entry.tls && 'tls',
    entry.kind === 'remote' && entry.retry?.idempotent === true && 'retry.idempotent',
  ].filter((member) => typeof member === 'string')
}

function forwardsOf(entry: NonNullable<ServerEntry>): Pick<NamedServer, 'forwardHeaders'> {
  return entry.kind === 'remote' && entry.forwardHeaders.length > 0 ? { forwardHeaders: entry.forwardHeaders } : {}
}

/** A header that says who we are goes before everything that could be found to say it. */
function proofOf(entry: NonNullable<ServerEntry>, target: NamedServer['target'], at: string, { machine, keys }: Surroundings): ConfiguredServer['proof'] {
  const name = entry.kind === 'remote' ? entry.identity : undefined
  if (target.kind !== 'remote') {
    if (name !== undefined) throw new OpenMcpError('usage', `${at}.id proves us by HTTP, and this is no http://`)
    return undefined
  }
  const [resource] = target.urls
  if (name === undefined) {
    const logins = keptLogins(target, machine)
    return logins && { logins }
  }
  if ('authorization' in target.headers) throw new OpenMcpError('usage', `${at}: id and a header authorization both say who we are`)
  return resource && { login: { name, keys, resource, bound: false } }
}

function commandOf(
  { command, args, env, envFiles, passEnv, cwd, headerToEnv }: CommandEntry,
  at: string,
  { file, machine, warnings }: Surroundings,
): NamedServer['target'] {
  const here = (path: string): string => machine.resolve(join(dirname(file), path))
  const set = [...envFiles.flatMap((path) => parseEnvFile(textOf(machine, `${at}.envFile`, here(path)), path)), ...env]
  for (const name of passEnv)
    if (!isSet(name, machine.env, machine.platform)) warnings.push(`${at}.passEnv: ${name} is not set here, so the child does not get it`)
  const directory = cwd === undefined ? undefined : here(cwd)
  if (directory !== undefined && !machine.isDirectory(directory)) throw new OpenMcpError('usage', `${at}.cwd: there is no directory ${directory}`)
  return {
    kind: 'command',
    command,
    args,
    env: childEnvironment({ env: machine.env, platform: machine.platform, pass: passEnv, set }),
    ...(directory !== undefined && { cwd: directory }),
    ...(headerToEnv.size > 0 && { headerToEnv: Object.fromEntries(headerToEnv) }),
  }
}

function remoteOf({ endpoints: [url = '', ...more], fallbacks, transport, headers, retry }: RemoteEntry, at: string): NamedServer['target'] {
  const urls = parseTarget(url)
  const [first] = urls
  const socket = first && isSocket(first) ? first : undefined
  const speaks = socket ? (socket.protocol === 'tcp:' ? 'tcp' : 'ws') : undefined
  if (transport !== 'auto' && (['tcp', 'ws'].includes(transport) || socket) && transport !== speaks)
    throw new OpenMcpError('usage', `${at}.type: ${transport} does not fit ${shownTarget(url)}`, { hint: 'write tcp://HOST:PORT or ws://HOST:PORT' })
  const named = Array.from(headers, ([name, value]) => parseHeader(`${name}: ${value}`, `${at}.headers`))
  const twin = named.find(([name], index) => named.findIndex(([other]) => other === name) !== index)
  if (twin) throw new OpenMcpError('usage', `${at}.headers: ${twin[0]} is given more than once for ${shownTarget(url)}`)
  const others = more.map((text) => parseTarget(text))
  const further = fallbacks.map((text) => parseTarget(text))
  if ((others.length > 0 || further.length > 0) && [urls, ...others, ...further].flat().some(isSocket)) {
    throw new OpenMcpError('unavailable_option', `${at}: only http(s):// upstreams can be several by now`)
  }
  if (socket && retry) throw new OpenMcpError('usage', `${at}.retry is for http(s)://, and this is ${socket.protocol}//`)
  if (socket) return { kind: 'socket', url: socket, headers: Object.fromEntries(named) }
  return {
    kind: 'remote',
    urls,
    transport: transport === 'http' || transport === 'sse' ? transport : 'auto',
    headers: Object.fromEntries(named),
    ...(others.length > 0 && { others }),
    ...(further.length > 0 && { fallbacks: further }),
    ...(retry && { retry: { attempts: retry.attempts ?? DEFAULT_RETRY.attempts, delayMs: retry.delayMs ?? DEFAULT_RETRY.delayMs } }),
  }
}
