// Behind a proxy that takes a path off: documents say where operations are for whoever reads them there, and only who was named is heard.
import { describe, expect, test } from 'vitest'

import { proxyPrefix } from '../../src/http/proxy-prefix.ts'
import { networkOf } from '../../src/protocol/behind-proxy.ts'
import type { ListenOptions } from '../../src/openmcp.ts'
import type { RootOpenApiOptions } from '../../src/openmcp/options.ts'
import { at } from '../support/json.ts'
import { strippingProxy, type StrippingProxy } from '../support/stripping-proxy.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask } from '../support/wire.ts'
import { member, tools } from '../openmcp/several.ts'
import { running } from '../openmcp/stage.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false }
const SAYS = { 'x-forwarded-prefix': '/api/mcp' }
const trusting = (...texts: string[]): Pick<ListenOptions, 'trustProxies'> => ({ trustProxies: texts.flatMap((text) => networkOf(text) ?? []) })

/** A server at the root and one that is called `one`, reached through a proxy at `/api/mcp` that says these headers. */
async function behind(
  listen: Partial<ListenOptions>,
  headers: Readonly<Record<string, string>> = {},
  openapi: RootOpenApiOptions = {},
): Promise<StrippingProxy> {
  const { server } = await member('one', tools(['echo', 'a b']))
  const { proxy } = await running([{ ...server, openapi: {} }], [], { listen: { ...LOOPBACK, ...listen }, target: server.target, openapi })
  if (!proxy.url) throw new Error('it listens')
  return forThisTest(strippingProxy('/api/mcp', proxy.url, headers))
}

/** As a client of OpenAPI 3.1 goes: a relative server is below where the document was (§4.8.5). */
async function callAsSaid(document: URL): Promise<{ said: unknown; status: number; answer: string }> {
  const { json } = await ask(document)
  const said = at(json, 'servers', 0, 'url')
  const [path = ''] = Object.keys(at(json, 'paths') ?? {})
  const server = new URL(typeof said === 'string' ? said : '/', document).href.replace(/\/$/, '')
  const { status, text } = await ask(new URL(server + path), { body: {} })
  return { said, status, answer: text }
}

describe.each<[string, Partial<ListenOptions>, Record<string, string>, string]>([
  ['the operator says what it takes off', { rootPath: '/api/mcp' }, {}, '/api/mcp'],
  ['so the operator does, whatever it says itself', { rootPath: '/api/mcp', ...trusting('127.0.0.1') }, { 'x-forwarded-prefix': '/other' }, '/api/mcp'],
  ['it says so, and is trusted', trusting('10.0.0.0/8', '127.0.0.1'), SAYS, '/api/mcp'],
  ['it says so, and is of a network that is trusted', trusting('127.0.0.0/8'), { 'x-forwarded-prefix': '/api/mcp/' }, '/api/mcp'],
  ['it takes off one path, and another is ours', { rootPath: '/api/mcp', pathPrefix: '/own' }, {}, '/api/mcp/own'],
])('%s', (_what, listen, headers, base) => {
  const own = listen.pathPrefix ?? ''

  test('and what documents say can be called through it', async () => {
    const { base: outside } = await behind(listen, headers)
    for (const [path, said] of [
      ['/openapi.json', base],
      ['/servers/one/openapi.json', `${base}/servers/one`],
      ['/one/openapi.json', `${base}/one`],
    ] as const) {
      expect(await callAsSaid(new URL(outside + own + path))).toEqual({ said, status: 200, answer: '"echo"' })
    }
  })

  test('also where the root has the form of mcpo', async () => {
    const { base: outside } = await behind(listen, headers, { form: 'mcpo' })
    expect(await callAsSaid(new URL(`${outside}${own}/openapi.json`))).toEqual({ said: base, status: 200, answer: '"echo"' })
  })
})

test('nothing is served below what it takes off', async () => {
  const { server } = await member('one', tools(['echo']))
  const { proxy, at: under } = await running([], [], { listen: { ...LOOPBACK, rootPath: '/api/mcp' }, target: server.target, openapi: {} })
  expect(proxy.url?.pathname).toBe('/mcp')
  expect((await ask(under('/api/mcp/openapi.json'))).status).toBe(404)
  expect((await ask(under('/openapi.json'))).status).toBe(200)
})

test.each<[string, Partial<ListenOptions>, Record<string, string>]>([
  ['nobody is trusted', {}, SAYS],
  ['another is trusted', trusting('10.0.0.0/8', '::1', '127.0.0.2'), SAYS],
  ['what it says is no path', trusting('127.0.0.1'), { 'x-forwarded-prefix': 'https://evil.example' }],
  ['it says one of another host', trusting('127.0.0.1'), { 'x-forwarded-prefix': '//evil.example/a' }],
  ['it says a way up', trusting('127.0.0.1'), { 'x-forwarded-prefix': '/a/../b' }],
  ['it says two', trusting('127.0.0.1'), { 'x-forwarded-prefix': '/a, /b' }],
  ['it says too much', trusting('127.0.0.1'), { 'x-forwarded-prefix': `/${'a'.repeat(300)}` }],
  ['it says it of another header', trusting('127.0.0.1'), { 'x-forwarded-path': '/a', forwarded: 'path=/a' }],
])('what it says is not heard where %s', async (_what, listen, headers) => {
  const { base } = await behind(listen, headers)
  const { json } = await ask(new URL(`${base}/openapi.json`))
  expect(Object.keys(at(json, 'paths') ?? {})).toContain('/tools/echo')
  expect(json).not.toHaveProperty('servers')
})

test('a document that was made for one place is not told at another', async () => {
  const { server } = await member('one', tools(['echo']))
  const { at: under } = await running([], [], { listen: { ...LOOPBACK, ...trusting('127.0.0.1') }, target: server.target, openapi: {} })
  const servers: unknown[] = []
  for (const prefix of ['/a', '/b', '/a', undefined]) {
    const { json } = await ask(under('/openapi.json'), { headers: prefix === undefined ? {} : { 'x-forwarded-prefix': prefix } })
    servers.push(json['servers'])
  }
  expect(servers).toEqual([[{ url: '/a' }], [{ url: '/b' }], [{ url: '/a' }], undefined])
})

test.each([
  ['10.1.2.3', 'IPv4', '/a'],
  // As IPv4 comes to who listens on every address.
  ['::ffff:10.1.2.3', 'IPv6', '/a'],
  ['fd00::7', 'IPv6', '/a'],
  ['11.1.2.3', 'IPv4', ''],
  ['::ffff:11.1.2.3', 'IPv6', ''],
  ['fe80::7', 'IPv6', ''],
  [undefined, undefined, ''],
])('of 10.0.0.0/8 and fd00::/8 is %s: %s', (remoteAddress, remoteFamily, prefix) => {
  const prefixOf = proxyPrefix(trusting('10.0.0.0/8', 'fd00::/8'))
  expect(prefixOf({ socket: { remoteAddress, remoteFamily }, headers: { 'x-forwarded-prefix': '/a' } })).toBe(prefix)
})

describe('where proxies are', () => {
  test.each(['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '::ffff:10.0.0.1', '1.2.3.4/32', '1.2.3.4/1'])('%s', (text) => {
    expect(networkOf(text)).toBeDefined()
  })

  // Everybody is no proxy.
  test.each(['', 'proxy.example', '10.0.0.0/0', '::/0', '10.0.0.0/33', '::1/129', '10.0.0/8', '10.0.0.1:80', '10.0.0.1/08', 'fe80::1%lo', '1.2.3.4/1.5'])(
    'not %s',
    (text) => {
      expect(networkOf(text)).toBeUndefined()
    },
  )
})
