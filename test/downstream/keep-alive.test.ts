// Calls that take long, through load balancers that cut what is silent. Here a minute is half a second; the figures hold in proportion.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { child, running } from '../openmcp/stage.ts'
import { cutter, type Cutter } from '../support/cutter.ts'
import { at, type Json } from '../support/json.ts'
import { callMessage, returned } from '../support/openmcp.ts'
import { json, upstream, type Received } from '../support/upstream.ts'
import { until } from '../support/until.ts'
import { ask, openSession, openSse, type Stream } from '../support/wire.ts'

const IDLE_MS = 500
/** A call of six minutes, in front of which a minute of silence is the end. */
const LONG_MS = 6 * IDLE_MS
const SOON = { keepAliveSeconds: 0.1 }
const TOO_LATE = { keepAliveSeconds: 60 }

function remote(url: URL, limits: Partial<typeof DEFAULT_LIMITS>, transport: 'http' | 'sse' = 'http'): NamedServer {
  return { ...child('one', [], limits), target: { kind: 'remote', urls: [url], transport, headers: {} } }
}

const LISTEN = { host: '127.0.0.1', port: 0, allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false }

async function served(server: NamedServer): Promise<URL> {
  return (await running([server])).at('/servers/one/mcp')
}

/** Served through a load balancer of its own. */
async function balanced({ target, limits }: NamedServer): Promise<Cutter & { url: URL }> {
  const between = await cutter(IDLE_MS)
  const { proxy } = await running([], [], { target, limits: { ...limits, drainSeconds: 0 }, listen: { ...LISTEN, allowHosts: [between.host] } })
  if (!proxy.url) throw new Error('it listens')
  return Object.assign(between, { url: between.before(proxy.url) })
}

async function timePassed(ms: number): Promise<void> {
  const from = performance.now()
  await until('time to pass', () => performance.now() - from > ms, ms + 15_000)
}

test('the default is well below what common load balancers take for the end: 60 s', () => {
  expect(2 * DEFAULT_LIMITS.keepAliveSeconds).toBeLessThanOrEqual(30)
})

describe('a call of six minutes between load balancers that cut after one', () => {
  test('on both sides of openmcp, which passes on what another one serves', async () => {
    const behind = await balanced(child('one', [], SOON))
    const before = await balanced(remote(behind.url, SOON))
    const session = await openSession(before.url)
    const call = await session.post(callMessage(7, 'hold', { key: 'k' }))
    await timePassed(LONG_MS)
    await session.post({ jsonrpc: '2.0', method: 'notifications/release', params: { key: 'k', value: { done: true } } })
    expect(returned(await call.message(({ id }) => id === 7))).toEqual({ done: true })
    expect(call.text.split(': keepalive').length).toBeGreaterThan(6)
  })

  test('of a server that says nothing before its answer, which is JSON', async () => {
    const slow = await silent((res) => json(res, 200, ANSWER))
    const before = await balanced(remote(slow.url, SOON))
    const call = ask(before.url, { headers: { accept: 'application/json, text/event-stream' }, body: callMessage(7, 'x') })
    await timePassed(LONG_MS)
    slow.go()
    const { status, headers, text } = await call
    expect([status, headers['content-type'], before.cuts]).toEqual([200, 'text/event-stream', 0])
    expect(text.endsWith(`event: message\ndata: ${JSON.stringify(ANSWER)}\n\n`)).toBe(true)
  })

  test('is cut without keep-alive: the load balancer is one', async () => {
    const before = await balanced(child('one', [], TOO_LATE))
    const session = await openSession(before.url)
    const call: Stream = await session.post(callMessage(7, 'hold', { key: 'k' }))
    await until('the cut', () => call.over === 'cut')
    expect(before.cuts).toBeGreaterThan(0)
  })
}, 40_000)

test('a listening stream, and one of HTTP+SSE, are there when the six minutes are over', async () => {
  const before = await balanced(child('one', [], SOON))
  const session = await openSession(before.url)
  const listening = await session.listen()
  const sse = await openSse(before.url)
  await timePassed(LONG_MS)
  expect([listening.over, sse.stream.over]).toEqual([undefined, undefined])
  expect(await sse.call('echo', { a: 1 })).toEqual({ a: 1 })
}, 40_000)

describe('the answer of a server that was silent for long', () => {
  test.each<[string, (received: Received, res: Parameters<typeof json>[0]) => void, Json]>([
    [
      'a JSON-RPC error with a status',
      (_, res) => json(res, 400, { jsonrpc: '2.0', id: null, error: { code: -32602, message: 'no such tool' } }),
      { code: -32602, message: 'no such tool' },
    ],
    [
      'a status without a message',
      (_, res) => void res.writeHead(500, { 'content-type': 'text/html' }).end('<h1>no</h1>'),
      { code: -32603, message: 'the upstream answered HTTP 500 without a message' },
    ],
    [
      'the end of the connection',
      (_, res) => void res.destroy(),
      { code: -32603, message: expect.stringContaining('closed the connection before its answer ended') },
    ],
  ])('is an event, too: %s', async (_, answer, error) => {
    const slow = await silent((res, received) => answer(received, res))
    const call = ask(await served(remote(slow.url, { keepAliveSeconds: 0.05 })), {
      headers: { accept: 'application/json, text/event-stream' },
      body: callMessage(7, 'x'),
    })
    await timePassed(300)
    slow.go()
    const { text } = await call
    const message: unknown = JSON.parse(/data: (.*)\n\n$/s.exec(text)?.[1] ?? '')
    expect([at(message, 'id'), at(message, 'error')]).toEqual([7, expect.objectContaining(error)])
  })

  test('comes byte for byte, with numbers that JavaScript would round', async () => {
    const body = '{"jsonrpc":"2.0",\n"id":7,\r\n"result":{"n":12345678901234567890}}'
    const slow = await silent((res) => void res.writeHead(200, { 'content-type': 'application/json' }).end(body))
    const call = ask(await served(remote(slow.url, { keepAliveSeconds: 0.05 })), {
      headers: { accept: 'application/json, text/event-stream' },
      body: callMessage(7, 'x'),
    })
    await timePassed(300)
    slow.go()
    expect((await call).text).toContain('data: {"jsonrpc":"2.0", "id":7,  "result":{"n":12345678901234567890}}\n\n')
  })

  test('is waited for where the client takes no stream of events', async () => {
    const slow = await silent((res) => json(res, 200, ANSWER))
    const call = ask(await served(remote(slow.url, { keepAliveSeconds: 0.05 })), { headers: { accept: 'application/json' }, body: callMessage(7, 'x') })
    await timePassed(300)
    slow.go()
    expect((await call).headers['content-type']).toBe('application/json')
  })
})

const ANSWER = { jsonrpc: '2.0', id: 7, result: { content: [], structuredContent: { done: true } } }

/** A server that answers nothing until it is told to. */
async function silent(answer: (res: Parameters<typeof json>[0], received: Received) => void): Promise<{ url: URL; go(): void }> {
  let go = (): void => {}
  const told = new Promise<void>((resolve) => (go = resolve))
  const server = await upstream((received, res) => void told.then(() => answer(res, received)))
  onTestFinished(server.stop)
  return { url: new URL('/mcp', server.origin), go: () => go() }
}
