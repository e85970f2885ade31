// What goes wrong with a call by plain HTTP: one shape for all of it, and who is not to hear of it does not.
import { expect, test } from 'vitest'

import { at, isJson, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { ask, open, type Answer, type Asked } from '../support/wire.ts'
import { member } from '../openmcp/several.ts'
import { child, running } from '../openmcp/stage.ts'

const TOOLS = [
  { name: 'it', inputSchema: { type: 'object' } },
  {
    name: 'strict',
    inputSchema: {
      type: 'object',
      properties: { text: { type: 'string', pattern: '^a+$' }, list: { type: 'array', items: { minimum: 2 } } },
      required: ['text'],
      additionalProperties: false,
    },
  },
]
const AS_JSON = { 'content-type': 'application/json' }

/** What is wrong with the shape of a refusal (docs/openapi.md). */
function shapeOf({ headers, json }: Answer): string[] {
  const { detail, ...beside } = json
  if (!isJson(detail)) return ['no detail']
  const { message, code, hint, server, errors, data: _data, ...more } = detail
  const texts = [message, code, ...(hint === undefined ? [] : [hint]), ...(server === undefined ? [] : [server])]
  return [
    ...(headers['content-type'] === 'application/json' ? [] : ['no JSON']),
    ...(texts.every((text) => typeof text === 'string' && text !== '') ? [] : ['no text']),
    ...(errors === undefined || Array.isArray(errors) ? [] : ['no errors']),
    ...[...Object.keys(beside), ...Object.keys(more)].map((name) => `${name} is not told of`),
  ]
}

interface Row {
  what: string
  path?: string
  asked: Asked
  status: number
  detail: Json
  headers?: Readonly<Record<string, string>>
}

const ROWS: readonly Row[] = [
  {
    what: 'arguments that do not fit',
    path: '/servers/one/tools/strict',
    asked: { body: { list: [2, 1], other: 1 } },
    status: 422,
    detail: { code: 'arguments_invalid', server: 'one', errors: [{ path: '/text' }, { path: '/list/1' }, { path: '/other' }] },
  },
  {
    what: 'no arguments where some are needed',
    path: '/servers/one/tools/strict',
    asked: { method: 'POST' },
    status: 422,
    detail: { errors: [{ path: '/text', keyword: 'required', message: 'is required' }] },
  },
  { what: 'arguments that are no object', asked: { headers: AS_JSON, body: '[]' }, status: 422, detail: { code: 'arguments_invalid', errors: [{ path: '' }] } },
  { what: 'a tool that there is not', path: '/servers/one/tools/nothing', asked: { body: {} }, status: 404, detail: { code: 'not_found', server: 'one' } },
  { what: 'a server that there is not', path: '/servers/two/tools/it', asked: { body: {} }, status: 404, detail: { code: 'not_found' } },
  { what: 'a server that there is not, where mcpo has it', path: '/two/it', asked: { body: {} }, status: 404, detail: { code: 'not_found' } },
  { what: 'no server at the root', path: '/tools/it', asked: { body: {} }, status: 404, detail: { code: 'not_found' } },
  { what: 'no server at the root, where mcpo has it', path: '/it', asked: { body: {} }, status: 404, detail: { code: 'not_found' } },
  { what: 'a document of no server', path: '/servers/two/openapi.json', asked: {}, status: 404, detail: { code: 'not_found' } },
  { what: 'prompts that are not served', path: '/servers/one/prompts/it', asked: {}, status: 404, detail: { code: 'not_found', server: 'one' } },
  ...['GET', 'PUT', 'PATCH', 'DELETE'].map((method) => ({
    what: `a call by ${method}`,
    asked: { method },
    status: 405,
    detail: { code: 'method_not_allowed' },
    headers: { allow: 'POST' },
  })),
  {
    what: 'a document by POST',
    path: '/servers/one/openapi.json',
    asked: { body: {} },
    status: 405,
    detail: { code: 'method_not_allowed' },
    headers: { allow: 'GET' },
  },
  {
    what: 'what is not JSON by its name',
    asked: { headers: { 'content-type': 'text/plain' }, body: '{}' },
    status: 415,
    detail: { code: 'unsupported_media' },
  },
  { what: 'what has no name', asked: { method: 'POST', body: '{}' }, status: 415, detail: { code: 'unsupported_media' } },
  {
    what: 'a form',
    asked: { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=1' },
    status: 415,
    detail: { code: 'unsupported_media' },
  },
  { what: 'what is not JSON', asked: { headers: AS_JSON, body: '{' }, status: 400, detail: { code: 'parse' } },
  { what: 'what is not UTF-8', asked: { method: 'POST', headers: AS_JSON, body: Buffer.from([0x22, 0xff, 0x22]) }, status: 400, detail: { code: 'parse' } },
  {
    what: 'what nests too deeply',
    asked: { headers: AS_JSON, body: `${'['.repeat(900)}${']'.repeat(900)}` },
    status: 400,
    detail: { code: 'invalid_request' },
  },
  { what: 'a number that would be rounded', asked: { headers: AS_JSON, body: '{"a":12345678901234567890}' }, status: 400, detail: { code: 'invalid_request' } },
  { what: 'too much', asked: { headers: AS_JSON, body: `"${'x'.repeat(9_000_000)}"` }, status: 413, detail: { code: 'too_large' } },
]

test.each(ROWS)('$what: $status', async ({ path = '/servers/one/tools/it', asked, status, detail, headers = {} }) => {
  const one = await member('one', { 'tools/list': () => ({ tools: TOOLS }), 'tools/call': () => ({ content: [] }) })
  const { at: under } = await running([{ ...one.server, openapi: {} }])
  const answer = await ask(under(path), { ...(asked.body !== undefined && { method: 'POST' }), ...asked })
  expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([status, { detail }, []])
  expect(answer.headers).toMatchObject(headers)
  expect(one.asked('tools/call')).toEqual([])
})

test('a server that cannot be reached is named: 502', async () => {
  const away = await member('away', {})
  await away.behind.stop()
  const { at: under } = await running([{ ...away.server, limits: { ...away.server.limits, connectSeconds: 1 }, openapi: {} }])
  for (const [path, asked] of [
    ['/away/it', { body: {} }],
    ['/away/openapi.json', {}],
  ] as const) {
    const answer = await ask(under(path), asked)
    expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([502, { detail: { code: 'upstream_unreachable', server: 'away' } }, []])
  }
})

test('a server that breaks off is asked once: 502', async () => {
  const broken = await member('broken', {
    'tools/list': () => ({ tools: TOOLS }),
    'tools/call': (_params, _received, res) => {
      res.destroy()
      return undefined
    },
  })
  const { at: under } = await running([{ ...broken.server, openapi: {} }])
  const answer = await ask(under('/broken/it'), { body: {} })
  expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([502, { detail: { server: 'broken' } }, []])
  expect(broken.asked('tools/call')).toHaveLength(1)
})

test('a server that ends with a call in flight is not asked again, and the next call finds another: 502', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const answer = await ask(under('/one/die'), { body: { code: 3 } })
  expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([502, { detail: { code: 'child_failed', server: 'one' } }, []])
  expect(await callsOf(under, 'die')).toBe(0)
})

test('a tool that does not answer in time is not asked again: 504', async () => {
  const { at: under } = await running([{ ...child('one', [], { timeoutSeconds: 1 }), openapi: {} }])
  const answer = await ask(under('/one/hold'), { body: { key: 'a' } })
  expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([504, { detail: { code: 'timeout', server: 'one' } }, []])
  expect(await callsOf(under, 'hold')).toBe(1)
})

test('more than there is room for: 503, with when to come again', async () => {
  const busy = child('one', [], { sessions: 1, drainSeconds: 0 })
  const { at: under, status } = await running([{ ...busy, openapi: {} }], [], { limits: busy.limits })
  const session = await open(under('/servers/one/sse'), { headers: { accept: 'text/event-stream' } })
  await until('a session', async () => (await status())['sessions'] === 1)
  const answer = await ask(under('/one/echo'), { body: {} })
  expect([answer.status, answer.json, shapeOf(answer)]).toMatchObject([503, { detail: { code: 'busy', server: 'one' } }, []])
  expect(answer.headers['retry-after']).toBe('5')
  await session.stop()
  await until('room', async () => (await ask(under('/one/echo'), { body: {} })).status === 200)
  // It is a session like every other.
  expect((await ask(under('/servers/one/mcp'), { body: initializeMessage(1) })).status).toBe(200)
})

/** How often the server that is there now was asked for a tool. */
async function callsOf(under: (path: string) => URL, name: string): Promise<number> {
  const { seen } = (await ask(under('/servers/one/tools/seen'), { body: {} })).json
  return Array.isArray(seen) ? seen.filter((message) => at(message, 'method') === 'tools/call' && at(message, 'params', 'name') === name).length : NaN
}
