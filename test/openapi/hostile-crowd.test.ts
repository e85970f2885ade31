// Many callers, and callers that hold on to what they have: each has its share, and what they leave is gone.
import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { member } from '../openmcp/several.ts'
import { child, running } from '../openmcp/stage.ts'
import { holder } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { bearer, secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, open, openSocket } from '../support/wire.ts'
import { many } from './hostile.ts'

const counts = async (status: () => Promise<Json>, name: string): Promise<unknown[]> => {
  const server = at(await status(), 'servers', name)
  return ['sessions', 'streams', 'upstreams'].map((what) => at(server, what))
}

test('calls that are left one after the other are cancelled one and all, and leave nothing', async () => {
  const { at: under, status } = await running([{ ...child('one'), openapi: {} }])
  const seen = async (): Promise<Json[]> => {
    const { status: answered, text, json } = await ask(under('/one/seen'), { body: {} })
    if (!Array.isArray(json['seen'])) throw new Error(`${answered} ${text}`)
    return json['seen'] as Json[] // each is a message
  }
  const of = async (method: string): Promise<Json[]> => (await seen()).filter((message) => message['method'] === method)
  const CALLS = 100
  for (let from = 0; from < CALLS; from += 50) {
    const streams = await Promise.all(
      many(50, (index) => open(under('/one/hold'), { body: { key: `${from + index}` }, headers: { accept: 'text/event-stream' } })),
    )
    await Promise.all(streams.map((stream) => stream.stop()))
  }
  const held = async (): Promise<Json[]> => (await of('tools/call')).filter(({ params }) => at(params, 'name') === 'hold')
  await until('all cancellations', async () => (await of('notifications/cancelled')).length === (await held()).length)
  expect((await held()).length).toBe(CALLS)
  await until('nothing open', async () => JSON.stringify(await counts(status, 'one')) === '[1,0,1]')
  const ids = (await held()).map(({ id }) => id)
  expect(new Set((await of('notifications/cancelled')).map(({ params }) => at(params, 'requestId')))).toEqual(new Set(ids))
})

test('more calls at once than a session has room for are refused, and those that have it go on', async () => {
  const { at: under } = await running([{ ...child('one', [], { streams: 5 }), openapi: {} }])
  const held = await Promise.all(many(5, (index) => open(under('/one/hold'), { body: { key: `${index}` }, headers: { accept: 'text/event-stream' } })))
  const refused = async (): Promise<boolean> => {
    const { status, json } = await ask(under('/one/echo'), { body: { a: 1 } })
    return status === 503 && at(json, 'detail', 'code') === 'busy'
  }
  await until('the refusal', refused)
  const stream = await open(under('/one/echo'), { body: { a: 1 }, headers: { accept: 'text/event-stream' } })
  await stream.whole()
  expect(stream.events.map(({ event, data }) => [event, at(JSON.parse(data), 'status')])).toEqual([['error', 503]])
  expect(held.map(({ over }) => over)).toEqual(many(5, () => undefined))
  await Promise.all(held.map((one) => one.stop()))
})

test('calls whose sender leaves at once, in any part of what they send, hold nothing', async () => {
  const { at: under, status } = await running([{ ...child('one'), openapi: {} }])
  const body = '{"key":"a"}'
  const whole = `POST /one/hold HTTP/1.1\r\nHost: ${under('/').host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  for (let cut = 10; cut <= whole.length; cut += 7) {
    const socket = await openSocket(under('/'))
    socket.write(whole.slice(0, cut))
    await socket.stop()
  }
  expect((await ask(under('/one/echo'), { body: { a: 1 } })).json).toEqual({ a: 1 })
  await until('nothing open', async () => JSON.stringify(await counts(status, 'one')) === '[1,0,1]')
})

test('whoever says other things to the server with every call has no more than their share of sessions, and others have theirs', async () => {
  const [ann, bob] = await Promise.all([holder(), holder()])
  const proxy = await secured({
    trusted: [ann.did, bob.did],
    options: { openapi: {}, forwardHeaders: ['x-a'], limits: { ...DEFAULT_LIMITS, drainSeconds: 0, sessions: 8 } },
    // What is held is not idle, and makes no room.
    answer: ({ method, body }, res) => {
      const { id } = body
      if (method !== 'POST' || id === undefined) return void res.writeHead(method === 'GET' ? 405 : 202).end()
      const result =
        body['method'] === 'initialize'
          ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
          : body['method'] === 'tools/list'
            ? { tools: [{ name: 'hold', inputSchema: { type: 'object' } }] }
            : undefined
      if (result) res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    },
  })
  const opened = (): number => proxy.upstream.received.filter(({ body }) => body['method'] === 'initialize').length
  const called = (): number => proxy.upstream.received.filter(({ body }) => body['method'] === 'tools/call').length
  const credential = bearer(await proxy.token(ann))
  const call = (headers: Readonly<Record<string, string>>): ReturnType<typeof open> =>
    open(new URL(`${proxy.base}/hold`), { headers: { ...headers, accept: 'text/event-stream' }, body: {} })
  const streams = await Promise.all(many(30, (index) => call({ ...credential, 'x-a': String(index) })))
  const statuses = streams.map(({ status }) => status)
  await until('the calls', () => called() === statuses.filter((status) => status === 200).length)
  const refused = statuses.filter((status) => status === 503).length
  // The server heard of no session that there was no place for.
  expect([opened() + refused, opened() < 8]).toEqual([30, true])
  const other = await call(bearer(await proxy.token(bob)))
  expect(other.status).toBe(200)
  await Promise.all([...streams, other].map((stream) => stream.stop()))
})

test('what callers give in headers reaches their own server process and their own session, and no other', async () => {
  const one = child('one')
  const two = await member('two', { 'tools/list': () => ({ tools: [{ name: 'it', inputSchema: { type: 'object' } }] }), 'tools/call': () => ({ content: [] }) })
  const target = { ...one.target, headerToEnv: { 'x-key': 'KEY' } } as typeof one.target // a command's
  const { at: under } = await running([
    { ...one, target, openapi: {} },
    { ...two.server, openapi: {}, forwardHeaders: ['x-key'] },
  ])
  const keys = many(4, (index) => `key-${index % 2}`)
  const seen = await Promise.all(keys.map(async (key) => at((await ask(under('/one/who'), { body: {}, headers: { 'x-key': key } })).json, 'env', 'KEY')))
  expect(seen).toEqual(keys)
  expect(at((await ask(under('/one/who'), { body: {} })).json, 'env', 'KEY')).toBe(undefined)
  await Promise.all(keys.map((key) => ask(under('/two/it'), { body: {}, headers: { 'x-key': key, cookie: 'a=b', authorization: 'Bearer a', 'x-other': 'b' } })))
  const heard = two.behind.received.filter(({ body }) => ['initialize', 'tools/call'].includes(String(body['method'])))
  const opened = heard.filter(({ body }) => body['method'] === 'initialize').map(({ headers }) => headers['x-key'])
  expect([opened.length, new Set(opened)]).toEqual([2, new Set(['key-0', 'key-1'])])
  for (const { headers } of heard) expect([headers.cookie, headers.authorization, headers['x-other']]).toEqual([undefined, undefined, undefined])
})

test('sessions that are not open yet count, and end with whoever is trusted no more', async () => {
  const ann = await holder()
  let answers = 0
  const proxy = await secured({
    trusted: [ann.did],
    options: { openapi: {}, forwardHeaders: ['x-a'], limits: { ...DEFAULT_LIMITS, drainSeconds: 0, sessions: 8 } },
    // It takes all that is sent, and says nothing.
    answer: () => void answers++,
  })
  const credential = bearer(await proxy.token(ann))
  const statuses: (number | undefined)[] = []
  const calls = many(30, (index) =>
    ask(new URL(`${proxy.base}/echo`), { headers: { ...credential, 'x-a': String(index) }, body: {} }).then(
      ({ status }) => statuses.push(status),
      () => statuses.push(undefined),
    ),
  )
  await until('the refusals', () => statuses.length > 20)
  expect(new Set(statuses)).toEqual(new Set([503]))
  expect(answers).toBeLessThan(16)
  await proxy.configure({ identities: [], issuers: [], selfIssued: true })
  await Promise.all(calls)
  expect(statuses).toContain(undefined)
  const status = await ask(new URL(`${proxy.base}/status`), { headers: credential })
  expect(status.status).toBe(401)
})

test('a server that never answers its greeting does not keep openmcp from ending', async () => {
  const silent = await member('silent', { initialize: () => undefined })
  const { at: under, proxy } = await running([{ ...silent.server, openapi: {} }])
  const call = ask(under('/silent/x'), { body: {} }).then(
    ({ status }) => status,
    () => undefined,
  )
  await until('the greeting', () => silent.asked('initialize').length === 1)
  await proxy.close()
  expect([undefined, 502, 503]).toContain(await call)
})

test('a body that comes slowly, or never ends, keeps nobody else waiting', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const sockets = await Promise.all(many(40, () => openSocket(under('/'))))
  for (const socket of sockets)
    socket.write(`POST /one/echo HTTP/1.1\r\nHost: ${under('/').host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":`)
  expect((await ask(under('/one/echo'), { body: { a: 1 } })).json).toEqual({ a: 1 })
  expect(sockets.some((socket) => socket.text().includes('HTTP/1.1 200'))).toBe(false)
  await Promise.all(sockets.map((socket) => socket.stop()))
})
