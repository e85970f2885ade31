// Servers of several as one, each an HTTP server by hand that notes what reached it, and official clients.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { at, type Json } from '../support/json.ts'
import { json, upstream, type Received, type Upstream } from '../support/upstream.ts'
import { running } from './stage.ts'

export interface Member {
  server: NamedServer
  behind: Upstream
  /** What it was asked since it began, by method. */
  asked(method: string): Json[]
}

type Answers = Readonly<Record<string, (params: Json, received: Received, res: ServerResponse) => Json | undefined>>

/** A server that answers these methods; undefined: it does not. All else of requests is refused. */
export async function member(name: string, answers: Answers, capabilities: Json = { tools: {} }): Promise<Member> {
  const behind = await upstream((received, res) => {
    const { method, body } = received
    if (method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    if (method === 'DELETE') return void res.writeHead(200).end()
    const { id } = body
    const asked = body['method']
    if (id === undefined || typeof asked !== 'string') return void res.writeHead(202).end()
    const params = at(body, 'params') ?? {}
    if (asked === 'initialize' && !('initialize' in answers)) {
      const result = { protocolVersion: at(body, 'params', 'protocolVersion'), capabilities, serverInfo: { name, version: '1' } }
      return json(res, 200, { jsonrpc: '2.0', id, result }, { 'mcp-session-id': `${name}-${JSON.stringify(id)}` })
    }
    const answer = answers[asked]
    if (!answer) return json(res, 200, { jsonrpc: '2.0', id, error: { code: -32601, message: `no ${asked}` } })
    const result = answer(params as Json, received, res) // an object by JSON-RPC
    if (result) json(res, 200, { jsonrpc: '2.0', id, result })
  })
  onTestFinished(behind.stop)
  return {
    server: named(name, behind.origin),
    behind,
    asked: (method) => behind.received.flatMap(({ body }) => (body['method'] === method ? [body] : [])),
  }
}

function named(name: string, origin: string): NamedServer {
  const target = { kind: 'remote', urls: [new URL('/mcp', origin)], transport: 'http', headers: {} } as const
  return { name, target, isolation: 'session', limits: { ...DEFAULT_LIMITS, drainSeconds: 0 } }
}

/** Tools of these names, by pages of so many, each answering with its own name. */
export function tools(names: readonly string[], page = names.length): Answers {
  return {
    'tools/list': ({ cursor }) => {
      const from = cursor === undefined ? 0 : Number(cursor)
      const shown = names.slice(from, from + page).map((name) => ({ name, inputSchema: { type: 'object' } }))
      return { tools: shown, ...(from + page < names.length && { nextCursor: String(from + page) }) }
    },
    'tools/call': ({ name }) => ({ content: [{ type: 'text', text: String(name) }] }),
  }
}

export async function asOne(
  servers: readonly NamedServer[],
  { log = [], connectSeconds = 10 }: { log?: string[]; connectSeconds?: number } = {},
): ReturnType<typeof running> {
  return running(servers, log, { aggregate: { name: 'openmcp', version: '1' }, limits: { ...DEFAULT_LIMITS, drainSeconds: 0, connectSeconds } })
}

export async function clientAt(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } })
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }))
  onTestFinished(() => client.close())
  return client
}
