// All ways in over HTTP, with a gate, before one server of tools that stands on a pipe or speaks Streamable HTTP itself.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createEventWriters } from '../../src/downstream/event-writer.ts'
import { createMcpDoor } from '../../src/downstream/mcp.ts'
import { createPassThrough, type PassedSession } from '../../src/downstream/pass-through.ts'
import { createSseDoor, type SseSession } from '../../src/downstream/sse.ts'
import { createPipeDoor, type HttpSession } from '../../src/downstream/streamable-http.ts'
import { OpenMcpError } from '../../src/errors.ts'
import type { Standing } from '../../src/policy/shapes.ts'
import { ANYBODY, type Caller } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { META_CAPABILITIES, META_VERSION } from '../../src/protocol/revision.ts'
import { createGate } from '../../src/relay/gate.ts'
import { createSessions } from '../../src/relay/sessions.ts'
import { connect } from '../../src/upstream/connect.ts'
import type { Connection } from '../../src/upstream/options.ts'
import { createPool } from '../../src/upstream/pool.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { json, upstream } from '../support/upstream.ts'
import { SILENT } from '../upstream/scripted-pipe.ts'
import { openStage, type Reader } from './http-stage.ts'

export const TOOLS = ['read', 'write', 'slow']
export const MODERN = '2026-07-28'

export interface Asking {
  door?: 'mcp' | 'sse' | 'messages'
  method?: string
  headers?: Record<string, string>
  /** A text is sent as it stands. */
  body?: unknown
  query?: string
}

export interface Ways {
  /** Asks as this caller; the whole answer, or, of an event stream, its beginning. */
  ask(caller: string, asking: Asking): Promise<Reader>
  /** Posts messages to /mcp in a session; the messages that came back, and the status. */
  call(caller: string, body: unknown, headers?: Record<string, string>): Promise<{ status: number; messages: Json[]; reader: Reader }>
  /** Opens a session; its header. */
  begin(caller: string, version?: string): Promise<Record<string, string>>
  /** What the server was sent, by its method, since the last look; `let go` for a request over HTTP that nobody waits for any more. */
  taken(): string[]
  /** Settles when the server was sent this since the last look. */
  reached(method: string): Promise<void>
  /** The response to the newest request. */
  readonly response: () => ServerResponse
  trust(caller: string, standing: Standing | undefined): void
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  readonly size: () => number
  readonly held: () => number
  close(): Promise<void>
}

export function standing(tools?: readonly string[], scopes: readonly string[] = ['mcp']): Standing {
  return { scopes, restricted: tools !== undefined, mayUse: (tool) => tools === undefined || tools.includes(tool), mayReach: () => true }
}

/** A modern message, and the headers that it needs. */
export function modern(id: number, method: string, params: Json = {}): { body: Json; headers: Record<string, string> } {
  const name = params['name']
  return {
    body: { jsonrpc: '2.0', id, method, params: { ...params, _meta: { [META_VERSION]: MODERN, [META_CAPABILITIES]: {} } } },
    headers: { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': name } : {}) },
  }
}

/** `looked` is called when the upstream is asked for, which is known when what it returns has settled. */
export async function openWays(kind: 'pipe' | 'http', looked?: () => Promise<void>): Promise<Ways> {
  const stage = await openStage()
  const sent: string[] = []
  const waiting = new Set<() => void>()
  const note = (what: unknown): void => {
    sent.push(typeof what === 'string' ? what : 'an answer')
    for (const look of waiting) look()
  }
  const limits = DEFAULT_LIMITS
  const own = { limits, log: SILENT, now: Date.now }
  const { connection, stop } = await (kind === 'pipe' ? pipeServer(note) : httpServer(note))

  const standings = new Map<string, Standing>()
  const gate = createGate({ standingOf: ({ owner }) => standings.get(owner) })
  const callerOf = ({ headers }: { headers: NodeJS.Dict<string | string[]> }): Caller => {
    const [owner = '', scope = 'mcp', tokenId = ''] = String(headers['x-caller']).split('/')
    if (owner === '') throw new OpenMcpError('unauthorized', 'no credential')
    return { ...ANYBODY, id: owner, owner, scopes: scope.split(' '), tokenId, via: 'token' }
  }
  const refusalHeaders = (_req: unknown, { code, data }: OpenMcpError): Record<string, string> =>
    code === 'insufficient_scope' ? { 'www-authenticate': `Bearer scope="${String(at(data, 'scopes'))}"` } : {}
  const writers = createEventWriters(limits)
  const piped = createSessions<HttpSession>(own)
  const passed = createSessions<PassedSession>(own)
  const streamed = createSessions<SseSession>(own)
  const all = [piped, passed, streamed]
  const passThrough = createPassThrough({ sessions: passed, limits, log: SILENT })
  const mcp = createMcpDoor({
    upstream: () => looked?.().then(connection.upstream) ?? connection.upstream(),
    messages: connection.messages,
    callerOf,
    gate,
    refusalHeaders,
    pipe: createPipeDoor({ sessions: piped, writers, gate, limits, log: SILENT }),
    passThrough,
    limits,
    log: SILENT,
  })
  const sse = createSseDoor({
    upstream: connection.messages,
    callerOf,
    gate,
    refusalHeaders,
    sessions: streamed,
    writers,
    calls: { begin: () => () => {} },
    limits,
    log: SILENT,
  })
  let response: ServerResponse | undefined

  const ways: Ways = {
    ask: (caller, { door = 'mcp', method, headers = {}, body, query = '' }) =>
      stage.ask(
        (res, req) => {
          response = res
          if (door === 'mcp') mcp(req, res)
          else if (door === 'sse') sse.open(req, res, '/messages')
          else sse.post(req, res, new URLSearchParams(query))
        },
        {
          ...(method === undefined ? {} : { method }),
          headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json', 'x-caller': caller, ...headers },
          ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        },
      ),
    async call(caller, body, headers = {}) {
      const reader = await ways.ask(caller, { body, headers })
      await reader.over
      return { status: reader.response.statusCode ?? 0, messages: messagesIn(reader), reader }
    },
    async begin(caller, version = '2025-06-18') {
      const { reader } = await ways.call(caller, { jsonrpc: '2.0', id: 'hello', method: 'initialize', params: { protocolVersion: version, capabilities: {} } })
      const session = { 'mcp-session-id': String(reader.response.headers['mcp-session-id']), 'mcp-protocol-version': version }
      await ways.call(caller, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)
      await ways.reached('notifications/initialized')
      ways.taken()
      return session
    },
    taken: () => sent.splice(0),
    reached: (method) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!sent.includes(method)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    response: () => {
      if (!response) throw new Error('nothing was asked')
      return response
    },
    trust: (caller, given) => void (given ? standings.set(caller, given) : standings.delete(caller)),
    endOf: async (isOver) => void (await Promise.all(all.map((sessions) => sessions.endOf(isOver)))),
    size: () => all.reduce((sum, { size }) => sum + size, 0),
    held: () => all.reduce((sum, { held }) => sum + held, 0),
    async close() {
      writers.close()
      passThrough.close()
      await Promise.all(all.map((sessions) => sessions.close()))
      await stage.close()
      await stop()
    },
  }
  return ways
}

export function messagesIn(reader: Reader): Json[] {
  if (reader.text === '') return []
  if (String(reader.response.headers['content-type']).startsWith('text/event-stream')) {
    return reader.events.filter(({ data, event }) => data !== '' && event === 'message').map(({ data }) => jsonOf(JSON.parse(data)))
  }
  const value: unknown = JSON.parse(reader.text)
  return Array.isArray(value) ? value.map(jsonOf) : [jsonOf(value)]
}

/** What the server says to a message; undefined: nothing. */
function answerTo({ id, method, params }: Json): Json | undefined {
  if (id === undefined || typeof method !== 'string') return undefined
  const name = at(params, 'name')
  const inputSchema = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
  const tools = TOOLS.map((tool) => ({ name: tool, inputSchema }))
  if (method === 'initialize') return { jsonrpc: '2.0', id, result: { protocolVersion: at(params, 'protocolVersion'), capabilities: { tools: {} } } }
  if (method === 'tools/list' && at(params, 'cursor') !== undefined) return { jsonrpc: '2.0', id, result: { tools: [] } }
  if (method === 'tools/list') return { jsonrpc: '2.0', id, result: { tools, nextCursor: 'more', cacheScope: 'public' } }
  if (method === 'tools/call') return name === 'slow' ? undefined : { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: name }] } }
  return { jsonrpc: '2.0', id, result: {} }
}

type Note = (method: unknown) => void

interface Served {
  connection: Pick<Connection, 'upstream' | 'messages'>
  stop(): Promise<void>
}

function pipeServer(note: Note): Promise<Served> {
  const pool = createPool({
    open: (events) => ({
      send(line) {
        const message = jsonOf(JSON.parse(line))
        note(message['method'])
        const answer = answerTo(message)
        if (answer) queueMicrotask(() => events.line(Buffer.from(JSON.stringify(answer))))
      },
      bufferedBytes: 0,
      close: () => Promise.resolve(),
    }),
    isolation: 'session',
    limits: DEFAULT_LIMITS,
    log: SILENT,
    now: Date.now,
  })
  return Promise.resolve({ connection: { upstream: () => pool, messages: () => pool }, stop: () => pool.close() })
}

async function httpServer(note: Note): Promise<Served> {
  const server = await upstream(({ method, body, headers }, res) => {
    if (method !== 'POST') return json(res, method === 'DELETE' ? 200 : 405, {})
    const region = headers['mcp-param-region']
    note(region === undefined ? body['method'] : `${String(body['method'])} for ${String(region)}`)
    const answer = answerTo(body)
    const session: Record<string, string> = body['method'] === 'initialize' ? { 'mcp-session-id': 'of-the-upstream' } : {}
    if (answer) json(res, 200, answer, session)
    else if (body['id'] === undefined) res.writeHead(202).end()
    else void once(res, 'close').then(() => note('let go'))
  })
  const connection = connect(
    { kind: 'remote', urls: [new URL('/mcp', server.origin)], transport: 'http', headers: {} },
    { isolation: 'session', limits: DEFAULT_LIMITS, log: SILENT, now: Date.now, name: 'test' },
  )
  await connection.started
  return {
    connection,
    async stop() {
      await connection.close()
      await server.stop()
    },
  }
}
