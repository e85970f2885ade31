// An upstream that keeps its sessions in memory, as most do, and can be ended and started again at its port.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

import { isJson, type Json } from './json.ts'

export interface Restartable {
  readonly url: URL
  /** Methods that were asked for, with the session they came in. */
  readonly asked: readonly string[]
  /** Of the same requests. */
  readonly headers: readonly IncomingHttpHeaders[]
  /** Calls of tools that were done. */
  readonly calls: number
  /** Forgets its sessions. */
  forget(): void
  stop(): Promise<void>
  /** At the same port, and knowing nothing. */
  start(): Promise<void>
  /** The next call of a tool is done, and its answer never comes. */
  breakNext(): void
  /** So many requests are refused with 503 and this `Retry-After`. */
  refuseNext(times: number, retryAfter: string): void
}

/** Ends with the test. */
export async function restartable(name: string, { version }: { version?: string } = {}): Promise<Restartable> {
  const asked: string[] = []
  const headers: IncomingHttpHeaders[] = []
  let sessions = new Set<string>()
  let calls = 0
  let opened = 0
  let breaks = false
  let refusing = { times: 0, retryAfter: '' }
  const answer = (res: ServerResponse, id: unknown, result: Json, more: Record<string, string> = {}): void =>
    void res.writeHead(200, { 'content-type': 'application/json', ...more }).end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  const create = (): ReturnType<typeof createServer> =>
    createServer((req, res) => {
      let text = ''
      req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      req.on('end', () => {
        const parsed: unknown = text === '' ? {} : JSON.parse(text)
        const body = isJson(parsed) ? parsed : {}
        const within = req.headers['mcp-session-id']
        const method = typeof body['method'] === 'string' ? body['method'] : (req.method ?? '')
        headers.push(req.headers)
        asked.push(`${method}${typeof within === 'string' ? ` in ${within}` : ''}${req.headers['last-event-id'] === undefined ? '' : ' from the last event'}`)
        if (refusing.times > 0) {
          refusing.times--
          return void res.writeHead(503, { 'retry-after': refusing.retryAfter }).end()
        }
        if (method === 'initialize') {
          const id = `${name}-${++opened}`
          sessions.add(id)
          return answer(
            res,
            body['id'],
            { protocolVersion: version ?? '2025-11-25', capabilities: {}, serverInfo: { name, version: '1' } },
            { 'mcp-session-id': id },
          )
        }
        if (typeof within === 'string' && !sessions.has(within)) return void res.writeHead(404, { 'content-type': 'application/json' }).end('{}')
        if (body['id'] === undefined) return void res.writeHead(202).end()
        if (method === 'tools/call' || method === 'tools/list') {
          if (method === 'tools/call') calls++
          if (breaks) {
            breaks = false
            return void req.socket.destroy()
          }
        }
        answer(res, body['id'], { by: name, session: within ?? null })
      })
    })
  let server = create()
  const listen = (port: number): Promise<void> => new Promise((resolve) => void server.listen(port, '127.0.0.1', () => resolve()))
  await listen(0)
  const { port } = server.address() as AddressInfo // a TCP listener has one
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  onTestFinished(stop)
  return {
    url: new URL(`http://127.0.0.1:${port}/mcp`),
    asked,
    headers,
    get calls() {
      return calls
    },
    forget: () => (sessions = new Set()),
    stop,
    async start() {
      sessions = new Set()
      server = create()
      await listen(port)
    },
    breakNext: () => (breaks = true),
    refuseNext: (times, retryAfter) => void (refusing = { times, retryAfter }),
  }
}
