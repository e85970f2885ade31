// Open WebUI, the first that had tool servers and that of today, pointed at us as docs/openapi.md says: it is let in, lists and calls.
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { secondsNow } from '../support/did.ts'
import { HARD_TOOLS, publishedTools } from '../support/hard-schemas.ts'
import { at, type Json } from '../support/json.ts'
import { FIRST_OPEN_WEBUI, OPEN_WEBUI, type Connection } from '../support/open-webui.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { strippingProxy } from '../support/stripping-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { json, type Received } from '../support/upstream.ts'
import { ask } from '../support/wire.ts'
import { member } from '../openmcp/several.ts'

const KEY = 'k'.repeat(43)
const SECRET = 'a key of an Open WebUI, long enough'
const ANN = '3f1e8a52-0000-4000-8000-000000000001'
const GENERATIONS = [
  ['as it was', FIRST_OPEN_WEBUI],
  ['as it is', OPEN_WEBUI],
] as const

/** The session of a user. */
function sessionOf(id = ANN, secret = SECRET): string {
  const part = (value: Json): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ id, exp: secondsNow() + 3600, jti: 'one' })}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

const ECHO = {
  name: 'echo',
  description: 'does echo',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
}
const TOOLS = [ECHO, { name: 'plain', inputSchema: { type: 'object', properties: {} } }]

/** A server that repeats the text it is given. */
function answers(tools: readonly Json[] = TOOLS) {
  return ({ body, method }: Received, res: Parameters<typeof json>[0]): void => {
    const { id } = body
    if (method !== 'POST' || id === undefined) return void res.writeHead(method === 'POST' ? 202 : 405).end()
    const results: Readonly<Record<string, Json>> = {
      initialize: { protocolVersion: at(body, 'params', 'protocolVersion'), capabilities: { tools: {} }, serverInfo: { name: 'test', version: '1' } },
      'tools/list': { tools },
      'tools/call': { content: [{ type: 'text', text: String(at(body, 'params', 'arguments', 'text') ?? at(body, 'params', 'name')) }] },
    }
    const result = results[String(body['method'])]
    json(res, 200, { jsonrpc: '2.0', id, ...(result ? { result } : { error: { code: -32601, message: 'no' } }) })
  }
}

function served(options: SecuredOptions = {}): Promise<Secured> {
  return secured({
    trusted: ['open-webui|*'],
    trust: { openWebUi: { secret: SECRET } },
    security: { apiKeys: [KEY] },
    options: { openapi: { form: 'mcpo' } },
    answer: answers(),
    ...options,
  })
}

/** But for what is data, and ours to say. */
function referencesIn(schema: unknown): unknown[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([keyword, value]) =>
    /^(?:const|enum|default|examples?|x-.*)$/.test(keyword) ? [] : keyword === '$ref' && typeof value === 'string' ? [value] : referencesIn(value),
  )
}

const named = (tools: readonly { name: unknown }[]): unknown[] => tools.map(({ name }) => name)
const BOTH = ['tool_echo_post', 'tool_plain_post']

describe.each(GENERATIONS)('Open WebUI %s', (_when, webUi) => {
  test.each<[string, SecuredOptions]>([
    ['', {}],
    ['below a prefix of ours', { listen: { pathPrefix: '/pre' } }],
  ])('with a key: the URL that was mcpo’s, %s', async (_what, options) => {
    const { base } = await served(options)
    const connection: Connection = { url: base, auth: { bearer: KEY } }
    expect(await webUi.verify(connection)).toMatchObject({ openapi: '3.1.0', info: { title: 'test' } })
    expect(await webUi.tools(connection)).toMatchObject([
      { name: 'tool_echo_post', description: 'does echo', properties: { text: { type: 'string' } }, required: ['text'] },
      { name: 'tool_plain_post', description: 'Plain', properties: {}, required: [] },
    ])
    expect(await webUi.call(connection, 'tool_echo_post', { text: 'hello' })).toBe('hello')
    expect(await webUi.call(connection, 'tool_plain_post', {})).toBe('plain')
  })

  test('with a key: of several servers each has its URL', async () => {
    const { base, apply } = await served()
    const other = await member('other', { 'tools/list': () => ({ tools: TOOLS }), 'tools/call': () => ({ content: [{ type: 'text', text: 'of the other' }] }) })
    await apply([{ ...other.server, openapi: {} }])
    const connection: Connection = { url: `${base}/other`, auth: { bearer: KEY } }
    expect(named(await webUi.tools(connection))).toEqual(BOTH)
    expect(await webUi.call(connection, 'tool_plain_post', {})).toBe('of the other')
  })

  test('with a key, behind a proxy that takes a path off', async () => {
    const { url } = await served({ listen: { rootPath: '/api' } })
    const { base } = await forThisTest(strippingProxy('/api', new URL(url)))
    const connection: Connection = { url: base, auth: { bearer: KEY } }
    expect(named(await webUi.tools(connection))).toEqual(BOTH)
    expect(await webUi.call(connection, 'tool_echo_post', { text: 'hello' })).toBe('hello')
  })

  test('without a key, and with another, it says what is wrong, and nothing is reached', async () => {
    const s = await served()
    for (const auth of [undefined, { bearer: 'another' }]) {
      const connection: Connection = { url: s.base, ...(auth && { auth }) }
      await expect(webUi.verify(connection)).rejects.toThrow(/"detail":\{"message":"[^"]+","code":"unauthorized"/)
      expect(await webUi.tools(connection)).toEqual([])
    }
    expect(s.reached()).toEqual([])
  })

  test('what goes wrong with a call is told in words', async () => {
    const { base } = await served()
    const connection: Connection = { url: base, auth: { bearer: KEY } }
    await expect(webUi.call(connection, 'tool_echo_post', { text: 3 })).rejects.toThrow(/^HTTP error 422: \{"detail":\{"message":"the arguments do not fit/)
  })

  test('with the session of a user, who is told of tools by a document that was pasted', async () => {
    const s = await served()
    const document = (await ask(new URL(`${s.base}/openapi.json`), { headers: bearer(KEY) })).json
    const connection: Connection = { url: s.base, auth: { session: sessionOf() }, pasted: document }
    expect(named(await webUi.tools(connection))).toEqual(BOTH)
    expect(await webUi.call(connection, 'tool_echo_post', { text: 'hello' })).toBe('hello')
    s.reached()
    const forged: Connection = { ...connection, auth: { session: sessionOf(ANN, 'x'.repeat(40)) } }
    await expect(webUi.call(forged, 'tool_echo_post', { text: 'hello' })).rejects.toThrow(/^HTTP error 401: \{"detail"/)
    expect(s.reached()).toEqual([])
  })

  test('every schema that servers write is read to its end, whatever it refers to', async () => {
    const { base } = await served({ answer: answers(publishedTools()) })
    const tools = await webUi.tools({ url: base, auth: { bearer: KEY } })
    expect(tools.length).toBe(HARD_TOOLS.length)
    for (const { name } of tools) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
    expect(new Set(named(tools)).size).toBe(tools.length)
  })

  test('models are told of no reference that they cannot follow: some refuse all tools for one', async () => {
    const { base } = await served({ answer: answers(publishedTools()) })
    const tools = await webUi.tools({ url: base, auth: { bearer: KEY } })
    const references = tools.flatMap(({ name, properties }) => referencesIn(properties).map((reference) => [name, reference]))
    // At first it handed on what stood in compositions as it was.
    expect(webUi === OPEN_WEBUI ? references : []).toEqual([])
  })
})

test('the session of a user verifies a connection, and the list of today is made without one: then there is nothing in it', async () => {
  const { base } = await served()
  const connection: Connection = { url: base, auth: { session: sessionOf() } }
  expect(await OPEN_WEBUI.verify(connection)).toMatchObject({ openapi: '3.1.0' })
  expect(await OPEN_WEBUI.tools(connection)).toEqual([])
  expect(named(await FIRST_OPEN_WEBUI.tools(connection))).toEqual(BOTH)
})

test('a connection of a user is made by their browser: from the origin of Open WebUI, that was named', async () => {
  const origin = 'https://chat.example'
  const { base } = await served({ listen: { allowOrigins: [origin] } })
  const asks = { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization,content-type' }
  const preflight = await ask(new URL(`${base}/openapi.json`), { method: 'OPTIONS', headers: asks })
  expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, origin])
  expect(preflight.headers['access-control-allow-headers']).toMatch(/authorization.*content-type/)
  for (const [path, asked] of [
    ['/openapi.json', {}],
    ['/echo', { body: { text: 'hello' } }],
  ] as const) {
    const answer = await ask(new URL(base + path), { headers: { origin, ...bearer(KEY) }, ...asked })
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, origin])
  }
  expect((await ask(new URL(`${base}/openapi.json`), { headers: { origin: 'https://evil.example', ...bearer(KEY) } })).status).toBe(403)
})
