// One server behind, our doors in the HTTP server of somebody else: who calls is found out there, or only this machine may.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import { createLive } from '../http/live.ts'
import type { Log } from '../observe/log.ts'
import { ANYBODY, type Caller } from '../protocol/caller.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { OPEN_GATE } from '../relay/gate.ts'
import { createSessionCap } from '../relay/sessions.ts'
import { createToolsGate } from '../relay/tools-gate.ts'
import { connect } from '../upstream/connect.ts'
import { endChildrenWithUs } from './exit.ts'
import { createServer } from './server.ts'
import { checkRules, limitsOf, logOf, refuseUnknown, targetOf, type ServerSettings, type ServingSettings } from './settings.ts'

export interface RelaySettings extends ServingSettings {
  server: ServerSettings
  /**
   * Who calls, as your server has found out: any string that names one caller. Sessions belong to it, and for another they do not
   * exist. Undefined: nobody known, 401. Without this option only this machine may call, and all who do are one.
   */
  callerOf?(req: IncomingMessage): string | undefined | Promise<string | undefined>
  /** Below which path of your server `/mcp`, `/sse` and `/messages` are; a router that takes its own path off counts as none. */
  path?: string
  /** Host names under which clients call, beside those of this machine. */
  allowHosts?: readonly string[]
  /** Web origins that may call. Each is exact: scheme, host and port. */
  allowOrigins?: readonly string[]
  /** Others than this machine may call, and nobody asks who they are. Refused unless true. */
  insecureNoAuth?: boolean
  /** What it is called in the log. */
  name?: string
  /** Undefined: warnings and errors, on stderr. */
  log?: Log
}

export interface Relay {
  /**
   * For `http.createServer`, or `app.use('/path', relay.handler)` before anything that reads bodies. Every request is answered: what is
   * for none of our doors with 404. `Authorization` and `Cookie` never reach the server behind.
   */
  handler(req: IncomingMessage, res: ServerResponse): void
  /** Ends what this caller has open: sessions, streams, and children of its own. */
  end(caller: string): void
  /** Answers 503 from now on, lets calls in flight finish (`limits.drainSeconds`), ends the rest with all children. Safe to repeat. */
  close(): Promise<void>
}

/** Puts a server behind an HTTP server of yours. Fails with `usage`, or with `command_not_found` and what else can be known at start. */
export async function createRelay(settings: RelaySettings): Promise<Relay> {
  const { server: behind, callerOf, path = '', allowHosts = [], allowOrigins = [], insecureNoAuth = false, name = 'default', ...rest } = settings
  const { isolation = 'session', tools, limits: given, log: wanted, ...more } = rest
  refuseUnknown(more, 'createRelay')
  if (tools) checkRules(tools, 'createRelay')
  if (isolation === 'identity' && !callerOf) throw new OpenMcpError('usage', 'isolation identity needs to know who calls', { hint: 'add callerOf' })
  if (!callerOf && !insecureNoAuth && !allowHosts.every((host) => isLoopbackHost(host.replace(/:\d+$/, '')))) {
    throw new OpenMcpError('usage', 'allowHosts names a host that others can reach, and nobody would have to prove who they are', {
      hint: 'add callerOf, or say insecureNoAuth',
    })
  }
  const log = logOf(wanted)
  const now = Date.now
  const limits = limitsOf(given)
  endChildrenWithUs()
  const connection = connect(targetOf(behind, 'server'), { isolation, limits, log, now, name })
  const [{ createMounted }] = await Promise.all([import('../http/mounted.ts'), connection.started]).catch(async (error: unknown) => {
    await connection.close(0)
    throw error
  })
  const callers = new WeakMap<IncomingMessage, Caller>()
  const live = createLive(now)
  const server = createServer({
    connection,
    admitted: {
      callerOf(req) {
        const caller = callers.get(req)
        if (!caller) throw new OpenMcpError('internal', 'a door was reached past the guard')
        return caller
      },
      gate: tools ? createToolsGate(OPEN_GATE, tools) : OPEN_GATE,
      onStream: live.onStream,
    },
    cap: createSessionCap(limits, log),
    limits,
    log,
    now,
  })
  let closing: Promise<void> | undefined

  async function enter(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const id = callerOf ? await callerOf(req) : undefined
    const isKnown = callerOf ? typeof id === 'string' && id !== '' : insecureNoAuth || isFromHere(req)
    if (!isKnown) {
      // RFC 9110 §15.5.2. Which scheme it is that you ask for, only you know.
      res.setHeader('www-authenticate', 'Bearer')
      throw new OpenMcpError('unauthorized', callerOf ? 'this needs a credential' : 'only this machine may call here')
    }
    if (closing) throw new OpenMcpError('stopping', 'openmcp is stopping')
    const caller = id === undefined ? ANYBODY : callerNamed(id)
    callers.set(req, caller)
    live.enter(caller, res)
  }

  const handler = createMounted({
    path,
    allowHosts,
    allowOrigins,
    guard: enter,
    mcp: server.mcp,
    sse: server.sse,
    messages: server.messages,
    log,
  })

  return {
    handler,
    end(caller) {
      const isIt = ({ id }: Caller): boolean => id === caller
      live.sweep(isIt)
      server.endOf(isIt)
    },
    close: () => (closing ??= server.drained(limits.drainSeconds).then(() => server.close())),
  }
}

function callerNamed(id: string): Caller {
  return { id, via: 'issuer', scopes: ['mcp'], act: [], tokenId: '', expiresAt: Infinity, owner: id }
}

/** The connection itself, whatever its headers say. */
function isFromHere({ socket }: IncomingMessage): boolean {
  return socket.remoteAddress !== undefined && isLoopbackHost(socket.remoteAddress.replace(/^::ffff:/, ''))
}
