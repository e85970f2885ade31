// From what is typed behind `run` to the options of openmcp.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { OpenMcpError } from '../errors.ts'
import type { ListenOptions, OpenMcpOptions } from '../openmcp.ts'
import type { LogLevel } from '../observe/log.ts'
import { DEFAULT_LIMITS, type Limits } from '../protocol/limits.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { shownTarget } from '../protocol/target.ts'
import type { Arguments } from './arguments.ts'
import type { Config } from './config-file.ts'
import { configuredServers, type ConfiguredServer } from './configured-servers.ts'
import { parseHeaderName } from './headers.ts'
import { keysDirectory } from './home.ts'
import { textOf, type Machine } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { aggregateOf, namedServersOf, toolRulesOf } from './named-servers.ts'
import { RUN_OPTIONS } from './option-table.ts'
import { proofOf } from './proof-options.ts'
import { parsePublish, upstreamOf, type Publish } from './publish.ts'
import { NO_CONFIG, isSecured, securityOf, type ReadConfig } from './security-options.ts'
import { endpointsOf, severalOf } from './several-options.ts'
import { readVersion } from './version.ts'
import { allOf, commandTarget, oneOf, refuseUseless, remoteTarget, type Reading, type There } from './target-options.ts'
import { hasTsp } from './tsp-options.ts'
import type { Proof } from './upstream-login.ts'
import { parseBytes, parseChoice, parseCount, parseHost, parseName, parseOrigin, parsePathPrefix, parsePublicUrl, parseSeconds } from './values.ts'
import { vidTarget } from './vid-target.ts'

export interface RunOptions {
  options: OpenMcpOptions
  /** Those of the configuration, without what proves us to them. */
  servers: readonly ConfiguredServer[]
  /** How we prove ourselves to the upstream that was typed. */
  proof?: Proof
  /** What works and is unwise. Never holds a value that may be secret. */
  warnings: readonly string[]
  /** With --config: the files that all of this was read from, and how it is read anew. Throws as `runOptions` does. */
  source?: Source
}

export interface Source {
  /** Also those that were read, or sought in vain, by a reading that failed. */
  files(): readonly string[]
  again(): RunOptions
}

type Bind = NonNullable<Publish['listen']>

/** Everything `run` needs, or one failure that tells all mistakes. */
export function runOptions(args: Arguments, machine: Machine, readConfig: ReadConfig = unread, files = new Set<string>()): RunOptions {
  const noted: Machine = {
    ...machine,
    readText(path) {
      files.add(machine.resolve(path))
      return machine.readText(path)
    },
  }
  const typed = readOptions(args, noted, readConfig)
  return args.given.has('config') ? { ...typed, source: { files: () => [...files], again: () => runOptions(args, machine, readConfig, files) } } : typed
}

function readOptions(args: Arguments, machine: Machine, readConfig: ReadConfig): RunOptions {
  const reading: Reading = { args, machine, mistakes: createMistakes(args.mistakes), warnings: [] }
  const config = oneOf(reading, 'config', (path, as) => configAt(path, as, machine, readConfig))
  const { servers: entries, warnings } = config ?? NO_CONFIG
  reading.warnings.push(...warnings)
  // What cannot be read may name servers.
  const hasServers = entries.size > 0 || (config === undefined && args.given.has('config')) || args.given.has('named-server')
  const endpoints = endpointsOf(reading)
  const published = reading.mistakes.attempt(() => publishOf(args, hasServers, endpoints[0]))
  if (published !== undefined) refuseUseless(reading, RUN_OPTIONS, whatIsThere(args, published))
  const target = targetOf(reading, published, endpoints)
  const listen = listenOf(reading, published?.listen)
  const isServed = published?.listen !== undefined
  const security = published && securityOf(reading, isServed ? listen : undefined, config ?? NO_CONFIG)
  const proof = target && proofOf(reading, target)
  const shared = { isolation: isolationOf(reading) ?? 'session', limits: limitsOf(reading) }
  const isStateless = allOf(reading, 'stateless').length > 0
  const file = allOf(reading, 'config')[0]?.value ?? ''
  const configured = configuredServers(entries, {
    file,
    machine,
    mistakes: reading.mistakes,
    warnings: reading.warnings,
    defaults: shared,
    keys: keysDirectory(reading),
  })
  const servers = [...namedServersOf(reading, shared), ...configured]
  // On stdio there is one place, and it is for all of them.
  const isAggregate = config?.aggregate === true || (published !== undefined && !target && !isServed)
  const options: OpenMcpOptions = {
    ...(target && { target }),
    ...aggregateOf(reading, isAggregate, target, readVersion),
    ...toolRulesOf(reading, target),
    ...(isServed && { listen }),
    ...(security && { security }),
    name: oneOf(reading, 'name', parseName) ?? 'default',
    ...shared,
    ...(isStateless && { stateless: true }),
    log: { level: levelOf(reading), format: oneOf(reading, 'log-format', (text, as) => parseChoice(text, as, ['text', 'json'])) ?? 'text' },
  }
  reading.mistakes.throwIfAny()
  return { options, servers, warnings: reading.warnings, ...(proof && { proof }) }
}

function unread(): never {
  throw new OpenMcpError('internal', 'there is nothing that reads a configuration')
}

/** Files that it names are seen from its own directory. */
function configAt(path: string, as: string, machine: Machine, readConfig: ReadConfig): Config {
  const readText = (other: string): string => machine.readText(resolve(dirname(machine.resolve(path)), other))
  return readConfig(textOf(machine, as, path), path, { env: machine.env, readText })
}

/** Undefined: only what a file names is served. */
function targetOf(reading: Reading, published: Publish | undefined, endpoints: readonly (readonly URL[])[]): OpenMcpOptions['target'] {
  if (reading.args.kind === 'command') return commandTarget(reading)
  if (published?.vid) return vidTarget(reading, published.vid, isSecured(reading))
  return published && !published.urls ? undefined : remoteTarget(reading, published?.urls ?? [], severalOf(reading, endpoints))
}

function publishOf(args: Arguments, hasServers: boolean, endpoint: readonly URL[] | undefined): Publish | undefined {
  const [publish] = args.given.get('publish') ?? []
  const [word = ''] = args.words
  if (args.given.has('endpoints')) return amongEndpoints(args, endpoint)
  if (args.kind === 'upstream') {
    if (publish === undefined) return upstreamOf(word)
    throw new OpenMcpError('usage', `${publish.as} and an upstream are two words where one belongs`, { hint: `write -p PORT:${shownTarget(word)}` })
  }
  if (publish !== undefined) return parsePublish(publish.value, { hasCommand: args.kind === 'command', hasServers })
  if (args.kind === 'command' || hasServers) return {}
  // An option that was refused may have been the one that says what to run.
  if (args.mistakes.length > 0) return undefined
  throw new OpenMcpError('usage', 'nothing to run: there is neither a COMMAND nor an upstream', {
    hint: 'openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything',
  })
}

/** With --endpoints PUBLISH says only where to listen, and may be left out. */
function amongEndpoints({ given, kind }: Arguments, endpoint: readonly URL[] | undefined): Publish | undefined {
  const hint = 'name all of them as --endpoints A,B,C'
  if (kind !== 'none') throw new OpenMcpError('usage', '--endpoints says what to serve, and so does what follows the options', { hint })
  const [publish] = given.get('publish') ?? []
  const listen = publish && parsePublish(publish.value, { hasCommand: false, hasServers: true })
  if (listen?.urls) throw new OpenMcpError('usage', '--endpoints says what to serve, and so does -p', { hint })
  // What is wrong with an endpoint is told already.
  return endpoint && { ...listen, urls: endpoint }
}

function whatIsThere(args: Arguments, { urls, vid, listen }: Publish): There {
  const security = isSecured({ args })
  const isVid = vid !== undefined
  return {
    command: args.kind === 'command',
    upstream: isVid || urls !== undefined,
    port: listen !== undefined,
    security,
    proof: security || isVid || args.given.has('id'),
    tsp: isVid || hasTsp({ args }),
  }
}

/** Without a bind its options are read all the same, for the mistakes in them. */
function listenOf(reading: Reading, bind: Bind = { host: '127.0.0.1', port: 0 }): ListenOptions {
  const insecureNoAuth = allOf(reading, 'insecure-no-auth').length > 0
  if (!isLoopbackHost(bind.host) && !isSecured(reading)) weighExposure(reading, bind.host, insecureNoAuth)
  const publicUrl = oneOf(reading, 'public-url', parsePublicUrl)
  const tls = tlsOf(reading)
  return {
    ...bind,
    ...(tls !== undefined && { tls }),
    allowHosts: distinct([...manyOf(reading, 'allow-host', parseHost), publicUrl?.host]),
    allowOrigins: distinct([...manyOf(reading, 'allow-origin', parseOrigin), publicUrl?.origin]),
    exposeHeaders: distinct(manyOf(reading, 'expose-header', parseHeaderName)),
    pathPrefix: oneOf(reading, 'path-prefix', parsePathPrefix) ?? '',
    ...(publicUrl !== undefined && { publicUrl }),
    insecureNoAuth,
  }
}

function weighExposure({ mistakes, warnings }: Reading, host: string, insecureNoAuth: boolean): void {
  if (insecureNoAuth) {
    warnings.push(`--insecure-no-auth: listening on ${host}, where whoever reaches the port may use the server, unasked`)
    return
  }
  mistakes.add(
    new OpenMcpError('usage', `listening on ${host} would let in whoever reaches it, and nobody is asked who they are`, {
      hint: 'leave the address out to listen on loopback, add --security to ask, or --insecure-no-auth if the network in front of it is trusted',
    }),
  )
}

function tlsOf(reading: Reading): { cert: string; key: string } | undefined {
  const { machine, mistakes } = reading
  const read = (path: string, as: string) => textOf(machine, as, path)
  const cert = oneOf(reading, 'tls-cert', read)
  const key = oneOf(reading, 'tls-key', read)
  if (allOf(reading, 'tls-cert').length !== allOf(reading, 'tls-key').length) {
    mistakes.add(new OpenMcpError('usage', '--tls-cert and --tls-key go together', { hint: '--tls-cert cert.pem --tls-key key.pem' }))
    return undefined
  }
  if (cert === undefined || key === undefined) return undefined
  return mistakes.attempt(() => matching(cert, key))
}

function matching(cert: string, key: string): { cert: string; key: string } {
  const certificate = pemOf('--tls-cert', 'a certificate', () => new X509Certificate(cert))
  const privateKey = pemOf('--tls-key', 'a private key without a passphrase', () => createPrivateKey(key))
  if (certificate.checkPrivateKey(privateKey)) return { cert, key }
  throw new OpenMcpError('usage', '--tls-key is not the key of --tls-cert')
}

function pemOf<T>(as: string, what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new OpenMcpError('usage', `${as} holds no PEM text of ${what}`, { cause })
  }
}

const MIB = 1024 ** 2
/** A message becomes a string, and no string of V8 is longer than about 2 ** 29 characters. */
const TEXT = { from: 1024, to: 512 * MIB - 1024 }
const MEMORY = { from: 0, to: 64 * 1024 * MIB }
const MANY = { from: 1, to: 1_000_000 }

const LIMIT_OPTIONS: readonly (readonly [option: string, limit: keyof Limits, read: (text: string, as: string) => number])[] = [
  ['max-body', 'bodyBytes', (text, as) => parseBytes(text, as, TEXT)],
  ['max-message', 'messageBytes', (text, as) => parseBytes(text, as, TEXT)],
  ['max-buffer', 'bufferedBytes', (text, as) => parseBytes(text, as, { ...MEMORY, from: 1024 })],
  ['max-replay', 'replayBytes', (text, as) => parseBytes(text, as, MEMORY)],
  ['max-headers', 'headerBytes', (text, as) => parseBytes(text, as, { from: 1024, to: MIB })],
  // JSON.stringify runs out of stack somewhere above 4000 levels.
  ['max-depth', 'depth', (text, as) => parseCount(text, as, { from: 8, to: 2000 })],
  ['max-streams', 'streams', (text, as) => parseCount(text, as, MANY)],
  ['max-sessions', 'sessions', (text, as) => parseCount(text, as, MANY)],
  ['max-children', 'children', (text, as) => parseCount(text, as, MANY)],
  ['timeout', 'timeoutSeconds', (text, as) => parseSeconds(text, as, { from: 0 })],
  ['idle', 'idleSeconds', (text, as) => parseSeconds(text, as, { from: 0.1 })],
  ['connect-timeout', 'connectSeconds', (text, as) => parseSeconds(text, as, { from: 0.1 })],
  ['drain', 'drainSeconds', (text, as) => parseSeconds(text, as, { from: 0 })],
  ['stop-timeout', 'stopSeconds', (text, as) => parseSeconds(text, as, { from: 0 })],
  ['poll', 'pollSeconds', (text, as) => parseSeconds(text, as, { from: 0 })],
]

function limitsOf(reading: Reading): Limits {
  const limits = { ...DEFAULT_LIMITS }
  for (const [option, limit, read] of LIMIT_OPTIONS) limits[limit] = oneOf(reading, option, read) ?? limits[limit]
  return limits
}

function isolationOf(reading: Reading): OpenMcpOptions['isolation'] | undefined {
  const isolation = oneOf(reading, 'isolation', (text, as) => parseChoice(text, as, ['session', 'identity', 'shared']))
  if (isolation === 'identity' && !isSecured(reading)) {
    reading.mistakes.add(new OpenMcpError('usage', '--isolation identity needs to know who calls', { hint: 'add --security, or use --isolation session' }))
  }
  if (isolation === 'session' && allOf(reading, 'stateless').length > 0) {
    reading.mistakes.add(new OpenMcpError('usage', '--stateless makes no session, and --isolation session one child for each', { hint: 'drop one of them' }))
  }
  return isolation
}

function levelOf(reading: Reading): LogLevel {
  const level = oneOf(reading, 'log-level', (text, as) => parseChoice(text, as, ['error', 'warn', 'info', 'debug']))
  if (allOf(reading, 'debug').length === 0) return level ?? 'info'
  if (level !== undefined && level !== 'debug')
    reading.mistakes.add(new OpenMcpError('usage', `--debug and --log-level ${level} contradict each other`, { hint: 'keep one' }))
  return 'debug'
}

function manyOf<T>(reading: Reading, name: string, read: (text: string, as: string) => T): T[] {
  return allOf(reading, name).flatMap(({ as, value }) => reading.mistakes.attempt(() => read(value, as)) ?? [])
}

function distinct(texts: readonly (string | undefined)[]): string[] {
  return [...new Set(texts.filter((text) => text !== undefined))]
}
