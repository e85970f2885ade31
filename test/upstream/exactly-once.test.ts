// A tool that does something does it once: whatever breaks, is killed, is started anew, or is gone over to, while many call.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { child, running } from '../openmcp/stage.ts'
import { at, isJson, jsonOf, type Json } from '../support/json.ts'
import { callMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { ask, messagesIn, openSession } from '../support/wire.ts'

const BOTH = { accept: 'application/json, text/event-stream' }
const CLIENTS = 10
const CALLS = 20

/** What was done, by the key of the call. */
type Done = Map<string, number>

interface Killable {
  readonly port: number
  kill(): Promise<void>
  start(): Promise<void>
}

/** Every so often it breaks the connection: before it does what it is asked, or after. */
function breaks(number: number): 'before' | 'after' | undefined {
  if (number % 17 === 5) return 'before'
  return number % 13 === 7 ? 'after' : undefined
}

function resultOf(message: Json): Json {
  const { method } = message
  if (method === 'initialize') return { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
  return method === 'tools/call' ? { structuredContent: { key: at(message, 'params', 'arguments', 'key') } } : { tools: [] }
}

function note(done: Done, message: Json): void {
  const key = String(at(message, 'params', 'arguments', 'key'))
  done.set(key, (done.get(key) ?? 0) + 1)
}

async function killable(create: () => Server, sockets: Set<Socket>): Promise<Killable> {
  let server = create()
  const listen = (port: number): Promise<void> => new Promise((resolve) => void server.listen(port, '127.0.0.1', () => resolve()))
  await listen(0)
  const { port } = server.address() as AddressInfo // a TCP listener has one
  const kill = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  onTestFinished(kill)
  return {
    port,
    kill,
    start() {
      server = create()
      return listen(port)
    },
  }
}

async function overHttp(done: Done): Promise<Killable> {
  const sockets = new Set<Socket>()
  let sessions = new Set<string>()
  let asked = 0
  function answer(req: IncomingMessage, res: ServerResponse, message: Json): void {
    const id = req.headers['mcp-session-id']
    if (typeof id === 'string' && !sessions.has(id)) return void res.writeHead(404).end()
    if (req.method !== 'POST') return void res.writeHead(405).end()
    if (message['id'] === undefined) return void res.writeHead(202).end()
    const broken = message['method'] === 'initialize' ? undefined : breaks(++asked)
    if (broken === 'before') return void req.socket.destroy()
    if (message['method'] === 'tools/call') note(done, message)
    if (broken === 'after') return void req.socket.destroy()
    const opened = `s${++asked}`
    if (message['method'] === 'initialize') sessions.add(opened)
    res.writeHead(200, { 'content-type': 'application/json', ...(message['method'] === 'initialize' && { 'mcp-session-id': opened }) })
    res.end(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: resultOf(message) }))
  }
  return killable(() => {
    sessions = new Set()
    const server = createServer((req, res) => {
      let text = ''
      req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      req.on('end', () => {
        const parsed: unknown = text === '' ? {} : JSON.parse(text)
        answer(req, res, isJson(parsed) ? parsed : {})
      })
      req.on('error', () => {})
    })
    return server.on('connection', (socket: Socket) => void sockets.add(socket.once('close', () => sockets.delete(socket))))
  }, sockets)
}

async function overTcp(done: Done): Promise<Killable> {
  const sockets = new Set<Socket>()
  let asked = 0
  return killable(
    () =>
      createTcp((socket) => {
        sockets.add(socket.once('close', () => sockets.delete(socket)).on('error', () => {}))
        let text = ''
        socket.setEncoding('utf8').on('data', (piece: string) => {
          const lines = (text + piece).split('\n')
          text = lines.pop() ?? ''
          for (const message of lines.map((line) => jsonOf(JSON.parse(line)))) {
            if (message['id'] === undefined || socket.destroyed) continue
            const broken = message['method'] === 'initialize' ? undefined : breaks(++asked)
            if (broken === 'before') return void socket.destroy()
            if (message['method'] === 'tools/call') note(done, message)
            if (broken === 'after') return void socket.destroy()
            socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: resultOf(message) })}\n`)
          }
        })
      }),
    sockets,
  )
}

/** Ten clients, each with twenty calls, one after the other; while they call, each server in turn is killed and started again. */
async function underFire(
  servers: readonly Killable[],
  caller: (client: number) => Promise<(key: string) => Promise<boolean>>,
): Promise<{ answered: string[]; asked: number }> {
  const answered: string[] = []
  let asked = 0
  const all = Array.from({ length: CLIENTS }, async (_, client) => {
    let call = await caller(client)
    for (let number = 0; number < CALLS; number++) {
      const key = `${client}-${number}`
      asked++
      const isAnswered = await call(key).catch(() => false)
      if (isAnswered) answered.push(key)
      // Its session may be over: a client begins anew, and asks nothing again by itself.
      else call = await caller(client).catch(() => call)
    }
  })
  for (const [index, server] of servers.entries()) {
    await until('some of them', () => asked > (index + 1) * 25)
    await server.kill()
    await server.start()
  }
  await Promise.all(all)
  return { answered, asked }
}

function inSessions(url: URL): (client: number) => Promise<(key: string) => Promise<boolean>> {
  return async () => {
    const session = await openSession(url)
    return async (key) => (await session.call('x', { key }))['key'] === key
  }
}

function alone(url: URL): (client: number) => Promise<(key: string) => Promise<boolean>> {
  return async () => async (key) => {
    const answer = await ask(url, { headers: BOTH, body: callMessage(1, 'x', { key }) })
    return at(messagesIn(answer)[0], 'result', 'structuredContent', 'key') === key
  }
}

const RETRY = { attempts: 6, delayMs: 10 }
const http = ({ port }: Killable): URL => new URL(`http://127.0.0.1:${port}/mcp`)
const tcp = ({ port }: Killable): URL => new URL(`tcp://127.0.0.1:${port}`)

test.each<[string, (done: Done) => Promise<Killable>, (servers: [Killable, Killable, Killable]) => Partial<NamedServer>, typeof inSessions]>([
  ['one server over HTTP', overHttp, ([a]) => ({ target: { kind: 'remote', urls: [http(a)], transport: 'http', headers: {}, retry: RETRY } }), inSessions],
  [
    'two endpoints and a fall-back over HTTP',
    overHttp,
    ([a, b, c]) => ({ target: { kind: 'remote', urls: [http(a)], others: [[http(b)]], fallbacks: [[http(c)]], transport: 'http', headers: {}, retry: RETRY } }),
    inSessions,
  ],
  [
    'two endpoints over HTTP, without sessions',
    overHttp,
    ([a, b]) => ({ stateless: true, target: { kind: 'remote', urls: [http(a)], others: [[http(b)]], transport: 'http', headers: {}, retry: RETRY } }),
    alone,
  ],
  [
    'two endpoints and a fall-back over tcp',
    overTcp,
    ([a, b, c]) => ({ target: { kind: 'socket', url: tcp(a), others: [tcp(b)], fallbacks: [tcp(c)], headers: {} } }),
    inSessions,
  ],
])(
  'no call is done twice, and what is answered was done: %s',
  async (_, create, target, callers) => {
    const done: Done = new Map()
    const servers: [Killable, Killable, Killable] = [await create(done), await create(done), await create(done)]
    const { at: path } = await running([{ ...child('one'), ...target(servers) }])
    const { answered, asked } = await underFire(servers, callers(path('/servers/one/mcp')))
    expect(asked).toBe(CLIENTS * CALLS)
    expect([...done.values()].filter((times) => times !== 1)).toEqual([])
    expect(answered.filter((key) => !done.has(key))).toEqual([])
    // Most get through: it is no proof to have done nothing.
    expect(answered.length).toBeGreaterThan(asked / 2)
  },
  60_000,
)

test('who only asks without a session never notices that the server was killed and started again: 10 clients, 20 questions each, all answered', async () => {
  const sockets = new Set<Socket>()
  let initialized = 0
  const server = await killable(
    () =>
      createServer((req, res) => {
        let text = ''
        req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        req.on('end', () => {
          const parsed: unknown = text === '' ? {} : JSON.parse(text)
          const message = isJson(parsed) ? parsed : {}
          if (message['method'] === 'initialize') initialized++
          if (message['id'] === undefined) return void res.writeHead(req.method === 'POST' ? 202 : 405).end()
          res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result: resultOf(message) }))
        })
      }).on('connection', (socket: Socket) => void sockets.add(socket.once('close', () => sockets.delete(socket)))),
    sockets,
  )
  const { at: path } = await running([
    { ...child('one'), stateless: true, target: { kind: 'remote', urls: [http(server)], transport: 'http', headers: {}, retry: RETRY } },
  ])
  let asked = 0
  const statuses = Array.from({ length: CLIENTS }, async () => {
    const all: number[] = []
    for (let number = 0; number < CALLS; number++) {
      asked++
      const answer = await ask(path('/servers/one/mcp'), { headers: BOTH, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } })
      all.push(messagesIn(answer)[0]?.['result'] === undefined ? answer.status : 200)
    }
    return all
  })
  await until('some of them', () => asked > 50)
  await server.kill()
  await server.start()
  expect((await Promise.all(statuses)).flat()).toEqual(Array.from({ length: CLIENTS * CALLS }, () => 200))
  expect(initialized).toBe(1)
}, 60_000)
