// A web page in somebody's browser, and what it can make that browser send to us: nothing behind the door hears of it.
import { expect, test } from 'vitest'

import { member } from '../openmcp/several.ts'
import { running } from '../openmcp/stage.ts'
import { at, type Json } from '../support/json.ts'
import { ask, type Asked } from '../support/wire.ts'

const WHOLE = {
  'tools/list': () => ({ tools: [{ name: 'wipe', inputSchema: { type: 'object' } }] }),
  'prompts/list': () => ({ prompts: [{ name: 'say' }] }),
  'resources/list': () => ({ resources: [{ uri: 'a:b', name: 'b' }] }),
  'tools/call': () => ({ content: [] }),
  'prompts/get': () => ({ messages: [] }),
  'resources/read': () => ({ contents: [] }),
}

/** Nobody is asked who they are: whatever a page may send is done. */
async function open(): Promise<{ under(path: string): URL; asked(): string[] }> {
  const one = await member('one', WHOLE, { tools: {}, prompts: {}, resources: {} })
  const { at: under } = await running([{ ...one.server, openapi: { prompts: true, resources: true } }])
  const asked = (): string[] => one.behind.received.map(({ body }: { body: Json }) => String(body['method'])).filter((method) => method !== 'server/discover')
  return { under, asked }
}

const EVIL = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const TOOLS = ['/servers/one/tools/wipe', '/one/wipe']
const READ = [
  '/servers/one/prompts/say',
  '/servers/one/resources/a~3Ab',
  '/servers/one/openapi.json',
  '/one/openapi.json',
  '/openapi.json',
  '/one/wipe',
  '/favicon.ico',
]

test.each<[string, readonly string[], Asked]>([
  ['a form', TOOLS, { method: 'POST', headers: { ...EVIL, ...FORM }, body: 'a=b' }],
  ['a form without fields', TOOLS, { method: 'POST', headers: { ...EVIL, ...FORM } }],
  ['a form of a page without an origin', TOOLS, { method: 'POST', headers: { origin: 'null', ...FORM } }],
  ['a form of a browser that tells no origin', TOOLS, { method: 'POST', headers: FORM }],
  ['a form of a browser that tells no origin, with JSON in a field', TOOLS, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"a":1}' }],
  ['a form with files', TOOLS, { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' }],
  ['a form that a browser places', TOOLS, { method: 'POST', headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } }],
  ['a script that may not read the answer', TOOLS, { method: 'POST', headers: EVIL }],
  ['a script on another port of this machine', TOOLS, { method: 'POST', headers: { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' } }],
  ['a beacon', TOOLS, { method: 'POST', headers: { ...EVIL, 'content-type': 'text/plain;charset=UTF-8' }, body: '{}' }],
  ['a script with JSON', TOOLS, { headers: EVIL, body: {} }],
  [
    'a script that asks before',
    TOOLS,
    { method: 'OPTIONS', headers: { ...EVIL, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } },
  ],
  ['an image', READ, { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } }],
  ['an image of another port of this machine', READ, { headers: { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } }],
  ['a link', READ, { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' } }],
  ['a frame', READ, { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' } }],
  ['a stream of events', READ, { headers: { ...EVIL, accept: 'text/event-stream' } }],
  ['a name that leads here', [...TOOLS, ...READ], { headers: { host: 'evil.example' } }],
  ['a name that leads here, at our port', TOOLS, { headers: { host: 'evil.example:PORT', origin: 'http://evil.example:PORT' }, body: {} }],
])('%s of a page of somebody else is refused', async (_what, paths, how) => {
  const { under, asked } = await open()
  for (const path of paths) {
    const { port } = under(path)
    const headers = Object.fromEntries(Object.entries(how.headers ?? {}).map(([name, value]) => [name, value.replace('PORT', port)]))
    const answer = await ask(under(path), { ...how, headers })
    expect([path, answer.status, answer.headers['access-control-allow-origin']]).toEqual([
      path,
      expect.toSatisfy((status: number) => [403, 415].includes(status)),
      undefined,
    ])
  }
  expect(asked()).toEqual([])
})

test('what is typed, what our own pages ask, and programs get their answers', async () => {
  const { under, asked } = await open()
  const { origin } = under('/')
  for (const headers of [
    {},
    { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', origin },
  ]) {
    for (const path of READ.slice(0, 4)) expect([path, headers, (await ask(under(path), { headers })).status]).toEqual([path, headers, 200])
    for (const path of TOOLS) expect((await ask(under(path), { method: 'POST', headers })).status).toBe(200)
  }
  expect(asked()).toContain('tools/call')
})

test('a page that the operator named reads answers, and asks before it sends', async () => {
  const one = await member('one', WHOLE)
  const { at: under } = await running([{ ...one.server, openapi: {} }], [], {
    listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: ['https://app.example'], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
  })
  const headers = { origin: 'https://app.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }
  const preflight = await ask(under('/one/wipe'), { method: 'OPTIONS', headers: { ...headers, 'access-control-request-method': 'POST' } })
  expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, 'https://app.example'])
  expect(one.asked('initialize')).toEqual([])
  for (const how of [{ body: {} }, { method: 'POST' }]) {
    const answer = await ask(under('/one/wipe'), { headers, ...how })
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, 'https://app.example'])
  }
})

test('no answer is anything but data to a browser', async () => {
  const html = '<script>alert(1)</script>'
  const one = await member('one', { ...WHOLE, 'tools/call': () => ({ content: [{ type: 'text', text: html }] }) }, { tools: {}, resources: {} })
  const { at: under } = await running([{ ...one.server, openapi: { resources: true } }])
  const answers = [
    await ask(under('/one/wipe'), { body: {} }),
    await ask(under(`/one/${encodeURIComponent(html)}`), { body: {} }),
    await ask(under(`/servers/${encodeURIComponent(html)}/openapi.json`)),
    await ask(under('/one/openapi.json')),
    await ask(under('/servers/one/resources/a~3Ab')),
    await ask(under('/one/wipe'), { headers: { 'content-type': 'application/json' }, method: 'POST', body: html }),
  ]
  for (const { headers, text } of answers) {
    expect([headers['content-type'], headers['x-content-type-options']]).toEqual(['application/json', 'nosniff'])
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(() => JSON.parse(text) as unknown).not.toThrow()
  }
  expect(at(answers[1]?.json, 'detail', 'message')).toBe('there is no such tool here')
})
