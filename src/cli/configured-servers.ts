// From the servers that a file names to what openmcp serves beside the one that was typed.
import type { OAuthEntry } from '../config/oauth-entry.ts'
import type { CommandEntry, RemoteEntry, ServerEntry } from '../config/server-entry.ts'
import type { Step } from '../config/at.ts'
import { OpenMcpError } from '../errors.ts'
import type { NamedServer, OpenMcpOptions } from '../openmcp.ts'
import { childEnvironment, isSet } from '../upstream/child-environment.ts'
import { isSocket } from '../protocol/target.ts'
import type { Config } from './config-file.ts'
import { parseEnvFile } from './env-file.ts'
import { parseHeader } from './headers.ts'
import { besideFile, textOf, type Machine } from './machine.ts'
import { keptLogins, loginsDirectory } from './home.ts'
import type { Mistakes } from './mistakes.ts'
import { warnOfUrl } from './target-options.ts'
import { retryOf } from './several-options.ts'
import { severalSockets } from './several-sockets.ts'
import { askedByHttp } from './proof-options.ts'
import { configuredWay } from './way-options.ts'
import type { ClientLogin, OwnProof, Proof } from './upstream-login.ts'

interface Surroundings {
  machine: Machine
  mistakes: Mistakes
  warnings: string[]
  /** What holds for a server that says nothing else. */
  defaults: Pick<OpenMcpOptions, 'isolation' | 'limits' | 'openapi'>
  /** Where our identities are. */
  keys: string
}

/** `FILE:LINE: PATH` of a member of one server. */
type Where = (...steps: readonly Step[]) => string

/** A server, and how we prove ourselves to it: an identity, or what a person's login has left. */
export interface ConfiguredServer extends Omit<NamedServer, 'credential' | 'ownLogins'> {
  proof?: Proof
  /** In place of that: each caller proves who they are themselves. */
  own?: OwnProof
}

export function configuredServers(config: Config, surroundings: Surroundings): ConfiguredServer[] {
  const { mistakes, defaults } = surroundings
  return [...config.servers].flatMap(([name, entry]) => {
    const at: Where = (...steps) => config.where('mcpServers', name, ...steps)
    const target = mistakes.attempt(() =>
      entry.kind === 'command' ? commandOf(entry, at, config.file, surroundings) : remoteOf(entry, at, config, surroundings),
    )
    if (!target) return []
    const { isolation = defaults.isolation, timeoutSeconds = defaults.limits.timeoutSeconds } = entry
    const { allowedTools: allow, blockedTools: block } = entry
    const tools = allow !== undefined || block.length > 0 ? { tools: { ...(allow && { allow }), block } } : {}
    const proof = mistakes.attempt(() => proofOf(entry, target, { at, how: `openmcp login ${typed(name)} --config ${typed(config.file)}` }, surroundings))
    const own = mistakes.attempt(() => ownOf(name, entry, target, { at, isolation }, surroundings))
    if (entry.stateless && entry.kind === 'remote' && entry.forwardHeaders.length > 0)
      mistakes.add(new OpenMcpError('usage', `${at()}: stateless shares one session upstream, and forwardHeaders are of one caller`))
    const stateless = entry.stateless ? { stateless: true } : {}
    const serves = entry.openapi ?? defaults.openapi
    const openapi = serves ? { openapi: serves } : {}
    return [
      {
        name,
        target,
        isolation,
        limits: { ...defaults.limits, timeoutSeconds },
        ...stateless,
        ...openapi,
        ...tools,
        ...forwardsOf(entry),
        ...(own ? { own } : proof && { proof }),
      },
    ]
  })
}

/** As a shell takes it for one word. */
function typed(word: string): string {
  return /^[\w./:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function forwardsOf(entry: NonNullable<ServerEntry>): Pick<NamedServer, 'forwardHeaders'> {
  return entry.kind === 'remote' && entry.forwardHeaders.length > 0 ? { forwardHeaders: entry.forwardHeaders } : {}
}

/** A header that says who we are goes before everything that could be found to say it. */
function proofOf(
  entry: NonNullable<ServerEntry>,
  named: NamedServer['target'],
  { at, how }: { at: Where; how: string },
  { machine, keys }: Surroundings,
): ConfiguredServer['proof'] {
  const { identity: name, oauth } = entry.kind === 'remote' ? entry : { identity: undefined, oauth: undefined }
  const target = askedByHttp(named)
  if (target.kind !== 'remote') return undefined
  const [resource] = target.urls
  const way = target.way && { way: target.way }
  if (target.way?.trust?.unchecked) {
    if (name !== undefined) throw new OpenMcpError('usage', `${at()}: id proves us, and with tls.verify false nobody knows to whom`)
    if (oauth) throw new OpenMcpError('usage', `${at('oauth')}: proves us, and with tls.verify false nobody knows to whom`)
    return undefined
  }
  const client = oauth && resource && clientOf(oauth, resource)
  if (client) return { client, ...way }
  if (name === undefined) {
    const logins = keptLogins(target, machine)
    return logins && { logins: { ...logins, ...(oauth && { how }) }, ...way }
  }
  if ('authorization' in target.headers) throw new OpenMcpError('usage', `${at()}: id and a header authorization both say who we are`)
  return resource && { login: { name, keys, resource, bound: false }, ...way }
}

/** Each caller logs in there, and nobody for them. */
function ownOf(
  server: string,
  entry: NonNullable<ServerEntry>,
  target: NamedServer['target'],
  { at, isolation }: { at: Where; isolation: NamedServer['isolation'] },
  { machine }: Surroundings,
): OwnProof | undefined {
  if (entry.kind !== 'remote' || entry.oauth?.per !== 'caller') return undefined
  const [address] = target.kind === 'remote' ? target.urls : []
  // Never one for all in its place.
  if (target.kind !== 'remote' || !address) throw new OpenMcpError('usage', `${at('oauth', 'per')}: caller is for http(s)://`)
  const { clientId: id, clientSecret: secret, issuer, resource: indicator, scope, trustPkce: isPkceTrusted, sessionTimeoutMinutes } = entry.oauth
  if (isolation === 'shared') throw new OpenMcpError('usage', `${at('isolation')}: shared is one for all, and oauth.per caller one for each`)
  if (target.others || target.fallbacks) throw new OpenMcpError('usage', `${at('oauth', 'per')}: caller is for one address, and there are several`)
  const idleSeconds = sessionTimeoutMinutes === undefined ? undefined : sessionTimeoutMinutes * 60
  const client = { id, secret }
  return { server, address, directory: loginsDirectory(machine), client, issuer: urlOf(issuer), indicator, scope, isPkceTrusted, idleSeconds, way: target.way }
}

/** Undefined where a person logs in: what that has left is kept. */
function clientOf({ grant, clientId: id, clientSecret: secret, tokenUrl, issuer, resource, scope }: OAuthEntry, address: URL): ClientLogin | undefined {
  if (grant !== 'client_credentials' || id === undefined || secret === undefined) return undefined
  return { id, secret, address, tokenUrl: urlOf(tokenUrl), issuer: urlOf(issuer), resource, scope }
}

function urlOf(text: string | undefined): URL | undefined {
  return text === undefined ? undefined : new URL(text)
}

function commandOf(
  { command, args, env, envFiles, passEnv, cwd, headerToEnv }: CommandEntry,
  at: Where,
  file: string,
  { machine, warnings }: Surroundings,
): NamedServer['target'] {
  const here = besideFile(machine, file)
  const set = [...envFiles.flatMap((path) => parseEnvFile(textOf(machine, at('envFile'), here(path)), path)), ...env]
  for (const name of passEnv)
    if (!isSet(name, machine.env, machine.platform)) warnings.push(`${at('passEnv')}: ${name} is not set here, so the child does not get it`)
  const directory = cwd === undefined ? undefined : here(cwd)
  if (directory !== undefined && !machine.isDirectory(directory)) throw new OpenMcpError('usage', `${at('cwd')}: there is no directory ${directory}`)
  return {
    kind: 'command',
    command,
    args,
    env: childEnvironment({ env: machine.env, platform: machine.platform, pass: passEnv, set }),
    ...(directory !== undefined && { cwd: directory }),
    ...(headerToEnv.size > 0 && { headerToEnv: Object.fromEntries(headerToEnv) }),
  }
}

function remoteOf(
  { endpoints: [urls = [], ...others], fallbacks, transport, headers, tls, retry: own }: RemoteEntry,
  at: Where,
  { file, retry: all }: Config,
  { machine, warnings }: Surroundings,
): NamedServer['target'] {
  const named = Array.from(headers, ([name, value]) => parseHeader(`${name}: ${value}`, at('headers', name)))
  const twin = named.find(([name], index) => named.findIndex(([other]) => other === name) !== index)
  if (twin) throw new OpenMcpError('usage', `${at('headers')}: ${twin[0]} is given more than once`)
  const here = besideFile(machine, file)
  const ca = tls && { ...tls, ca: tls.ca === undefined ? undefined : here(tls.ca) }
  const way = configuredWay(ca, [urls, ...others, ...fallbacks].flat(), { at: at(), machine, warnings })
  const [first] = urls
  const unwise: string[] = []
  warnOfUrl(first, named.length > 0, { warnings: unwise })
  warnings.push(...unwise.map((words) => `${at()}: ${words}`))
  if (first && isSocket(first))
    return { kind: 'socket', url: first, headers: Object.fromEntries(named), ...severalSockets({ others, fallbacks }), ...(way && { way }) }
  const retry = retryOf(own, all)
  return {
    kind: 'remote',
    urls,
    transport: transport === 'http' || transport === 'sse' ? transport : 'auto',
    headers: Object.fromEntries(named),
    ...(others.length > 0 && { others }),
    ...(fallbacks.length > 0 && { fallbacks }),
    ...(retry && { retry }),
    ...(way && { way }),
  }
}
