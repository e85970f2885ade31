// openmcp as a library: what its few options do, and what they refuse.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createOpenMcp, type OpenMcpSettings, type RunningOpenMcp } from '../../src/index.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { json, upstream } from '../support/upstream.ts'
import { ask, openSession } from '../support/wire.ts'

const [command = '', ...args] = scripted()
const SERVER = { command, args }
const KEY = 'Jf8sLw2Qp9Zx4Vb7Nm1Rt6Yk3Hd5Gc0W'

async function running(settings: OpenMcpSettings): Promise<RunningOpenMcp & { under(path: string): URL }> {
  const proxy = await createOpenMcp({ limits: { drainSeconds: 0 }, ...settings })
  onTestFinished(() => proxy.close())
  return { ...proxy, under: (path) => new URL(path, proxy.url) }
}

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'openmcp-library-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

describe('a server', () => {
  test('is served on a free port of loopback when nothing else is said, with no more of our environment than it needs', async () => {
    process.env['OPENMCP_LIBRARY_SECRET'] = 'ours'
    onTestFinished(() => void delete process.env['OPENMCP_LIBRARY_SECRET'])
    const { url } = await running({ server: { ...SERVER, env: { GIVEN: 'theirs' } } })
    expect(url?.hostname).toBe('127.0.0.1')
    const { env } = await (await openSession(new URL(url ?? ''))).call('who')
    expect(env).toMatchObject({ GIVEN: 'theirs', PATH: process.env['PATH'] })
    expect(env).not.toHaveProperty('OPENMCP_LIBRARY_SECRET')
  })

  test('may be a URL, which gets the headers that are named and nothing of the caller', async () => {
    const behind = await upstream((_received, res) => json(res, 200, { jsonrpc: '2.0', id: 1, result: {} }))
    onTestFinished(behind.stop)
    const { url } = await running({ server: { url: `${behind.origin}/mcp`, headers: { 'X-Team': 'blue' } } })
    await ask(new URL(url ?? ''), { headers: { authorization: 'Bearer theirs', cookie: 'a=b' }, body: initializeMessage(1) })
    const [first] = behind.received.filter(({ body }) => body['method'] === 'initialize')
    expect(first?.headers).toMatchObject({ 'x-team': 'blue' })
    expect(Object.keys(first?.headers ?? {})).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(authorization|cookie)$/)]))
  })

  test('is served on stdio when that is asked for', async () => {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()]
    const proxy = await running({ server: SERVER, listen: 'stdio', io: { stdin, stdout } })
    expect(proxy.url).toBeUndefined()
    stdin.write(`${JSON.stringify(initializeMessage(1))}\n`)
    const text = await until('an answer', () => stdout.read() as Buffer | null) // a PassThrough of bytes gives bytes
    expect(JSON.parse(text.toString())).toMatchObject({ id: 1, result: {} })
    stdin.end()
    expect(await proxy.ended).toBeUndefined()
  })
})

describe('openapi', () => {
  const echoed = async (url: URL): Promise<number> => (await ask(url, { body: { a: 1 } })).status

  test('serves the tools of the root, and of servers that say nothing else', async () => {
    const { under } = await running({ server: SERVER, servers: { git: SERVER, off: { ...SERVER, openapi: false } }, openapi: true })
    const asked = ['/tools/echo', '/echo', '/git/echo', '/servers/git/tools/echo', '/servers/off/tools/echo', '/off/echo']
    expect(await Promise.all(asked.map((path) => echoed(under(path))))).toEqual([200, 200, 200, 200, 404, 404])
    expect((await ask(under('/openapi.json'))).json).toMatchObject({ openapi: '3.1.0', paths: { '/tools/echo': {} } })
  })

  test('of one server alone is of no other, and without it there is none', async () => {
    const { under } = await running({ server: SERVER, servers: { git: { ...SERVER, openapi: { prompts: true } }, other: SERVER } })
    expect(await Promise.all(['/tools/echo', '/servers/git/tools/echo', '/servers/other/tools/echo'].map((path) => echoed(under(path))))).toEqual([
      404, 200, 404,
    ])
  })

  test('has the form that mcpo gives it, and says what a proxy in front takes off', async () => {
    const { under } = await running({ server: SERVER, openapi: { form: 'mcpo' }, listen: { rootPath: '/x' } })
    expect((await ask(under('/openapi.json'))).json).toMatchObject({ servers: [{ url: '/x' }], paths: { '/echo': {} } })
  })

  test.each<[string, object]>([
    ['an option that there is not', { openapi: { tools: true } }],
    ['one of a server', { servers: { a: { ...SERVER, openapi: { form: 'mcpo' } } } }],
    ['a form', { openapi: { form: 'swagger' } }],
    ['nothing over HTTP', { listen: 'stdio', openapi: true }],
    ['a path in front', { listen: { rootPath: 'x' } }],
    ['a proxy in front', { listen: { trustProxies: ['0.0.0.0/0'] } }],
  ])('refuses %s', async (_what, settings) => {
    await expect(createOpenMcp({ server: SERVER, ...settings })).rejects.toMatchObject({ code: 'usage' })
  })
})

test('tools of the server at the root are those that are allowed', async () => {
  const { url } = await running({ server: SERVER, tools: { allow: ['echo'] } })
  const session = await openSession(new URL(url ?? ''))
  await expect(session.call('who')).rejects.toThrow(/who/)
  expect(await session.call('echo', { a: 1 })).toEqual({ a: 1 })
})

describe('named servers', () => {
  test('are served beside each other, and others instead of them while it runs', async () => {
    const { under, apply } = await running({ servers: { one: SERVER, two: { ...SERVER, tools: { block: ['who'] } } } })
    const kept = await openSession(under('/servers/one/mcp'))
    const two = await openSession(under('/servers/two/mcp'))
    await expect(two.call('who')).rejects.toThrow(/Unknown tool|who/)
    expect(await apply({ one: SERVER, three: SERVER })).toEqual({ added: ['three'], changed: [], removed: ['two'] })
    expect(await kept.call('who')).toMatchObject({ argv: [] })
    expect((await ask(under('/servers/two/mcp'), { body: initializeMessage(1) })).status).toBe(404)
  })

  test('are one at the root with aggregate', async () => {
    const { under } = await running({ servers: { one: SERVER }, aggregate: { name: 'all', version: '1' } })
    const answer = await ask(under('/mcp'), { body: initializeMessage(1), headers: { accept: 'application/json, text/event-stream' } })
    expect(at(answer.json, 'result', 'serverInfo', 'name')).toBe('all')
  })

  test('of which one is refused leave everything as it was', async () => {
    const { under, apply } = await running({ servers: { one: SERVER } })
    await expect(apply({ one: { command: '' }, two: SERVER })).rejects.toMatchObject({ code: 'usage' })
    expect((await ask(under('/servers/one/mcp'), { body: initializeMessage(1) })).status).toBe(200)
    expect((await ask(under('/servers/two/mcp'), { body: initializeMessage(1) })).status).toBe(404)
  })
})

describe('security', () => {
  test('lets in who has a key, and nobody else, and keeps what it keeps in its home', async () => {
    const home = await temporary()
    const { url } = await running({ server: SERVER, security: { home, apiKeys: [KEY] } })
    const asked = (headers: Record<string, string>) => ask(new URL(url ?? ''), { headers, body: initializeMessage(1) })
    expect((await asked({})).status).toBe(401)
    expect((await asked({ authorization: `Bearer ${KEY}x` })).status).toBe(401)
    expect((await asked({ authorization: `Bearer ${KEY}` })).status).toBe(200)
    expect(readFileSync(join(home, 'store.db')).length).toBeGreaterThan(0)
  })

  test('prints no link of its own: whoever runs it gets the link', async () => {
    const { enrolment } = await running({ server: SERVER, security: { home: await temporary() } })
    expect(enrolment?.hash).toMatch(/^#enrol=./)
  })
})

describe('refused before anything starts', () => {
  const security = { home: '/nowhere/at/all' }
  test.each<[string, object]>([
    ['nothing to serve', {}],
    ['a command and a URL in one', { server: { ...SERVER, url: 'http://127.0.0.1:1/mcp' } }],
    ['neither', { server: {} }],
    ['an option that there is not', { server: SERVER, secruity: {} }],
    ['one of a server that there is not', { server: { ...SERVER, shell: true } }],
    ['one of listening that there is not', { server: SERVER, listen: { hots: 'x' } }],
    ['one of security that there is not', { server: SERVER, security: { ...security, trsut: [] } }],
    ['one of tools that there is not', { servers: { one: { ...SERVER, tools: { alow: [] } } } }],
    ['tools of no server', { servers: { one: SERVER }, tools: { allow: [] } }],
    ['a limit that there is not', { server: SERVER, limits: { sesions: 1 } }],
    ['a limit that is no number', { server: SERVER, limits: { sessions: Number.NaN } }],
    ['headers for a command', { server: { ...SERVER, headers: { a: 'b' } } }],
    ['a header that is ours', { server: { url: 'http://127.0.0.1:1/mcp', headers: { Host: 'x' } } }],
    ['a header with a line end', { server: { url: 'http://127.0.0.1:1/mcp', headers: { a: 'b\r\nc: d' } } }],
    ['a password in a URL', { server: { url: 'http://me:secret@127.0.0.1:1/mcp' } }],
    ['a name that is a path', { servers: { '../one': SERVER } }],
    ['a public address that nobody guards', { server: SERVER, listen: { host: '0.0.0.0' } }],
    ['to guard it and not to', { server: SERVER, security, listen: { host: '0.0.0.0', insecureNoAuth: true } }],
    ['a key that is short', { server: SERVER, security: { ...security, apiKeys: ['pa55'] } }],
    ['an empty key', { server: SERVER, security: { ...security, apiKeys: [''] } }],
    ['tokens that live for days', { server: SERVER, security: { ...security, tokenSeconds: 1e6 } }],
    ['a child for each caller where nobody is known', { server: SERVER, isolation: 'identity' }],
    ['several servers on stdio', { servers: { one: SERVER }, listen: 'stdio' }],
    ['security on stdio', { server: SERVER, security, listen: 'stdio' }],
  ])('%s', async (_what, settings) => {
    const refusal: unknown = await createOpenMcp(settings).then(
      (proxy) => proxy.close(),
      (error: unknown) => error,
    )
    expect(refusal).toMatchObject({ code: 'usage' })
    expect(String(refusal)).not.toMatch(/me:secret|pa55/)
  })

  test('a command that is not there', async () => {
    await expect(createOpenMcp({ server: { command: 'openmcp-no-such-program' } })).rejects.toMatchObject({ code: 'command_not_found' })
  })
})
