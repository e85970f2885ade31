// The composition root: options in → a running proxy out. The only file that joins rooms.
import type { Readable, Writable } from 'node:stream'

import { refuse } from './downstream/refuse.ts'
import { createStdioDoor } from './downstream/stdio.ts'
import { OpenMcpError } from './errors.ts'
import type { HostRules } from './http/hosts.ts'
import type { SecurityOptions } from './oauth/options.ts'
import type { Log, LogFormat, LogLevel } from './observe/log.ts'
import { ANYBODY } from './protocol/caller.ts'
import type { Limits } from './protocol/limits.ts'
import { isLoopbackHost } from './protocol/loopback.ts'
import { OPEN_GATE } from './relay/gate.ts'
import type { Security } from './security.ts'
import { createServer, type Admitted } from './server.ts'
import { connect } from './upstream/connect.ts'
import type { Credential } from './upstream/options.ts'

/** A stdio server that openmcp starts itself. Never through a shell. */
export interface CommandTarget {
  kind: 'command'
  command: string
  args: readonly string[]
  /** All of the child's environment. */
  env: Readonly<Record<string, string>>
  cwd?: string
}

/** A remote server. With several URLs (none had a path) the first that speaks MCP is it. */
export interface RemoteTarget {
  kind: 'remote'
  urls: readonly URL[]
  transport: 'auto' | 'http' | 'sse'
  /** Sent with every request to the upstream, and to nobody else. */
  headers: Readonly<Record<string, string>>
}

export interface ListenOptions {
  host: string
  /** 0 picks a free one. */
  port: number
  tls?: { cert: string; key: string }
  /** Host names beside the bound address under which clients may call. */
  allowHosts: readonly string[]
  /** Web origins that may call. Each is exact: scheme, host and port. */
  allowOrigins: readonly string[]
  exposeHeaders: readonly string[]
  /** `/x`: every path is served below it. Empty: none. */
  pathPrefix: string
  /** What clients call beyond a reverse proxy: its origin is the issuer's, and its host is let in. */
  publicUrl?: URL
  /** Binding a non-loopback address without knowing who calls. Refused unless true. */
  insecureNoAuth: boolean
}

export interface OpenMcpOptions {
  target: CommandTarget | RemoteTarget
  /** None: served on our own stdin and stdout. */
  listen?: ListenOptions
  /** What the server is called in the log and on /status. */
  name: string
  /** One child (or upstream connection) per session, one per identity, or one for all. */
  isolation: 'session' | 'identity' | 'shared'
  limits: Limits
  /** Every caller proves who they are. Only where we listen: on stdio there is nobody to ask. */
  security?: SecurityOptions
  /** How we prove ourselves to the remote server. */
  credential?: Credential
  log: { level: LogLevel; format: LogFormat }
}

export interface OpenMcpIo {
  stdin: Readable
  stdout: Writable
  log: Log
  now: () => number
}

export interface OpenMcp {
  /** Where it listens; undefined on stdio. */
  readonly url: URL | undefined
  /** When nobody is trusted yet: whoever redeems this link is, once, within 15 minutes. It is a secret. */
  readonly enrolment?: URL | undefined
  /** Settles when there is nothing left to serve: on stdio the client left, or, with the reason, the server ended. Never while listening. */
  readonly ended: Promise<OpenMcpError | undefined>
  /** Takes no new client, lets calls in flight finish (`drainSeconds`), ends the rest. Safe to repeat. */
  close(): Promise<void>
}

export type { SecurityOptions }

/** Starts the proxy. Fails with `command_not_found`, `port_taken`, or what else can be known at start. */
export async function openmcp(options: OpenMcpOptions, io: OpenMcpIo): Promise<OpenMcp> {
  const { target, listen, name, isolation, limits, security, credential } = options
  if (security && !listen) {
    throw new OpenMcpError('usage', 'security is about who calls, and on stdio there is nobody to ask', { hint: 'listen on a port: -p 8000' })
  }
  if (listen && !isLoopbackHost(listen.host) && !listen.insecureNoAuth && !security) {
    throw new OpenMcpError('usage', `${listen.host} can be reached by others, and nobody would have to prove who they are`, {
      hint: 'bind 127.0.0.1, ask with --security, or say --insecure-no-auth',
    })
  }
  // The child starts while the rest is loaded.
  const connection = connect(target, { isolation, limits, log: io.log, now: io.now, name, credential })
  try {
    return await (listen ? overHttp(listen) : overStdio())
  } catch (error) {
    await connection.close()
    throw error
  }

  async function overStdio(): Promise<OpenMcp> {
    const door = createStdioDoor({ upstream: connection.messages, stdin: io.stdin, stdout: io.stdout, limits })
    await connection.started
    let closing: Promise<void> | undefined
    return {
      url: undefined,
      ended: door.ended,
      close: () => (closing ??= door.close().then(connection.close)),
    }
  }

  async function overHttp(on: ListenOptions): Promise<OpenMcp> {
    const [{ createApp }, { createHostRules }, { serve }] = await Promise.all([import('./http/app.ts'), import('./http/hosts.ts'), import('./http/serve.ts')])
    if (target.kind === 'command') await connection.started
    const { log, now } = io
    const rules = createHostRules({
      host: on.host,
      port: () => listening.port,
      tls: on.tls !== undefined,
      allowHosts: on.allowHosts,
      allowOrigins: on.allowOrigins,
    })
    const proof = security && (await secured(security, on, rules))
    if (proof && isolation === 'shared') log.warn('one server for all: it tells its callers apart no more than it can; tasks of one may be read by another')
    // Where nobody has to prove who they are, everybody is one caller.
    const admitted: Admitted = proof ? { ...proof.guard, gate: proof.gate } : { callerOf: () => ANYBODY, gate: OPEN_GATE }
    const server = createServer({ connection, admitted, limits, log, now })
    proof?.onOver(server.endOf)
    let lastActivityMs = now()
    let stopping = false
    const status = {
      ready: () => !stopping && connection.state() !== 'unreachable',
      lastActivity: () => new Date(lastActivityMs).toISOString(),
      instances: () => ({ [name]: connection.state() }),
      counts: () => ({ ...server.counts() }),
    }
    const scheme = on.tls ? 'https' : 'http'
    const app = createApp({
      rules,
      tls: on.tls !== undefined,
      exposeHeaders: on.exposeHeaders,
      pathPrefix: on.pathPrefix,
      status,
      security: proof && { issuer: proof.issuer, keys: proof.keys, guard: proof.guard.handler },
      mcp(req, res) {
        if (stopping) return refuse(res, new OpenMcpError('stopping', 'openmcp is stopping'), { log, headers: { connection: 'close' } })
        lastActivityMs = now()
        server.mcp(req, res)
      },
      sse: (req, res) => server.sse(req, res, `${on.pathPrefix}/messages`),
      messages(req, res) {
        lastActivityMs = now()
        server.messages(req, res)
      },
      log,
    })
    const listening = await serve(app, { host: on.host, port: on.port, tls: on.tls, limits }).catch(async (error: unknown) => {
      await proof?.close()
      throw error
    })
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      stopping = true
      listening.stop()
      await server.drained(limits.drainSeconds)
      await server.close()
      await listening.close()
      await proof?.close()
    }
    const secret = await proof?.enrol()
    const shown = on.host.includes(':') ? `[${on.host}]` : on.host
    const base = on.publicUrl ? on.publicUrl.origin : `${scheme}://${shown}:${listening.port}`
    return {
      url: new URL(`${scheme}://${shown}:${listening.port}${on.pathPrefix}/mcp`),
      enrolment: secret === undefined ? undefined : new URL(`${base}${on.pathPrefix}/keys#enrol=${secret}`),
      ended: new Promise(() => {}),
      close: () => (closing ??= close()),
    }
  }
  /** Loaded when it is asked for: a proxy that asks nobody should not wait for it. */
  async function secured(asked: SecurityOptions, on: ListenOptions, rules: HostRules): Promise<Security> {
    const { createSecurity } = await import('./security.ts')
    const place = { rules, tls: on.tls !== undefined, publicUrl: on.publicUrl, pathPrefix: on.pathPrefix }
    return createSecurity(asked, place, io)
  }
}
