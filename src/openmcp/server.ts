// One server that is served over HTTP: its upstream, and its own ways in. Nothing of it is shared with another server but the gate.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { createEventWriters } from '../downstream/event-writer.ts'
import { createMcpDoor, type Handler, type McpDoorOptions } from '../downstream/mcp.ts'
import { createPassThrough, type PassedSession } from '../downstream/pass-through.ts'
import { NO_NAMED, type NamedHeaders } from '../downstream/request.ts'
import { createSessionlessDoor } from '../downstream/sessionless.ts'
import { createSseDoor, type SseSession } from '../downstream/sse.ts'
import { createPipeDoor, type HttpSession } from '../downstream/streamable-http.ts'
import type { TspSession } from '../downstream/tsp.ts'
import type { Log } from '../observe/log.ts'
import type { OpenApiOptions, ToolsDoor } from '../openapi/door.ts'
import type { RestSession } from '../openapi/owners.ts'
import type { Caller } from '../protocol/caller.ts'
import { capAs, type Cap } from '../protocol/cap.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Sessions } from '../protocol/session.ts'
import { createInFlight, type InFlight } from '../relay/in-flight.ts'
import { createSessions } from '../relay/sessions.ts'
import type { UntilLogin } from '../relay/until-login.ts'
import type { Connection } from '../upstream/options.ts'

export interface Server {
  /** `/mcp` */
  mcp: Handler
  /** The same for requests that came in another way than by the guard: they are read in theirs, and hear no challenge of HTTP. */
  mcpWith(how: Pick<McpDoorOptions, 'bodyOf'>): Handler
  /** What a way in has to know that brings sessions of its own. */
  readonly bySession: { upstream: Connection['messages']; gate: Gate; sessions: Sessions<TspSession>; calls: InFlight }
  /** `GET /sse`. `messagesPath` is where the client is told to post. */
  sse(req: IncomingMessage, res: ServerResponse, messagesPath: string): void
  /** `POST /messages` */
  messages(req: IncomingMessage, res: ServerResponse): void
  /** Its tools as plain HTTP. Undefined: they are not served so. */
  readonly openapi: ToolsDoor | undefined
  /** Ends what callers have open here that are over. */
  endOf(isOver: (caller: Caller) => boolean): void
  /** They have another login of their own there than before, or none: what stood on one ends. */
  loginChanged(isWhose: (caller: Caller) => boolean): void
  counts(): ServerCounts
  readonly connection: Pick<Connection, 'messages' | 'started' | 'ready' | 'state' | 'failure'>
  /** Settles when no call is in flight, or after `seconds`. */
  drained(seconds: number): Promise<void>
  /** Ends sessions, streams and the upstream. With `graceSeconds` at once, and children get only so long. Safe to repeat. */
  close(graceSeconds?: number): Promise<void>
}

export interface ServerCounts {
  sessions: number
  streams: number
  upstreams: number
}

/** Who comes in, and what may pass. */
export type Admitted = Pick<McpDoorOptions, 'callerOf' | 'gate' | 'refusalHeaders' | 'onStream'>

export interface ServerOptions {
  connection: Connection
  admitted: Admitted
  /** Headers of callers that the server gets as they are. */
  forwards?: NamedHeaders | undefined
  /** Who was let in as this caller; undefined: itself. */
  letInAs?: ((caller: Caller) => Caller) | undefined
  limits: Limits
  /** Clients of the revisions that have sessions get none. The connection was made for it (`ConnectOptions.stateless`). */
  stateless?: boolean | undefined
  /** Its tools are served as plain HTTP, too, by what is loaded for that. */
  openapi?: { name: string; serves: OpenApiOptions; createToolsDoor: typeof import('../openapi/door.ts').createToolsDoor } | undefined
  /** Each caller logs in there themselves. Plain HTTP asks nobody to wait. */
  untilLogin?: UntilLogin | undefined
  /** Sessions of other servers count with those of this one. */
  cap: Cap
  log: Log
  now: () => number
}

export function createServer(options: ServerOptions): Server {
  const { connection, admitted, letInAs = (caller) => caller, forwards = NO_NAMED, stateless = false, untilLogin, limits, log, now } = options
  const { gate, onStream = (): void => {} } = admitted
  const own = { limits, log, now, cap: capAs(options.cap, letInAs) }
  const piped = createSessions<HttpSession>(own)
  const passed = createSessions<PassedSession>(own)
  const streamed = createSessions<SseSession>(own)
  const sealed = createSessions<TspSession>(own)
  const rested = createSessions<RestSession>(own)
  const all = [piped, passed, streamed, sealed, rested]
  const writers = createEventWriters(limits)
  const calls = createInFlight()
  const passThrough = createPassThrough({ sessions: passed, onStream, forwards, limits, log })
  const messages = untilLogin ? greeted(connection.messages, untilLogin) : connection.messages
  const { refusalHeaders, ...known } = admitted
  const served = {
    ...known,
    upstream: untilLogin ? messages : connection.upstream,
    messages,
    pipe: createPipeDoor({ sessions: piped, writers, gate, onStream, forwards, limits, log }),
    passThrough,
    sessionless: stateless ? createSessionlessDoor({ writers, gate, cap: own.cap, log }) : undefined,
    limits,
    log,
  }
  const sse = createSseDoor({ ...admitted, upstream: messages, sessions: streamed, writers, forwards, calls, limits, log })
  const counted =
    (door: Handler): Handler =>
    (req, res) => {
      if (req.method === 'POST') res.once('close', calls.begin())
      door(req, res)
    }
  const tools = options.openapi && toolsDoor(options.openapi)
  let closing: Promise<void> | undefined

  function toolsDoor({ name, serves, createToolsDoor }: NonNullable<ServerOptions['openapi']>): ToolsDoor {
    const { callerOf } = admitted
    const door = createToolsDoor({
      server: name,
      serves,
      upstream: connection.messages,
      sessions: rested,
      callerOf,
      gate,
      refusalHeaders,
      forwards,
      writers,
      limits,
      log,
      now,
    })
    return {
      ...door,
      call(req, res, segment) {
        res.once('close', calls.begin())
        door.call(req, res, segment)
      },
      get(req, res, kind, segment) {
        res.once('close', calls.begin())
        door.get(req, res, kind, segment)
      },
    }
  }

  async function end(graceSeconds: number | undefined): Promise<void> {
    const ended = Promise.all(all.map((sessions) => sessions.close()))
    // Sessions wait for the children that they stand on.
    if (graceSeconds !== undefined) await connection.close(graceSeconds)
    await ended
    writers.close()
    passThrough.close()
    await connection.close()
  }

  return {
    mcp: counted(createMcpDoor({ ...served, ...(refusalHeaders && { refusalHeaders }) })),
    mcpWith: (how) => counted(createMcpDoor({ ...served, ...how })),
    bySession: { upstream: messages, gate, sessions: sealed, calls },
    openapi: tools,
    sse: sse.open,
    messages: (req, res) => sse.post(req, res, queryOf(req)),
    endOf(isOver) {
      const isOverHere = (caller: Caller): boolean => isOver(letInAs(caller))
      for (const sessions of all) void sessions.endOf(isOverHere)
      void connection.endOf(isOverHere)
    },
    loginChanged(isWhose) {
      untilLogin?.changed(isWhose)
      void rested.endOf(isWhose)
      void connection.endOf(isWhose)
    },
    counts: () => ({ sessions: all.reduce((sum, { size }) => sum + size, 0), streams: writers.size, upstreams: connection.pipes() }),
    drained: calls.drained,
    connection,
    close: (graceSeconds) => (closing ??= end(graceSeconds)),
  }
}

function greeted(messages: Connection['messages'], { of }: UntilLogin): Connection['messages'] {
  return () => {
    const found = messages()
    return found instanceof Promise ? found.then(of) : of(found)
  }
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  return new URLSearchParams(url.slice(url.indexOf('?') + 1))
}
