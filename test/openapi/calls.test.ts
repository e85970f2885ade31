// Calls of tools by plain HTTP: what comes back, and what is refused before anything behind the door hears of it.
import { describe, expect, test } from 'vitest'

import { at, type Json } from '../support/json.ts'
import { until } from '../support/until.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { ask, open, type Answer, type Asked } from '../support/wire.ts'
import { member } from '../openmcp/several.ts'
import { child, running } from '../openmcp/stage.ts'

/** A server whose tool `it` answers so. */
async function answering(
  result: Json | ((params: Json) => Json),
  tool: Json = {},
): Promise<{ call(asked?: Asked): Promise<Answer>; called(): Json[]; under(path: string): URL }> {
  const one = await member('one', {
    'tools/list': () => ({ tools: [{ name: 'it', inputSchema: { type: 'object' }, ...tool }] }),
    'tools/call': (params) => (typeof result === 'function' ? result(params) : result),
  })
  const { at: under } = await running([{ ...one.server, openapi: {} }])
  return {
    call: (asked = { body: {} }) => ask(under('/servers/one/tools/it'), { method: 'POST', ...asked }),
    called: () => one.asked('tools/call'),
    under,
  }
}

const text = (words: string): Json => ({ content: [{ type: 'text', text: words }] })

describe('the answer is', () => {
  test.each<[string, Json, unknown]>([
    ['a text', text('hello'), 'hello'],
    ['JSON in a text', text('{"a":[1,2]}'), { a: [1, 2] }],
    ['nothing', { content: [] }, []],
    ['several', { content: [...(text('a')['content'] as Json[]), ...(text('2')['content'] as Json[])] }, ['a', 2]], // what `text` makes
    ['an image', { content: [{ type: 'image', data: 'AAA=', mimeType: 'image/png' }] }, 'data:image/png;base64,AAA='],
    ['audio', { content: [{ type: 'audio', data: 'AAA=', mimeType: 'audio/wav' }] }, 'data:audio/wav;base64,AAA='],
    ['a resource', { content: [{ type: 'resource', resource: { uri: 'a:b', text: 'c' } }] }, { uri: 'a:b', text: 'c' }],
    ['a link', { content: [{ type: 'resource_link', uri: 'a:b', name: 'c' }] }, { type: 'resource_link', uri: 'a:b', name: 'c' }],
    ['content, where no structure was promised', { ...text('hello'), structuredContent: { a: 1 } }, 'hello'],
  ])('%s', async (_what, result, body) => {
    const { call } = await answering(result)
    const answer = await call()
    expect([answer.status, answer.headers['content-type'], JSON.parse(answer.text)]).toEqual([200, 'application/json', body])
  })

  test('its structured content, where the tool promises it', async () => {
    const { call } = await answering({ ...text('hello'), structuredContent: { a: 1 } }, { outputSchema: { type: 'object' } })
    expect((await call()).json).toEqual({ a: 1 })
  })

  test('JSON as the tool wrote it, with all digits of its numbers', async () => {
    const { call } = await answering(text('{"id": 12345678901234567890}'))
    expect((await call()).text).toBe('{"id": 12345678901234567890}')
  })

  test('the whole result of MCP for whoever asks for that', async () => {
    const { call } = await answering({ ...text('no'), isError: true })
    const answer = await call({ body: {}, headers: { accept: 'application/json; profile=mcp' } })
    expect([answer.status, answer.json]).toEqual([200, { ...text('no'), isError: true }])
  })
})

describe('a null that is not allowed is no argument', () => {
  const TOOL = {
    inputSchema: {
      type: 'object',
      properties: { text: { type: 'string' }, or: { type: ['string', 'null'] }, free: {}, deep: { type: 'object', properties: { a: { type: 'string' } } } },
      required: ['text'],
    },
  }

  test.each<[string, Json, Json]>([
    ['where it need not be given', { text: 'a', deep: null }, { text: 'a' }],
    ['and goes on where it is', { text: 'a', or: null, free: null }, { text: 'a', or: null, free: null }],
    ['each for itself', { text: 'a', or: null, deep: null }, { text: 'a', or: null }],
  ])('%s', async (_what, given, taken) => {
    const { call, called } = await answering(text('done'), TOOL)
    expect((await call({ body: given })).text).toBe('"done"')
    expect(called().map((message) => at(message, 'params', 'arguments'))).toEqual([taken])
  })

  test.each<[string, Json, Json[]]>([
    ['where one is needed, it is missing', { text: null, deep: null }, [{ path: '/text', keyword: 'required', message: 'is required' }]],
    ['deeper down it is wrong', { text: 'a', deep: { a: null } }, [{ path: '/deep/a', keyword: 'type', message: 'must be string' }]],
  ])('%s', async (_what, given, errors) => {
    const { call, called } = await answering(text('done'), TOOL)
    const answer = await call({ body: given })
    expect([answer.status, at(answer.json, 'detail', 'errors')]).toEqual([422, errors])
    expect(called()).toEqual([])
  })
})

describe('what a tool says that failed', () => {
  test('is no answer', async () => {
    const { call } = await answering({ ...text('disk full'), isError: true })
    const answer = await call()
    expect([answer.status, answer.json]).toEqual([500, { detail: { message: 'disk full', code: 'tool_failed', server: 'one' } }])
  })

  test.each([
    [-32_700, 400, 'server_error'],
    [-32_600, 400, 'server_error'],
    [-32_601, 404, 'server_error'],
    [-32_602, 422, 'server_error'],
    [-32_603, 500, 'server_error'],
    [-32_042, 409, 'needs_client'],
    [7, 500, 'server_error'],
  ])('with %d has the status %d', async (code, status, named) => {
    const { at: under } = await running([{ ...child('one'), openapi: {} }])
    const line = `{"jsonrpc":"2.0","id":$ID,"error":{"code":${code},"message":"so it is","data":{"a":1}}}\n`
    const answer = await ask(under('/one/write'), { body: { base64: Buffer.from(line).toString('base64') } })
    expect([answer.status, answer.json]).toEqual([status, { detail: { message: 'so it is', code: named, server: 'one', data: { a: 1 } } }])
  })
})

test('progress comes as events, and the result as the last of them', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const stream = await open(under('/servers/one/tools/count'), { body: { marker: 'm', steps: 3 }, headers: { accept: 'text/event-stream' } })
  await stream.whole()
  expect(stream.status).toBe(200)
  expect(stream.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
    ['progress', { progress: 1, message: 'm' }],
    ['progress', { progress: 2, message: 'm' }],
    ['progress', { progress: 3, message: 'm' }],
    ['result', { marker: 'm' }],
  ])
})

test('a failure in a stream says its status', async () => {
  const { under } = await answering({ ...text('no'), isError: true })
  const stream = await open(under('/servers/one/tools/it'), { body: {}, headers: { accept: 'text/event-stream' } })
  await stream.whole()
  expect(stream.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
    ['error', { status: 500, detail: { message: 'no', code: 'tool_failed', server: 'one' } }],
  ])
})

test('the call of a client that left is cancelled', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const stream = await open(under('/servers/one/tools/hold'), { body: { key: 'a' }, headers: { accept: 'text/event-stream' } })
  await until('the call', async () => calls(await seenBy(under), 'hold').length === 1)
  await stream.stop()
  const [{ id } = { id: undefined }] = calls(await seenBy(under), 'hold')
  const cancelled = await until('its cancellation', async () => (await seenBy(under)).find(({ method }) => method === 'notifications/cancelled'))
  expect(at(cancelled, 'params', 'requestId')).toBe(id)
})

test('so is one that waits for nothing but its answer', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const leaving = new AbortController()
  const headers = { 'content-type': 'application/json' }
  const left = fetch(under('/one/hold'), { method: 'POST', headers, body: '{"key":"a"}', signal: leaving.signal }).catch((error: unknown) => error)
  await until('the call', async () => calls(await seenBy(under), 'hold').length === 1)
  leaving.abort()
  expect(await left).toMatchObject({ name: 'AbortError' })
  const [{ id } = { id: undefined }] = calls(await seenBy(under), 'hold')
  const cancelled = await until('its cancellation', async () => (await seenBy(under)).find(({ method }) => method === 'notifications/cancelled'))
  expect(at(cancelled, 'params', 'requestId')).toBe(id)
})

test.each(['sampling/createMessage', 'elicitation/create'])('a tool that needs %s of its client is refused, and hears so', async (method) => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const answer = await ask(under('/servers/one/tools/ask'), { body: { method, params: {} } })
  expect([answer.status, answer.json]).toMatchObject([409, { detail: { code: 'needs_client', message: expect.stringContaining(method), server: 'one' } }])
  const seen = await seenBy(under)
  expect(seen).toContainEqual({ jsonrpc: '2.0', id: 'question-1', error: { code: -32601, message: 'the client does not offer this' } })
  expect(
    at(
      seen.find((message) => message['method'] === 'initialize'),
      'params',
      'capabilities',
    ),
  ).toEqual({})
})

test('all calls of one caller are one session', async () => {
  const { at: under, status } = await running([{ ...child('one'), openapi: {} }])
  const pids = await Promise.all([1, 2, 3].map(async () => at((await ask(under('/one/who'), { body: {} })).json, 'pid')))
  expect(new Set(pids).size).toBe(1)
  expect(at(await status(), 'servers', 'one', 'sessions')).toBe(1)
})

async function seenBy(under: (path: string) => URL): Promise<Json[]> {
  return (await ask(under('/servers/one/tools/seen'), { body: {} })).json['seen'] as Json[] // our server answers with a list
}

function calls(seen: readonly Json[], name: string): Json[] {
  return seen.filter(({ method, params }) => method === 'tools/call' && at(params, 'name') === name)
}

test('a call in flight at a server that is removed ends with it', async () => {
  const { at: under, proxy } = await running([{ ...child('one'), openapi: {} }])
  const held = ask(under('/servers/one/tools/hold'), { body: { key: 'a' } })
  await until('the call', async () => calls(await seenBy(under), 'hold').length === 1)
  await proxy.apply([])
  const answer = await held
  expect([Math.floor(answer.status / 100), at(answer.json, 'detail', 'server')]).toEqual([5, 'one'])
  expect((await ask(under('/servers/one/tools/echo'), { body: {} })).status).toBe(404)
})

test('a session that lay idle is ended, and the next call opens another', async () => {
  const { at: under, status } = await running([{ ...child('one', [], { idleSeconds: 0.2 }), openapi: {} }])
  const pid = async (): Promise<unknown> => at((await ask(under('/servers/one/tools/who'), { body: {} })).json, 'pid')
  const first = await pid()
  await until('its end', async () => at(await status(), 'servers', 'one', 'sessions') === 0)
  expect(await pid()).not.toBe(first)
})

test('a session that nobody uses makes room for another at the cap, and one with a call in flight does not', async () => {
  const one = child('one', [], { sessions: 1, drainSeconds: 0 })
  const { at: under, status } = await running([{ ...one, openapi: {} }], [], { limits: one.limits })
  const pid = async (): Promise<unknown> => at((await ask(under('/one/who'), { body: {} })).json, 'pid')
  const first = await pid()
  const opened = await ask(under('/servers/one/mcp'), { body: initializeMessage(1) })
  expect(opened.status).toBe(200)
  await ask(under('/servers/one/mcp'), { method: 'DELETE', headers: { 'mcp-session-id': String(opened.headers['mcp-session-id']) } })
  await until('room', async () => at(await status(), 'servers', 'one', 'sessions') === 0)
  expect(await pid()).not.toBe(first)
  const held = await open(under('/one/hold'), { body: { key: 'a' }, headers: { accept: 'text/event-stream' } })
  await until('the call', async () => calls(await seenBy(under), 'hold').length === 1)
  expect((await ask(under('/servers/one/mcp'), { body: initializeMessage(1) })).status).toBe(503)
  expect(held.over).toBeUndefined()
})
