// What the tests of the compatibility contract stand on: command lines as they are typed elsewhere, and what they are put in front of.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { isJson, jsonOf, type Json } from '../../support/json.ts'
import { onLoopback } from '../../support/loopback.ts'
import { INITIALIZED, callMessage, initializeMessage, PROGRAM, listening, onStdio, returned, type Proxy, type StdioProxy } from '../../support/openmcp.ts'
import { startProgram } from '../../support/program.ts'
import { freePort, scripted } from '../../support/servers.ts'
import { forThisTest } from '../../support/tidy.ts'
import { until } from '../../support/until.ts'
import { ask, openSession } from '../../support/wire.ts'

export type Env = Readonly<Record<string, string>>

/** Our stdio server, as one writes a command. */
export const CHILD = scripted()
/** The same as one writes it within quotes. */
export const CHILD_LINE = CHILD.join(' ')

/** What is typed, serving over HTTP until the test ends. */
export function serves(words: readonly string[], env: Env = {}): Promise<Proxy> {
  return forThisTest(listening(words, { env }))
}

/** What is typed with a free port of its own, where openmcp is told to say nothing. */
export async function servesQuietly(wordsFor: (port: string) => readonly string[]): Promise<Pick<Proxy, 'url'>> {
  const port = String(await freePort())
  const program = await forThisTest(startProgram(process.execPath, [PROGRAM, ...wordsFor(port)]))
  const url = new URL(`http://127.0.0.1:${port}/mcp`)
  await until('an answer', () => {
    if (program.end) throw new Error(`it ended: ${program.stderr.join()}`)
    return ask(new URL('/health', url)).then(
      ({ status }) => status === 200,
      () => false,
    )
  })
  return { url }
}

/** What is typed, on its stdin and stdout until the test ends. */
export function speaks(words: readonly string[], env: Env = {}): Promise<StdioProxy> {
  return forThisTest(Promise.resolve(onStdio(words, { env })))
}

/** What the child behind a proxy tells about itself. */
export async function childBehind({ url }: Pick<Proxy, 'url'>): Promise<{ argv: unknown; env: Json; cwd: unknown; pid: unknown }> {
  const { argv, env, cwd, pid } = await (await openSession(url)).call('who')
  return { argv, env: jsonOf(env), cwd, pid }
}

/** Initialises on stdio, calls a tool, and returns what that returned. */
export async function calledOn(proxy: StdioProxy, tool = 'echo', args: Json = {}): Promise<Json> {
  proxy.send(initializeMessage('first'))
  await proxy.answerTo('first')
  proxy.send(INITIALIZED)
  proxy.send(callMessage('call', tool, args))
  return returned(await proxy.answerTo('call'))
}

interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Json
}

/**
 * A remote server by hand: HTTP+SSE at `/sse` and `/events`, tokens at `/token`, Streamable HTTP anywhere else, and a note of every request.
 * At `/flaky` the first list of tools is never answered, and a call of `dropped` nowhere.
 */
export interface Remote {
  readonly origin: string
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly received: readonly Received[]
  /** The last call of a tool, over either. */
  readonly call: Received
}

const TOKEN = JSON.stringify({ access_token: 'by-client-credentials', token_type: 'Bearer', expires_in: 3600 })
const SSE = ['/sse', '/events']

export async function remote(name = 'remote'): Promise<Remote> {
  const received: Received[] = []
  const streams = new Map<string, ServerResponse>()
  const server = createServer((req, res) => {
    let text = ''
    req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    req.on('end', () => {
      const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : {}
      const { pathname, searchParams } = new URL(req.url ?? '/', 'http://remote')
      const one = { method: req.method ?? '', path: pathname, headers: req.headers, body: isJson(parsed) ? parsed : {} }
      received.push(one)
      if (SSE.includes(pathname)) {
        if (one.method !== 'GET') return void res.writeHead(405).end()
        const id = String(streams.size + 1)
        streams.set(id, res.writeHead(200, { 'content-type': 'text/event-stream' }))
        return void res.write(`event: endpoint\ndata: /messages?session=${id}\n\n`)
      }
      if (one.method !== 'POST') return void res.writeHead(405).end()
      if (pathname === '/token') return void res.writeHead(200, { 'content-type': 'application/json' }).end(TOKEN)
      if (jsonOf(one.body['params'] ?? {})['name'] === 'dropped') return void req.socket.destroy()
      const isFirst = received.filter(({ body }) => body['method'] === one.body['method']).length === 1
      if (pathname === '/flaky' && one.body['method'] === 'tools/list' && isFirst) return void req.socket.destroy()
      const answer = answerOf(name, one.body)
      if (pathname === '/messages') {
        if (answer) streams.get(searchParams.get('session') ?? '')?.write(`event: message\ndata: ${JSON.stringify(answer)}\n\n`)
        return void res.writeHead(202).end()
      }
      if (!answer) return void res.writeHead(202).end()
      res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'the-only-one' }).end(JSON.stringify(answer))
    })
  })
  // As an HTTP proxy it leads everywhere to itself.
  server.on('connect', (_req, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    server.emit('connection', socket)
  })
  const { host, stop } = await onLoopback(server)
  onTestFinished(stop)
  return {
    origin: `http://${host}`,
    host,
    received,
    get call() {
      const call = received.findLast(({ body }) => body['method'] === 'tools/call')
      if (!call) throw new Error(`no call reached ${name}`)
      return call
    },
  }
}

/** What a server of this name says to a message. */
export function answerOf(name: string, message: unknown): Json | undefined {
  const { id, method, params } = jsonOf(message)
  if (id === undefined) return undefined
  if (method === 'initialize') {
    const { protocolVersion } = jsonOf(params)
    return { jsonrpc: '2.0', id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name, version: '1' } } }
  }
  if (method === 'tools/list')
    return { jsonrpc: '2.0', id, result: { tools: ['echo', 'delete_all'].map((tool) => ({ name: tool, inputSchema: { type: 'object' } })) } }
  if (method === 'tools/call') return { jsonrpc: '2.0', id, result: { content: [], structuredContent: { by: name } } }
  return { jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${String(method)}` } }
}

/** A directory that ends with the test, with these files in it. */
export function files(contents: Readonly<Record<string, string | Json>>): { directory: string; at(name: string): string } {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-compatibility-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const at = (name: string): string => join(directory, name)
  for (const [name, content] of Object.entries(contents))
    writeFileSync(at(name), typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
  return { directory, at }
}
