// From what is typed behind `run` to the options of openmcp.
import { OpenMcpError, neverSay } from '../errors.ts'
import type { OpenMcpOptions } from '../openmcp.ts'
import type { LogLevel } from '../observe/log.ts'
import { isObject } from '../protocol/message.ts'
import { isSocket, shownTarget } from '../protocol/target.ts'
import type { Arguments } from './arguments.ts'
import type { Config } from './config-file.ts'
import { configuredServers, type ConfiguredServer } from './configured-servers.ts'
import { keysDirectory } from './home.ts'
import { limitsOf } from './limit-options.ts'
import { listenOf } from './listen-options.ts'
import { fillingOf, textOf, type Machine } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { aggregateOf, namedServersOf, toolRulesOf } from './named-servers.ts'
import { RUN_OPTIONS } from './option-table.ts'
import { proofOf } from './proof-options.ts'
import { parsePublish, upstreamOf, type Publish } from './publish.ts'
import { NO_CONFIG, isSecured, securityOf, type ReadConfig } from './security-options.ts'
import { forwardsOf } from './forward-options.ts'
import { endpointsOf, severalOf } from './several-options.ts'
import { readVersion } from './version.ts'
import { allOf, commandTarget, oneOf, refuseUseless, remoteTarget, type Reading, type There } from './target-options.ts'
import { hasTsp } from './tsp-options.ts'
import type { Proof } from './upstream-login.ts'
import { parseChoice, parseName } from './values.ts'
import { vidTarget } from './vid-target.ts'
import { wayOf } from './way-options.ts'

export interface RunOptions {
  options: OpenMcpOptions
  /** Those of the configuration, without what proves us to them. */
  servers: readonly ConfiguredServer[]
  /** How we prove ourselves to the upstream that was typed. */
  proof?: Proof
  /** What works and is unwise. Never holds a value that may be secret. */
  warnings: readonly string[]
  /** Whether the client on stdio hears our log. */
  tellsClient?: true
  /** With --config: the files that all of this was read from, and how it is read anew. Throws as `runOptions` does. */
  source?: Source
}

export interface Source {
  /** Also those that were read, or sought in vain, by a reading that failed. */
  files(): readonly string[]
  again(): RunOptions
}

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
  const config = oneOf(reading, 'config', (path, as) => configAt(path, as, machine, readConfig)) ?? NO_CONFIG
  const { warnings, mistakes } = config
  // Before anything is said of it.
  neverSay(config.secrets)
  reading.warnings.push(...warnings)
  for (const mistake of mistakes) reading.mistakes.add(mistake)
  // What cannot be read may name servers.
  const hasServers =
    (isObject(config.value) && 'mcpServers' in config.value) ||
    mistakes.length > 0 ||
    (config === NO_CONFIG && args.given.has('config')) ||
    args.given.has('named-server')
  const endpoints = endpointsOf(reading)
  const published = servedAt(
    reading.mistakes.attempt(() => publishOf(args, hasServers, endpoints[0])),
    config,
    reading,
  )
  if (published !== undefined) refuseUseless(reading, RUN_OPTIONS, whatIsThere(args, published))
  const target = targetOf(reading, published, endpoints, config)
  const listen = listenOf(reading, published?.listen, config)
  const isServed = published?.listen !== undefined
  const security = published && securityOf(reading, isServed ? listen : undefined, config)
  const proof = target && proofOf(reading, target)
  const openapi = allOf(reading, 'openapi').length > 0 ? { openapi: {} } : {}
  const form = oneOf(reading, 'openapi-form', (text, as) => parseChoice(text, as, ['tools', 'mcpo']))
  const shared = { isolation: isolationOf(reading) ?? 'session', limits: limitsOf(reading, config.limits), ...openapi } as const
  const isStateless = allOf(reading, 'stateless').length > 0
  const configured = configuredServers(config, {
    machine,
    mistakes: reading.mistakes,
    warnings: reading.warnings,
    defaults: shared,
    keys: keysDirectory(reading),
  })
  if (published && !security) refuseOwn(config, configured, reading)
  const servers = [...namedServersOf(reading, shared), ...configured]
  // On stdio there is one place, and it is for all of them.
  const isAggregate = config.aggregate || (published !== undefined && !target && !isServed)
  const options: OpenMcpOptions = {
    ...(target && { target }),
    ...aggregateOf(reading, isAggregate, target, readVersion),
    ...toolRulesOf(reading, target),
    ...(isServed && { listen }),
    ...(security && { security }),
    name: oneOf(reading, 'name', parseName) ?? config.name ?? 'default',
    ...shared,
    ...(openapi.openapi && form && { openapi: { form } }),
    ...(isStateless && { stateless: true }),
    ...forwardsOf(reading, target),
    log: { level: levelOf(reading), format: oneOf(reading, 'log-format', (text, as) => parseChoice(text, as, ['text', 'json'])) ?? 'text' },
  }
  const [tells] = allOf(reading, 'log-to-client')
  if (tells && isServed) {
    const hint = `drop ${tells.as}: /status and stderr say how it goes`
    reading.mistakes.add(new OpenMcpError('usage', `${tells.as} is for the client on our stdio, and openmcp listens on a port`, { hint }))
  }
  reading.mistakes.throwIfAny()
  return { options, servers, warnings: reading.warnings, ...(proof && { proof }), ...(tells && { tellsClient: true }) }
}

/** A login of whom, where everybody is one? */
function refuseOwn({ where }: Config, servers: readonly ConfiguredServer[], { mistakes }: Reading): void {
  const hint = 'add --security, or let one login be for all: "per": "all"'
  for (const { name, own } of servers) {
    if (own)
      mistakes.add(
        new OpenMcpError('usage', `${where('mcpServers', name, 'oauth')}: each caller has a login of their own, and nobody is asked who they are`, { hint }),
      )
  }
}

function unread(): never {
  throw new OpenMcpError('internal', 'there is nothing that reads a configuration')
}

function configAt(path: string, as: string, machine: Machine, readConfig: ReadConfig): Config {
  return readConfig(textOf(machine, as, path), path, fillingOf(machine, path))
}

/** Where -p says nothing of a port, the file may. */
function servedAt(published: Publish | undefined, { listen, where, value, mistakes: found }: Config, { mistakes }: Reading): Publish | undefined {
  if (!published || published.listen || published.isStdio) return published
  // What is wrong with it is told, and what follows from that is not.
  if (!listen) return found.length > 0 && isObject(value) && 'listen' in value ? undefined : published
  if (listen.port !== undefined) return { ...published, listen: { host: listen.host ?? '127.0.0.1', port: listen.port } }
  mistakes.add(new OpenMcpError('usage', `${where('listen')}: has no port, and there is no -p`, { hint: 'add a port, 0 for any that is free' }))
  return published
}

/** Undefined: only what a file names is served. */
function targetOf(reading: Reading, published: Publish | undefined, endpoints: readonly (readonly URL[])[], { retry }: Config): OpenMcpOptions['target'] {
  if (reading.args.kind === 'command') return commandTarget(reading)
  if (published?.vid) return vidTarget(reading, published.vid, isSecured(reading))
  if (published && !published.urls) return undefined
  const urls = published?.urls ?? []
  // What the file says of all is for those that it is of use to.
  const several = severalOf(reading, endpoints, urls.some(isSocket) ? undefined : retry)
  return remoteTarget(reading, urls, several, wayOf(reading, [urls, ...(several.others ?? []), ...(several.fallbacks ?? [])].flat()))
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
    program: args.kind === 'command' || args.given.has('named-server'),
    upstream: isVid || urls !== undefined,
    port: listen !== undefined,
    // A file may have servers that are served so, now or when it has changed.
    openapi: listen !== undefined && (args.given.has('openapi') || args.given.has('config')),
    security,
    proof: security || isVid || args.given.has('id'),
    tsp: isVid || hasTsp({ args }),
  }
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
