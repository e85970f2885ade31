// The composition root: options in → a running proxy out. It, and its folder, are the only place that joins rooms.
import type { IncomingMessage } from 'node:http'

import type { Handler } from './downstream/mcp.ts'
import { refuse } from './downstream/refuse.ts'
import { createStdioDoor } from './downstream/stdio.ts'
import { OpenMcpError } from './errors.ts'
import type { HostRules } from './http/hosts.ts'
import type { OwnLoginsOptions } from './http/own-logins.ts'
import type { BegunLogin } from './login/own-logins.ts'
import type { SecurityOptions, TspOptions } from './oauth/options.ts'
import type { CommandTarget, ListenOptions, OpenMcpIo, OpenMcpOptions, RemoteTarget, SocketTarget } from './openmcp/options.ts'
import { createPlainHttp, warnOfHidden } from './openmcp/plain-http.ts'
import { refuseServers } from './openmcp/refuse-servers.ts'
import { provedCaller } from './openmcp/own-logins.ts'
import type { SealedOut, VidTarget } from './openmcp/sealed-out.ts'
import type { Server } from './openmcp/server.ts'
import { createServers, type Admission, type Changes, type NamedServer, type Servers } from './openmcp/servers.ts'
import { ANYBODY } from './protocol/caller.ts'
import { isLoopbackHost } from './protocol/loopback.ts'
import { noSuchServer, serverPath } from './protocol/server-path.ts'
import { createSessionCap } from './relay/sessions.ts'
import type { Security } from './security.ts'
import type { SecuredTsp } from './security/tsp.ts'
import { connect } from './upstream/connect.ts'
import { createPipeCap } from './upstream/pool.ts'
import type { ConnectionState } from './upstream/options.ts'

export interface OpenMcp {
  /** Where it listens; undefined on stdio. */
  readonly url: URL | undefined
  /** When nobody is trusted yet: whoever redeems this link is, once, within 15 minutes. It is a secret. */
  readonly enrolment?: URL | undefined
  /** The VID that peers are told, in the form that introduces it; undefined where nobody is heard by TSP. */
  readonly tsp?: string | undefined
  /** Settles when there is nothing left to serve: on stdio the client left, or, with the reason, the server ended. Never while listening. */
  readonly ended: Promise<OpenMcpError | undefined>
  /**
   * These named servers instead of those that there are (`Servers.apply`). Refused on stdio, and while it is stopping; two of one
   * name are refused as a whole.
   */
  apply(servers: readonly NamedServer[]): Promise<Changes>
  /** This instead of whom the operator trusted before: whoever is not trusted any more is out at once. Refused where nobody is asked. */
  configure(trust: SecurityOptions['trust']): Promise<void>
  /** Takes no new client, lets calls in flight finish (`drainSeconds`), ends the rest. Safe to repeat. */
  close(): Promise<void>
}

export type {
  Changes,
  CommandTarget,
  ListenOptions,
  NamedServer,
  OpenMcpIo,
  OpenMcpOptions,
  RemoteTarget,
  SecurityOptions,
  SocketTarget,
  TspOptions,
  VidTarget,
}

/** Starts the proxy. Fails with `command_not_found`, `port_taken`, or what else can be known at start. */
export async function openmcp(options: OpenMcpOptions, io: OpenMcpIo): Promise<OpenMcp> {
  const {
    target,
    servers: named = [],
    aggregate,
    listen,
    name,
    isolation,
    stateless = false,
    tools,
    forwardHeaders,
    openapi,
    limits,
    security,
    credential,
  } = options
  if (security && !listen) {
    throw new OpenMcpError('usage', 'security is about who calls, and on stdio there is nobody to ask', { hint: 'listen on a port: -p 8000' })
  }
  if (listen && !isLoopbackHost(listen.host) && !listen.insecureNoAuth && !security) {
    throw new OpenMcpError('usage', `${listen.host} can be reached by others, and nobody would have to prove who they are`, {
      hint: 'bind 127.0.0.1, ask with --security, or say --insecure-no-auth',
    })
  }
  const checkNamed = (servers: readonly NamedServer[]): void => {
    refuseServers(servers, { root: target && name, asksCallers: security !== undefined })
    if (listen) warnOfHidden(servers, io.log)
  }
  checkNamed(named)
  /** What people call us by; undefined until we listen. */
  let base: string | undefined
  let tspIsOpen = (_tsp: SecuredTsp | undefined): void => {}
  const server = target?.kind === 'vid' ? await sealedOut(target, new Promise((resolve) => (tspIsOpen = resolve))) : target
  const out = server?.kind === 'vid' ? server : undefined
  // The child starts while the rest is loaded.
  const caps = { sessions: createSessionCap(limits, io.log), children: createPipeCap(limits, io.log) }
  const connection = server && connect(server, { isolation, stateless, limits, cap: caps.children, log: io.log, now: io.now, name, credential })
  const disconnect = async (): Promise<void> => {
    await connection?.close()
    await out?.close()
  }
  try {
    if (listen) return await overHttp(listen)
    if (target && named.length > 0) throw new OpenMcpError('usage', 'several servers have no place on stdio', { hint: 'listen on a port: -p 8000' })
    if (!target && !aggregate) throw new OpenMcpError('usage', 'there is nothing to serve')
    return await overStdio()
  } catch (error) {
    await disconnect()
    throw error
  }

  /** The servers, where those who come in are known as `admission` says. */
  function serversFor(admission: Admission): Promise<Servers> {
    return createServers({
      root: connection && {
        name,
        connection,
        limits,
        stateless,
        ...(tools && { tools }),
        ...(forwardHeaders && { forwardHeaders }),
        ...(openapi && { openapi }),
      },
      aggregate: aggregate && { server: aggregate, limits, openapi },
      admission,
      loginAt: (of) => `${base ?? ''}/oauth/${encodeURIComponent(of)}/authorize`,
      caps,
      log: io.log,
      now: io.now,
    })
  }

  async function overStdio(): Promise<OpenMcp> {
    const servers = await serversFor(NOBODY_IS_ASKED)
    const { root } = servers
    if (!root) throw new OpenMcpError('internal', 'there is nothing at the root')
    const { upstream, gate } = root.bySession
    const { lines } = io
    const clientLog = lines && (await import('./downstream/client-log.ts')).createClientLog
    const door = createStdioDoor({
      upstream,
      gate,
      stdin: io.stdin,
      stdout: io.stdout,
      clientLog: lines && clientLog && ((say) => clientLog({ lines, say })),
      limits,
    })
    tspIsOpen(undefined)
    await connection?.started
    await servers.apply(named)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      await door.close()
      await servers.close()
      await disconnect()
    }
    return {
      url: undefined,
      ended: door.ended,
      async apply(next) {
        if (target) throw new OpenMcpError('usage', 'on stdio there is one server')
        checkNamed(next)
        if (closing) throw new OpenMcpError('stopping', 'openmcp is stopping')
        return servers.apply(next)
      },
      configure: nobodyIsAsked,
      close: () => (closing ??= close()),
    }
  }

  async function overHttp(on: ListenOptions): Promise<OpenMcp> {
    const [{ createApp }, { createHostRules }, { serve }, { ownLoginsLater }] = await Promise.all([
      import('./http/app.ts'),
      import('./http/hosts.ts'),
      import('./http/serve.ts'),
      import('./http/own-logins-later.ts'),
    ])
    if (target?.kind === 'command') await connection?.started
    const { log, now } = io
    const rules = createHostRules({
      host: on.host,
      port: () => listening.port,
      tls: on.tls !== undefined,
      allowHosts: on.allowHosts,
      allowOrigins: on.allowOrigins,
    })
    const proof = security && (await prove(security, on, rules))
    if (proof && isolation === 'shared') log.warn('one server for all: it tells its callers apart no more than it can; tasks of one may be read by another')
    const notServed = async (error: unknown): Promise<never> => {
      await proof?.close()
      throw error
    }
    const admission: Admission = proof ? { ...proof.guard, standingOf: proof.standingOf } : NOBODY_IS_ASKED
    const servers = await serversFor(admission).catch(notServed)
    const { root } = servers
    proof?.onOver(servers.endOf)
    let lastActivityMs = now()
    let stopping = false
    const status = {
      // One server that is away is no reason to send clients of the others elsewhere.
      ready: () => !stopping && !isNobodyThere(Object.values(servers.states()).map(({ state }) => state)),
      lastActivity: () => new Date(lastActivityMs).toISOString(),
      servers: (req: IncomingMessage) => servers.states(admission.callerOf(req)),
      counts: () => ({ ...servers.counts() }),
      tspDropped: proof?.tsp?.node.dropped,
    }
    const active = (): void => void (lastActivityMs = now())
    const found = (asked: string | undefined, req: IncomingMessage): Server => {
      const one = servers.find(asked, admission.callerOf(req))
      if (one) return one
      throw noSuchServer()
    }
    /** While there is no stopping. */
    const open =
      (door: Handler): Handler =>
      (req, res) => {
        if (stopping) return refuse(res, new OpenMcpError('stopping', 'openmcp is stopping'), { log, headers: { connection: 'close' } })
        active()
        door(req, res)
      }
    const secured = proof?.tsp && { tsp: proof.tsp, guard: proof.guard }
    const tsp =
      secured &&
      (await import('./openmcp/sealed-in.ts')).openTspIn({
        ...secured,
        // Whoever comes by TSP comes to the server at the root.
        server: root && security?.tsp?.modes.includes('message') ? { ...root.bySession, serve: (bodyOf) => open(root.mcpWith({ bodyOf })) } : undefined,
        proxied: on.publicUrl !== undefined,
        stopping: () => stopping,
        active,
        limits,
        log,
        now,
      })
    tspIsOpen(proof?.tsp)
    if (target?.kind === 'vid') await connection?.started.catch(notServed)
    const scheme = on.tls ? 'https' : 'http'
    const app = createApp({
      rules,
      tls: on.tls !== undefined,
      exposeHeaders: on.exposeHeaders,
      takenHeaders: servers.headers,
      pathPrefix: on.pathPrefix,
      status,
      security: proof && { issuer: proof.issuer, keys: proof.keys, guard: proof.guard.handler, ownLogins: ownLoginsLater(ownLoginsOf(proof, servers, on)) },
      tsp,
      mcp: (asked, req, res) => open(found(asked, req).mcp)(req, res),
      sse: (asked, req, res) => found(asked, req).sse(req, res, messagesPath(on.pathPrefix, asked)),
      messages(asked, req, res) {
        const asking = found(asked, req)
        active()
        asking.messages(req, res)
      },
      openapi: createPlainHttp({
        servers,
        callerOf: admission.callerOf,
        refusalHeaders: admission.refusalHeaders,
        patienceMs: limits.connectSeconds * 1000,
        guarded: security !== undefined,
        pathPrefix: on.pathPrefix,
        proxy: on,
        form: openapi?.form ?? 'tools',
        open,
        log,
      }),
      log,
    })
    const listening = await serve(app, { host: on.host, port: on.port, tls: on.tls, limits }).catch(notServed)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      stopping = true
      listening.stop()
      await servers.drained(limits.drainSeconds)
      await servers.close()
      await listening.close()
      await disconnect()
      await proof?.close()
    }
    const secret = await proof?.enrol()
    await servers.apply(named)
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
      async apply(next) {
        checkNamed(next)
        if (stopping) throw new OpenMcpError('stopping', 'openmcp is stopping')
        return servers.apply(next)
      },
      configure: proof?.configure ?? nobodyIsAsked,
      close: () => (closing ??= close()),
    }
  }

  function ownLoginsOf({ guard, browser }: Security, servers: Servers, { pathPrefix }: ListenOptions): OwnLoginsOptions<BegunLogin> {
    return {
      guard: guard.handler,
      callerOf: guard.callerOf,
      placeOf: servers.ownLogin,
      placeOfProved: (of, identity) => servers.ownLogin(of, provedCaller(identity)),
      base: () => base,
      browser,
      pathPrefix,
      log: io.log,
      now: io.now,
    }
  }

  /** Loaded when it is asked for: a proxy that asks nobody should not wait for it. */
  async function prove(asked: SecurityOptions, on: ListenOptions, rules: HostRules): Promise<Security> {
    const { createSecurity } = await import('./security.ts')
    const place = { rules, tls: on.tls, publicUrl: on.publicUrl, pathPrefix: on.pathPrefix, root: target && name, base: () => base }
    return createSecurity(asked.tsp && out ? { ...asked, tsp: { ...asked.tsp, peers: [out.remote] } } : asked, place, io)
  }

  async function sealedOut(to: VidTarget, tsp: Promise<SecuredTsp | undefined>): Promise<SealedOut> {
    const { createSealedOut } = await import('./openmcp/sealed-out.ts')
    return createSealedOut({ target: to, secured: tsp, tls: listen?.tls, connectSeconds: limits.connectSeconds, log: io.log, now: io.now })
  }
}

/** Where nobody has to prove who they are, everybody is one caller. */
const NOBODY_IS_ASKED: Admission = { callerOf: () => ANYBODY }

function nobodyIsAsked(): Promise<never> {
  return Promise.reject(new OpenMcpError('usage', 'nobody is asked who they are here'))
}

function isNobodyThere(states: readonly ConnectionState[]): boolean {
  return states.length > 0 && states.every((state) => state === 'unreachable' || state === 'failed')
}

/** A path, so that it holds behind any host name. */
function messagesPath(prefix: string, name: string | undefined): string {
  return name === undefined ? `${prefix}/messages` : `${prefix}${serverPath(name)}/messages`
}
