// openmcp for programs: few options, each with a default that is safe, and what is refused on the command line is refused here.
import { join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'

import { OpenMcpError } from '../errors.ts'
import type { SecurityOptions } from '../oauth/options.ts'
import type { Log } from '../observe/log.ts'
import { openmcp } from '../openmcp.ts'
import type { OpenApiOptions } from '../openapi/door.ts'
import { networkOf, pathPrefixOf } from '../protocol/behind-proxy.ts'
import { isServerName } from '../protocol/server-path.ts'
import { endChildrenWithUs } from './exit.ts'
import { checkedOperatorKey } from './operator-key.ts'
import type { ListenOptions, OpenMcpOptions, RootOpenApiOptions } from './options.ts'
import type { Changes, NamedServer } from './servers.ts'
import { checkRules, limitsOf, logOf, refuseUnknown, targetOf, type ServerSettings, type ServingSettings } from './settings.ts'

/** What is said of serving is said of the server at the root; isolation and limits also of those of `servers` that say nothing else. */
export interface OpenMcpSettings extends ServingSettings {
  /** The server at the root: `/mcp` and `/sse`. */
  server?: ServerSettings
  /** Beside it, by name, each at `/servers/NAME/mcp` and `/servers/NAME/sse`. */
  servers?: Readonly<Record<string, NamedSettings>>
  /** Without `server`: all of `servers` as one at the root, which tells clients this name and version. */
  aggregate?: { name: string; version: string }
  /** Where to listen. Undefined: a free port of loopback. `stdio`: on our own stdin and stdout, where there is one place: for `server` or for all as one. */
  listen?: ListenSettings | 'stdio'
  /**
   * Tools as plain HTTP operations, too, with an OpenAPI document: of what is at the root, and of those of `servers` that say nothing else.
   * An object says what else is; `form`, how the document at the root names them (`tools`, unless told).
   */
  openapi?: boolean | (OpenApiSettings & { form?: 'tools' | 'mcpo' })
  /** Undefined: nobody is asked who they are, and only loopback is listened on. */
  security?: SecuritySettings
  /** What the server at the root is called in the log and on /status. */
  name?: string
  /** What is taken from the process, unless it comes from here. Undefined `log`: warnings and errors, on stderr. */
  io?: { stdin?: Readable; stdout?: Writable; log?: Log; now?: () => number }
}

export type NamedSettings = ServerSettings & ServingSettings & { openapi?: boolean | OpenApiSettings }

export interface OpenApiSettings {
  /** Resources and prompts are operations as well. Not so, unless told. */
  resources?: boolean
  prompts?: boolean
}

/** See `ListenOptions` for each. All may be left out. */
export interface ListenSettings extends Partial<Omit<ListenOptions, 'trustProxies'>> {
  /** `ADDRESS` or `ADDRESS/BITS` of proxies in front, whose `X-Forwarded-Prefix` is taken where there is no `rootPath`. */
  trustProxies?: readonly string[]
}

export interface SecuritySettings {
  /** A directory for keys and for what was decided about whom; made when it is not there. `OPENMCP_HOME` of `openmcp trust` and its like. */
  home: string
  /** Who may come in, beside those whom `openmcp trust` let in. */
  trust?: SecurityOptions['trust']['identities']
  /** Keys that let in whoever holds one. Each at least 32 characters, by chance. */
  apiKeys?: readonly string[]
  /** Seconds that a token lives: 900, unless told; 60 to 3600. */
  tokenSeconds?: number
  dpop?: SecurityOptions['dpop']
}

export interface RunningOpenMcp {
  /** Where the root is served; undefined on stdio. */
  readonly url: URL | undefined
  /** With `security`, when nobody is trusted yet: whoever redeems this link is, once, within 15 minutes. It is a secret. */
  readonly enrolment: URL | undefined
  /** Settles when there is nothing left to serve: on stdio the client left, or, with the reason, the server ended. Never while listening. */
  readonly ended: Promise<OpenMcpError | undefined>
  /**
   * These named servers instead of those that there are. What did not change keeps its sessions; what is gone is gone within a second,
   * with routes, sessions and children. Refused as a whole, with nothing changed.
   */
  apply(servers: Readonly<Record<string, NamedSettings>>): Promise<Changes>
  /** Takes no new client, lets calls in flight finish (`limits.drainSeconds`), ends the rest with all children. Safe to repeat. */
  close(): Promise<void>
}

/**
 * Starts a proxy. Fails with an `OpenMcpError`: `usage` for options that make no sense or would let in everybody (as the command line
 * does, with exit code 2), `command_not_found`, `port_taken`, or what else can be known at start. It hears no signals: call `close`.
 */
export async function createOpenMcp(settings: OpenMcpSettings): Promise<RunningOpenMcp> {
  const { server, servers = {}, aggregate, listen = {}, openapi, security, name = 'default', isolation = 'session', tools, limits, io = {}, ...more } = settings
  refuseUnknown(more, 'createOpenMcp')
  if (!server && Object.keys(servers).length === 0 && !aggregate)
    throw new OpenMcpError('usage', 'there is no server', { hint: 'name one as server, or some as servers' })
  if (tools && !server) throw new OpenMcpError('usage', 'tools are those of server, and there is none', { hint: 'say them of each of servers' })
  if (tools) checkRules(tools, 'createOpenMcp')
  const plain = rootOpenApiOf(openapi)
  const shared: Shared = { isolation, limits: limitsOf(limits), ...(plain && { openapi: plain }) }
  refuseWithoutCallers(isolation, security)
  if (listen === 'stdio' && (plain || Object.values(servers).some((one) => one.openapi)))
    throw new OpenMcpError('usage', 'openapi is about HTTP, and on stdio there is none', { hint: 'listen on a port: listen: { port: 8000 }' })
  if (security && listen !== 'stdio' && listen.insecureNoAuth) throw new OpenMcpError('usage', 'security asks everybody, and insecureNoAuth nobody')
  const options: OpenMcpOptions = {
    ...(server && { target: targetOf(server, 'server') }),
    ...(aggregate && { aggregate }),
    ...(tools && { tools }),
    servers: namedServers(servers, shared, security),
    ...(listen !== 'stdio' && { listen: listenOf(listen) }),
    ...(security && { security: securityOf(security) }),
    name,
    ...shared,
    log: { level: 'warn', format: 'text' },
  }
  endChildrenWithUs()
  const { stdin = process.stdin, stdout = process.stdout, now = Date.now } = io
  const running = await openmcp(options, { stdin, stdout, log: logOf(io.log), now })
  return {
    url: running.url,
    enrolment: running.enrolment,
    ended: running.ended,
    apply: async (next) => running.apply(namedServers(next, shared, security)),
    close: () => running.close(),
  }
}

type Shared = Pick<OpenMcpOptions, 'isolation' | 'limits' | 'openapi'>

function namedServers(servers: Readonly<Record<string, NamedSettings>>, shared: Shared, security: SecuritySettings | undefined): NamedServer[] {
  return Object.entries(servers).map(([name, { isolation = shared.isolation, tools, limits, openapi, ...server }]) => {
    const at = `servers.${name}`
    if (!isServerName(name)) throw new OpenMcpError('usage', `${JSON.stringify(name)} is no name for a server`)
    refuseWithoutCallers(isolation, security)
    if (tools) checkRules(tools, at)
    const { form: _form, ...sharedOpenApi } = shared.openapi ?? {}
    const plain = openapi === undefined ? shared.openapi && sharedOpenApi : openApiOf(openapi, at)
    return {
      name,
      target: targetOf(server, at),
      isolation,
      limits: limitsOf({ ...shared.limits, ...limits }),
      ...(tools && { tools }),
      ...(plain && { openapi: plain }),
    }
  })
}

function rootOpenApiOf(given: OpenMcpSettings['openapi']): RootOpenApiOptions | undefined {
  const { form, ...others } = typeof given === 'object' ? given : {}
  if (form !== undefined && form !== 'tools' && form !== 'mcpo') throw new OpenMcpError('usage', 'openapi.form is tools or mcpo')
  const own = openApiOf(given === undefined || typeof given === 'boolean' ? (given ?? false) : others, 'createOpenMcp')
  return own && { ...own, ...(form && { form }) }
}

function openApiOf(given: boolean | OpenApiSettings, at: string): OpenApiOptions | undefined {
  if (given === false) return undefined
  const { resources = false, prompts = false, ...more } = given === true ? {} : given
  refuseUnknown(more, `${at}.openapi`)
  return { resources, prompts }
}

function listenOf(given: ListenSettings): ListenOptions {
  const {
    host = '127.0.0.1',
    port = 0,
    tls,
    allowHosts = [],
    allowOrigins = [],
    exposeHeaders = [],
    pathPrefix = '',
    rootPath,
    trustProxies = [],
    publicUrl,
    insecureNoAuth = false,
    ...more
  } = given
  refuseUnknown(more, 'listen')
  return {
    host,
    port,
    ...(tls && { tls }),
    // What clients call it by is ours.
    allowHosts: publicUrl ? [...allowHosts, publicUrl.host] : allowHosts,
    allowOrigins: publicUrl ? [...allowOrigins, publicUrl.origin] : allowOrigins,
    exposeHeaders,
    pathPrefix,
    ...(rootPath !== undefined && { rootPath: checked(pathPrefixOf(rootPath), 'listen.rootPath is no path like /x') }),
    ...(trustProxies.length > 0 && { trustProxies: trustProxies.map((one) => checked(networkOf(one), 'listen.trustProxies holds what is no address')) }),
    ...(publicUrl && { publicUrl }),
    insecureNoAuth,
  }
}

function checked<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new OpenMcpError('usage', message)
  return value
}

function securityOf({ home, trust = [], apiKeys = [], tokenSeconds = 900, dpop = 'optional', ...more }: SecuritySettings): SecurityOptions {
  refuseUnknown(more, 'security')
  if (!(tokenSeconds >= 60 && tokenSeconds <= 3600)) throw new OpenMcpError('usage', 'security.tokenSeconds is not from 60 to 3600')
  return {
    keys: resolve(home, 'keys'),
    store: `file:${join(resolve(home), 'store.db')}`,
    trust: { identities: trust, issuers: [], selfIssued: true },
    apiKeys: apiKeys.map((key, index) => checkedOperatorKey(key, `security.apiKeys[${index}]`)),
    tokenSeconds,
    dpop,
    trustLoopback: false,
    didSeconds: 60,
  }
}

function refuseWithoutCallers(isolation: ServingSettings['isolation'], security: SecuritySettings | undefined): void {
  if (isolation === 'identity' && !security) throw new OpenMcpError('usage', 'isolation identity needs to know who calls', { hint: 'add security' })
}
