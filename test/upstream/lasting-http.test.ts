// An upstream that is several, or that is started anew: real servers, real sockets, and what each of them was asked.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { OpenMcpError } from '../../src/errors.ts'
import type { HttpRequest, HttpUpstream } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createEndpoints } from '../../src/upstream/endpoints.ts'
import { createHttpClient } from '../../src/upstream/http-client.ts'
import { createLastingHttp } from '../../src/upstream/lasting-http.ts'
import { createStreamableHttp } from '../../src/upstream/streamable-http.ts'
import { isJson, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { restartable, type Restartable } from '../support/restartable.ts'
import { until } from '../support/until.ts'
import { SILENT } from './scripted-pipe.ts'

function lasting(tiers: readonly (readonly Restartable[])[], { attempts = 0, delayMs = 5 }: { attempts?: number; delayMs?: number } = {}): HttpUpstream {
  const upstreams = tiers.map((tier) =>
    tier.map(({ url }) => {
      const client = createHttpClient(url.origin, {}, { ...DEFAULT_LIMITS, connectSeconds: 2 })
      onTestFinished(() => client.close())
      return createStreamableHttp(client, url)
    }),
  )
  const endpoints = createEndpoints(upstreams, { now: Date.now, random: () => 0 })
  return createLastingHttp({ endpoints, attempts, delayMs, random: () => 0, now: Date.now, log: SILENT })
}

interface Answered {
  status: number
  session: string | undefined
  body: Json
}

function ask(upstream: HttpUpstream, request: Partial<Omit<HttpRequest, 'body'>> & { body?: Json }): Promise<Answered> {
  const { method = 'POST', sessionId, headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }, body } = request
  return new Promise((resolve, reject) => {
    const found: Answered = { status: 0, session: undefined, body: {} }
    let text = ''
    upstream.exchange(
      { method, sessionId, headers, body: body === undefined ? undefined : JSON.stringify(body) },
      {
        head: (status, head) => Object.assign(found, { status, session: head.sessionId }),
        chunk: (bytes) => ((text += bytes.toString()), true),
        drained: () => {},
        end() {
          const parsed: unknown = text === '' ? {} : JSON.parse(text)
          resolve({ ...found, body: isJson(parsed) ? parsed : {} })
        },
        failed: reject,
      },
    )
  })
}

async function session(upstream: HttpUpstream): Promise<string> {
  const { session: id } = await ask(upstream, { body: initializeMessage(1) })
  if (id === undefined) throw new Error('no session')
  return id
}

const call = (upstream: HttpUpstream, sessionId: string | undefined, id = 7): Promise<Answered> =>
  ask(upstream, { sessionId, body: { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'x', arguments: { method: 'ping' } } } })
const list = (upstream: HttpUpstream, sessionId?: string): Promise<Answered> =>
  ask(upstream, { sessionId, body: { jsonrpc: '2.0', id: 8, method: 'tools/list' } })
const failed = (promise: Promise<unknown>): Promise<OpenMcpError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: OpenMcpError) => error,
  )

describe('an upstream that is started anew', () => {
  test('has its sessions opened again, and the request that found it out is done once', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 50 })
    const once = lasting([[server]])
    const id = await session(upstream)
    expect((await call(upstream, id)).body).toMatchObject({ result: { session: 'a-1' } })
    await server.stop()
    // What is written on a connection that is just being closed may have been read.
    await until('the end of the connection', async () => (await failed(call(once, undefined))).code === 'upstream_unreachable')
    const waiting = call(upstream, id)
    await server.start()
    expect((await waiting).body).toMatchObject({ id: 7, result: { session: 'a-2' } })
    expect(server.calls).toBe(2)
    expect(server.asked.slice(-4)).toEqual(['tools/call in a-1', 'initialize', 'notifications/initialized in a-2', 'tools/call in a-2'])
  })

  test('opens a session once for many that find out at the same time', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]])
    const id = await session(upstream)
    server.forget()
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => call(upstream, id, index + 10)))
    expect(answers.map(({ body }) => body['id'])).toEqual(Array.from({ length: 20 }, (_, index) => index + 10))
    expect(server.calls).toBe(20)
    expect(server.asked.filter((one) => one === 'initialize')).toHaveLength(2)
  })

  test('that forgets at once again is not asked for ever', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]])
    const id = await session(upstream)
    server.forget()
    const waiting = call(upstream, id)
    await until('the second initialize', () => server.asked.filter((one) => one === 'initialize').length === 2)
    await waiting.catch(() => {})
    expect(server.asked.filter((one) => one === 'initialize')).toHaveLength(2)
  })

  test('and has become another revision is no server for this session', async () => {
    const server = await restartable('a', { version: '2025-06-18' })
    const upstream = lasting([[server]])
    const id = await session(upstream)
    server.forget()
    const headers = { 'content-type': 'application/json', accept: 'application/json', 'mcp-protocol-version': '2025-11-25' }
    expect((await failed(ask(upstream, { sessionId: id, headers, body: { jsonrpc: '2.0', id: 7, method: 'ping' } }))).code).toBe('session_ended')
  })

  test('is listened to from now on, not from an event of the session before', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]])
    const id = await session(upstream)
    server.forget()
    await ask(upstream, { method: 'GET', sessionId: id, headers: { accept: 'text/event-stream', 'last-event-id': '5' } })
    expect(server.asked.slice(-4)).toEqual(['GET in a-1 from the last event', 'initialize', 'notifications/initialized in a-2', 'GET in a-2'])
  })
})

describe('a request', () => {
  test('that calls a tool is not repeated when it may have been done, whatever its arguments say', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 5 })
    const id = await session(upstream)
    server.breakNext()
    expect((await failed(call(upstream, id))).code).toBe('upstream_broke')
    expect(server.calls).toBe(1)
  })

  test('that does nothing is', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 5 })
    const id = await session(upstream)
    server.breakNext()
    expect((await list(upstream, id)).body).toMatchObject({ result: { by: 'a' } })
  })

  test('that never left fails when nobody comes, after so many attempts', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 2 })
    await server.stop()
    expect((await failed(list(upstream))).code).toBe('upstream_unreachable')
  })

  test('that its client gives up is not sent again', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 1000 })
    await server.stop()
    const stop = upstream.exchange(
      { method: 'POST', sessionId: undefined, headers: {}, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) },
      { head: () => {}, chunk: () => true, drained: () => {}, end: () => {}, failed: () => {} },
    )
    stop()
    await server.start()
    await list(upstream)
    expect(server.asked).toEqual(['tools/list'])
  })
})

describe('several endpoints', () => {
  test('get new sessions in turn, and each session stays with its own', async () => {
    const [a, b] = await Promise.all([restartable('a'), restartable('b')])
    const upstream = lasting([[a, b]])
    const ids = [await session(upstream), await session(upstream), await session(upstream), await session(upstream)]
    const by = async (): Promise<unknown[]> => Promise.all(ids.map(async (id) => (await call(upstream, id)).body['result']))
    const first = await by()
    expect(first.map((result) => (isJson(result) ? String(result['by']) : '')).toSorted((x, y) => x.localeCompare(y))).toEqual(['a', 'a', 'b', 'b'])
    expect(await by()).toEqual(first)
  })

  test('are not weighed by what its client gave up', async () => {
    const [a, b] = await Promise.all([restartable('a'), restartable('b')])
    const upstream = lasting([[a, b]])
    const nobody = { head: () => {}, chunk: () => true, drained: () => {}, end: () => {}, failed: () => {} }
    for (let time = 0; time < 3; time++) upstream.exchange({ method: 'POST', sessionId: undefined, headers: {}, body: '{}' }, nobody)()
    await session(upstream)
    await session(upstream)
    expect([a, b].map(({ asked }) => asked.filter((one) => one === 'initialize').length)).toEqual([1, 1])
  })

  test('that end their sessions take new ones again', async () => {
    const [a, b] = await Promise.all([restartable('a'), restartable('b')])
    const upstream = lasting([[a, b]])
    const [first] = [await session(upstream), await session(upstream)]
    await ask(upstream, { method: 'DELETE', sessionId: first })
    await session(upstream)
    expect([a, b].map(({ asked }) => asked.filter((one) => one === 'initialize').length)).toEqual([2, 1])
    expect((await failed(call(upstream, first))).code).toBe('session_ended')
  })

  test('of which one is away: what begins goes to the other at once, and its sessions move there', async () => {
    const [a, b] = await Promise.all([restartable('a'), restartable('b')])
    const upstream = lasting([[a, b]])
    const ofA = await session(upstream)
    await a.stop()
    expect((await list(upstream)).body).toMatchObject({ result: { by: 'b' } })
    expect((await call(upstream, ofA)).body).toMatchObject({ result: { by: 'b', session: 'b-1' } })
    expect([a.calls, b.calls]).toEqual([0, 1])
  })

  test('fall back in the order that was named, and nowhere else', async () => {
    const [a, b, c] = await Promise.all([restartable('a'), restartable('b'), restartable('c')])
    const upstream = lasting([[a], [b], [c]])
    expect((await list(upstream)).body).toMatchObject({ result: { by: 'a' } })
    await a.stop()
    expect((await list(upstream)).body).toMatchObject({ result: { by: 'b' } })
    await b.stop()
    expect((await list(upstream)).body).toMatchObject({ result: { by: 'c' } })
    await c.stop()
    expect((await failed(list(upstream))).code).toBe('upstream_unreachable')
  })
})

describe('an upstream that is busy and says when to come back', () => {
  test.each([
    ['seconds', '0'],
    ['a date', new Date(0).toUTCString()],
  ])('is asked again for a session then: %s', async (_, retryAfter) => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 3 })
    server.refuseNext(2, retryAfter)
    expect(await session(upstream)).toBe('s1')
    server.refuseNext(1, retryAfter)
    expect((await list(upstream)).status).toBe(200)
    expect(server.asked).toEqual(['initialize', 'initialize', 'initialize', 'tools/list', 'tools/list'])
  })

  test('is heard by the client, when that is too long, or after so many times', async () => {
    const server = await restartable('a')
    server.refuseNext(1, '3600')
    expect((await ask(lasting([[server]], { attempts: 3 }), { body: initializeMessage(1) })).status).toBe(503)
    server.refuseNext(3, '0')
    expect((await ask(lasting([[server]], { attempts: 2 }), { body: initializeMessage(1) })).status).toBe(503)
    expect(server.asked).toHaveLength(4)
  })

  test('is asked nothing twice that could be done twice, nor within a session', async () => {
    const server = await restartable('a')
    const upstream = lasting([[server]], { attempts: 3 })
    const id = await session(upstream)
    server.refuseNext(2, '0')
    expect([(await call(upstream, undefined)).status, (await list(upstream, id)).status]).toEqual([503, 503])
    expect(server.calls).toBe(0)
  })

  test('is not waited for where another is not', async () => {
    const [a, b] = await Promise.all([restartable('a'), restartable('b')])
    const upstream = lasting([[a, b]])
    a.refuseNext(100, '3600')
    for (let time = 0; time < 4; time++) expect((await call(upstream, await session(upstream))).body).toMatchObject({ result: { by: 'b' } })
    expect(a.asked).toEqual(['initialize'])
  })
})

test('who was left alone is returned to when its time has come', () => {
  let nowMs = 0
  const endpoints = createEndpoints([['a'], ['b']], { now: () => nowMs, random: () => 0 })
  endpoints.failed('a')
  expect([endpoints.pick(), endpoints.due()]).toEqual(['b', []])
  nowMs = 1000
  expect([endpoints.pick(), endpoints.due()]).toEqual(['a', ['a']])
  endpoints.failed('a')
  nowMs = 2999
  expect(endpoints.pick()).toBe('b')
  nowMs = 3000
  expect(endpoints.pick()).toBe('a')
  endpoints.works('a')
  endpoints.failed('a')
  nowMs = 4000
  expect(endpoints.pick()).toBe('a')
  for (let failure = 0; failure < 20; failure++) {
    // What many find out at once is one failure.
    endpoints.failed('a')
    endpoints.failed('a')
    nowMs += 30_000
  }
  expect(endpoints.pick()).toBe('a')
})
