// The composition root: options in → a running proxy out. It, and its folder, are the only place that joins rooms.
import { createEventWriters } from './downstream/event-writer.ts'
import { createMcpDoor, type Handler } from './downstream/mcp.ts'
import { createPassThrough, type PassedSession } from './downstream/pass-through.ts'
import { refuse } from './downstream/refuse.ts'
import { createSseDoor, type SseSession } from './downstream/sse.ts'
import { createStdioDoor } from './downstream/stdio.ts'
import { createPipeDoor, type HttpSession } from './downstream/streamable-http.ts'
import type { TspSession } from './downstream/tsp.ts'
import { OpenMcpError } from './errors.ts'
import type { HostRules } from './http/hosts.ts'
import type { SecurityOptions, TspOptions } from './oauth/options.ts'
import type { CommandTarget, ListenOptions, OpenMcpIo, OpenMcpOptions, RemoteTarget } from './openmcp/options.ts'
import type { SealedOut, VidTarget } from './openmcp/sealed-out.ts'
import { ANYBODY, type Caller } from './protocol/caller.ts'
import { isLoopbackHost } from './protocol/loopback.ts'
import { OPEN_GATE } from './relay/gate.ts'
import { createInFlight } from './relay/in-flight.ts'
import { createSessions } from './relay/sessions.ts'
import type { Security } from './security.ts'
import type { SecuredTsp } from './security/tsp.ts'
import { connect } from './upstream/connect.ts'

export interface OpenMcp {
  /** Where it listens; undefined on stdio. */
  readonly url: URL | undefined
  /** When nobody is trusted yet: whoever redeems this link is, once, within 15 minutes. It is a secret. */
  readonly enrolment?: URL | undefined
  /** The VID that peers are told, in the form that introduces it; undefined where nobody is heard by TSP. */
  readonly tsp?: string | undefined
  /** Settles when there is nothing left to serve: on stdio the client left, or, with the reason, the server ended. Never while listening. */
  readonly ended: Promise<OpenMcpError | undefined>
  /** Takes no new client, lets calls in flight finish (`drainSeconds`), ends the rest. Safe to repeat. */
  close(): Promise<void>
}

export type { CommandTarget, ListenOptions, OpenMcpIo, OpenMcpOptions, RemoteTarget, SecurityOptions, TspOptions, VidTarget }

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
  let tspIsOpen = (_tsp: SecuredTsp | undefined): void => {}
  const server = target.kind === 'vid' ? await sealedOut(target, new Promise((resolve) => (tspIsOpen = resolve))) : target
  const out = server.kind === 'vid' ? server : undefined
  // The child starts while the rest is loaded.
  const connection = connect(server, { isolation, limits, log: io.log, now: io.now, name, credential })
  const disconnect = async (): Promise<void> => {
    await connection.close()
    await out?.close()
  }
  try {
    return await (listen ? overHttp(listen) : overStdio())
  } catch (error) {
    await disconnect()
    throw error
  }

  async function overStdio(): Promise<OpenMcp> {
    const door = createStdioDoor({ upstream: connection.messages, stdin: io.stdin, stdout: io.stdout, limits })
    tspIsOpen(undefined)
    await connection.started
    let closing: Promise<void> | undefined
    return {
      url: undefined,
      ended: door.ended,
      close: () => (closing ??= door.close().then(disconnect)),
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
    let base: string | undefined
    const proof = security && (await prove(security, on, rules, () => base))
    if (proof && isolation === 'shared') log.warn('one server for all: it tells its callers apart no more than it can; tasks of one may be read by another')
    const notServed = async (error: unknown): Promise<never> => {
      await proof?.close()
      throw error
    }
    // Where nobody has to prove who they are, everybody is one caller.
    const callerOf = proof ? proof.guard.callerOf : (): Caller => ANYBODY
    const gate = proof ? proof.gate : OPEN_GATE
    const onStream = proof ? proof.guard.onStream : (): void => {}
    const refusalHeaders = proof ? { refusalHeaders: proof.guard.refusalHeaders } : {}
    const writers = createEventWriters(limits)
    const own = { limits, log, now }
    const piped = createSessions<HttpSession>(own)
    const passed = createSessions<PassedSession>(own)
    const streamed = createSessions<SseSession>(own)
    const sealed = createSessions<TspSession>(own)
    const all = [piped, passed, streamed, sealed]
    const calls = createInFlight()
    const passThrough = createPassThrough({ sessions: passed, onStream, log })
    const served = {
      upstream: connection.upstream,
      messages: connection.messages,
      callerOf,
      gate,
      pipe: createPipeDoor({ sessions: piped, writers, gate, onStream, limits, log }),
      passThrough,
      onStream,
      limits,
      log,
    }
    const sse = createSseDoor({ upstream: connection.messages, callerOf, gate, ...refusalHeaders, sessions: streamed, writers, onStream, calls, limits, log })
    proof?.onOver((isOver) => {
      for (const sessions of all) void sessions.endOf(isOver)
      void connection.endOf(isOver)
    })
    let lastActivityMs = now()
    let stopping = false
    const status = {
      ready: () => !stopping && connection.state() !== 'unreachable',
      lastActivity: () => new Date(lastActivityMs).toISOString(),
      instances: () => ({ [name]: connection.state() }),
      counts: () => ({ sessions: all.reduce((sum, { size }) => sum + size, 0), streams: writers.size, upstreams: connection.pipes() }),
      tspDropped: proof?.tsp?.node.dropped,
    }
    const mcp =
      (door: Handler): Handler =>
      (req, res) => {
        if (stopping) return refuse(res, new OpenMcpError('stopping', 'openmcp is stopping'), { log, headers: { connection: 'close' } })
        lastActivityMs = now()
        if (req.method === 'POST') res.once('close', calls.begin())
        door(req, res)
      }
    const secured = proof?.tsp && { tsp: proof.tsp, guard: proof.guard }
    const tsp =
      secured &&
      (await import('./openmcp/sealed-in.ts')).openTspIn({
        ...secured,
        hearsMcp: security?.tsp?.modes.includes('message') ?? false,
        proxied: on.publicUrl !== undefined,
        upstream: connection.messages,
        gate,
        sessions: sealed,
        calls,
        stopping: () => stopping,
        active: () => void (lastActivityMs = now()),
        serve: (bodyOf) => mcp(createMcpDoor({ ...served, bodyOf })),
        limits,
        log,
        now,
      })
    tspIsOpen(proof?.tsp)
    if (target.kind === 'vid') await connection.started.catch(notServed)
    const scheme = on.tls ? 'https' : 'http'
    const app = createApp({
      rules,
      tls: on.tls !== undefined,
      exposeHeaders: on.exposeHeaders,
      pathPrefix: on.pathPrefix,
      status,
      security: proof && { issuer: proof.issuer, keys: proof.keys, guard: proof.guard.handler },
      tsp,
      mcp: mcp(createMcpDoor({ ...served, ...refusalHeaders })),
      sse: (req, res) => sse.open(req, res, `${on.pathPrefix}/messages`),
      messages(req, res) {
        lastActivityMs = now()
        sse.post(req, res, new URLSearchParams(req.url.slice(req.url.indexOf('?') + 1)))
      },
      log,
    })
    const listening = await serve(app, { host: on.host, port: on.port, tls: on.tls, limits }).catch(notServed)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      stopping = true
      listening.stop()
      await calls.drained(limits.drainSeconds)
      await Promise.all(all.map((sessions) => sessions.close()))
      writers.close()
      passThrough.close()
      await listening.close()
      await disconnect()
      await proof?.close()
    }
    const secret = await proof?.enrol()
    const shown = on.host.includes(':') ? `[${on.host}]` : on.host
    // Bound to every address it has no name that can be called, and on this machine loopback is one.
    const called = new Map([
      ['0.0.0.0', '127.0.0.1'],
      ['::', '[::1]'],
    ]).get(on.host)
    base = `${on.publicUrl ? on.publicUrl.origin : `${scheme}://${called ?? shown}:${listening.port}`}${on.pathPrefix}`
    return {
      url: new URL(`${scheme}://${shown}:${listening.port}${on.pathPrefix}/mcp`),
      enrolment: secret === undefined ? undefined : new URL(`${base}/keys#enrol=${secret}`),
      tsp: proof?.tsp?.node.long,
      ended: new Promise(() => {}),
      close: () => (closing ??= close()),
    }
  }

  /** Loaded when it is asked for: a proxy that asks nobody should not wait for it. */
  async function prove(asked: SecurityOptions, on: ListenOptions, rules: HostRules, base: () => string | undefined): Promise<Security> {
    const { createSecurity } = await import('./security.ts')
    const place = { rules, tls: on.tls, publicUrl: on.publicUrl, pathPrefix: on.pathPrefix, base }
    return createSecurity(asked.tsp && out ? { ...asked, tsp: { ...asked.tsp, peers: [out.remote] } } : asked, place, io)
  }

  async function sealedOut(to: VidTarget, tsp: Promise<SecuredTsp | undefined>): Promise<SealedOut> {
    const { createSealedOut } = await import('./openmcp/sealed-out.ts')
    return createSealedOut({ target: to, secured: tsp, tls: listen?.tls, connectSeconds: limits.connectSeconds, log: io.log, now: io.now })
  }
}
