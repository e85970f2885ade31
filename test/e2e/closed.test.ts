// Closed by default: who may call, under which name, from which page, and what leaves for the upstream.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage, serve, typed, type Proxy } from '../support/openmcp.ts'
import { freePort, scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { json, upstream, type Received, type Upstream } from '../support/upstream.ts'
import { until } from '../support/until.ts'
import { MODERN, ask, modernAsked, open, openSession, raw, type Answer } from '../support/wire.ts'

const TAKES_BOTH = { accept: 'application/json, text/event-stream' }
/** Every route, those that are open to everybody, and none. */
const ROUTES = [
  '/mcp',
  '/mcp/',
  '/sse',
  '/messages?sessionId=x',
  '/message',
  '/healthz',
  '/readyz',
  '/health',
  '/status',
  '/',
  '/nothing/here',
  '/%ff',
  '/.well-known/x',
]

const tells = ({ text, headers }: Answer): string => `${text} ${JSON.stringify(headers)}`

describe('under which name', () => {
  let proxy: Proxy
  let server: Upstream
  beforeAll(async () => {
    server = await upstream((_received, res) => json(res, 200, {}))
    proxy = await serve({
      upstream: `${server.origin}/mcp`,
      options: ['--allow-host', 'mcp.example.com', '--allow-host', 'other.example.com:1234', '--path-prefix', '/'],
    })
    // openmcp looks at what it stands before, in its own time.
    await until('the first look', () => server.received.length > 0)
    return async () => {
      await proxy.stop()
      await server.stop()
    }
  })

  test.each(ROUTES)('a foreign Host is refused at %s, and learns nothing', async (path) => {
    const before = server.received.length
    for (const host of ['evil.example.com', `evil.example.com:${proxy.url.port}`, '127.0.0.1', 'localhost', 'localhost:1', `127.0.0.2:${proxy.url.port}`]) {
      for (const asked of [{ method: 'GET' }, { body: initializeMessage(1) }]) {
        const answer = await ask(proxy.at(path), { ...asked, headers: { ...TAKES_BOTH, host } })
        expect(answer.status).toBe(403)
        expect(at(answer.json, 'error', 'message')).toContain('--allow-host')
        expect(tells(answer)).not.toContain('evil')
      }
    }
    expect(server.received).toHaveLength(before)
  })

  test('a request without a Host, or with an empty one, is refused', async () => {
    expect(await raw(proxy.url, 'GET /status HTTP/1.1\r\nHost:\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /)
    expect(await raw(proxy.url, 'GET /status HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(await raw(proxy.url, 'GET /status HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /)
  })

  test('a request with two Hosts is refused', async () => {
    const own = `Host: ${proxy.url.host}\r\n`
    expect(await raw(proxy.url, `GET /status HTTP/1.1\r\n${own}Host: evil.example.com\r\nconnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 (?:400|403) /)
    expect(await raw(proxy.url, `GET /status HTTP/1.1\r\nHost: evil.example.com\r\n${own}connection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 (?:400|403) /)
  })

  test('a request whose target names another host is judged by its Host', async () => {
    expect(await raw(proxy.url, 'GET http://127.0.0.1/status HTTP/1.1\r\nHost: evil.example.com\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /)
  })

  test('loopback and what was allowed are served', async () => {
    const { port } = proxy.url
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      'mcp.example.com',
      `mcp.example.com:${port}`,
      'other.example.com:1234',
    ]) {
      expect((await ask(proxy.at('/healthz'), { headers: { host } })).status).toBe(200)
    }
    for (const host of ['other.example.com', 'mcp.example.com:1']) expect((await ask(proxy.at('/healthz'), { headers: { host } })).status).toBe(403)
  })
})

describe('under which path', () => {
  test('a prefix stands before every path, in what an SSE client is told too, and there is nothing beside it', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--path-prefix', '/a/b'] }))
    expect(proxy.url.pathname).toBe('/a/b/mcp')
    expect(await (await openSession(proxy.url)).call('echo', { a: 1 })).toEqual({ a: 1 })
    const sse = await open(proxy.at('/a/b/sse'), { headers: { accept: 'text/event-stream' } })
    await expect.poll(() => sse.events[0]?.data).toMatch(/^\/a\/b\/messages\?sessionId=/)
    await sse.stop()
    expect((await ask(proxy.at('/a/b/healthz'))).status).toBe(200)
    for (const path of ['/mcp', '/sse', '/healthz', '/status', '/a/mcp', '/a/b', '/A/b/mcp']) expect((await ask(proxy.at(path))).status).toBe(404)
  })

  test('a public URL is a name and an origin of ours', async () => {
    const proxy = await forThisTest(serve({ command: scripted(), options: ['--public-url', 'https://mcp.example.com'] }))
    for (const headers of [{ host: 'mcp.example.com' }, { host: 'mcp.example.com', origin: 'https://mcp.example.com' }]) {
      expect((await ask(proxy.at('/healthz'), { headers })).status).toBe(200)
    }
    expect((await ask(proxy.at('/healthz'), { headers: { origin: 'https://example.com' } })).status).toBe(403)
  })
})

describe('from which page', () => {
  let proxy: Proxy
  let server: Upstream
  const APP = 'https://app.example.com'
  beforeAll(async () => {
    server = await upstream((_received, res) => json(res, 200, { jsonrpc: '2.0', id: 1, result: {} }))
    proxy = await serve({ upstream: `${server.origin}/mcp`, options: ['--allow-origin', APP, '--expose-header', 'X-Trace'] })
    await until('the first look', () => server.received.length > 0)
    return async () => {
      await proxy.stop()
      await server.stop()
    }
  })

  test.each(ROUTES)('a foreign Origin is refused at %s, also as a preflight, and gets no CORS header', async (path) => {
    const before = server.received.length
    const { port } = proxy.url
    const foreign = [
      'https://evil.example.com',
      'null',
      `https://127.0.0.1:${port}`,
      'http://127.0.0.1',
      'http://localhost:1',
      `${APP}.evil.example.com`,
      `${APP}:444`,
      'http://app.example.com',
      'file://',
      '',
    ]
    for (const origin of foreign) {
      for (const asked of [{ method: 'GET' }, { body: initializeMessage(1) }, { method: 'OPTIONS', preflight: { 'access-control-request-method': 'POST' } }]) {
        const headers = { ...TAKES_BOTH, origin, ...('preflight' in asked ? asked.preflight : {}) }
        const answer = await ask(proxy.at(path), { ...asked, headers })
        expect(answer.status).toBe(403)
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
      }
    }
    expect(server.received).toHaveLength(before)
  })

  test('our own origin is served, without CORS headers', async () => {
    for (const origin of [proxy.url.origin, `http://localhost:${proxy.url.port}`]) {
      const answer = await ask(proxy.at('/healthz'), { headers: { origin } })
      expect(answer.status).toBe(200)
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('an allowed origin is served and may read the answer, errors too, and the headers it needs', async () => {
    for (const path of ['/healthz', '/mcp', '/nothing/here']) {
      const { headers } = await ask(proxy.at(path), { headers: { origin: APP, ...TAKES_BOTH } })
      expect(headers['access-control-allow-origin']).toBe(APP)
      expect(headers['access-control-allow-credentials']).toBeUndefined()
      expect(headers.vary).toContain('Origin')
      expect(headers['access-control-expose-headers']?.toLowerCase().split(', ')).toEqual(
        expect.arrayContaining(['mcp-session-id', 'x-trace', 'www-authenticate']),
      )
    }
  })

  test('a preflight of an allowed origin is answered with what it may send, and reaches no upstream', async () => {
    const before = server.received.length
    const answer = await ask(proxy.url, {
      method: 'OPTIONS',
      headers: {
        origin: APP,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'content-type, mcp-session-id, mcp-param-region, cookie, x-evil',
      },
    })
    expect(answer.status).toBe(204)
    expect(answer.headers['access-control-allow-methods']).toMatch(/GET.*POST.*DELETE/)
    const allowed = answer.headers['access-control-allow-headers']?.split(', ')
    expect(allowed).toEqual(
      expect.arrayContaining(['content-type', 'mcp-session-id', 'mcp-protocol-version', 'last-event-id', 'mcp-param-region', 'authorization']),
    )
    expect(allowed).not.toContain('cookie')
    expect(allowed).not.toContain('x-evil')
    expect(server.received).toHaveLength(before)
  })
})

describe('to whom', () => {
  test('a public bind is refused, exit code 2, and nothing is started', async () => {
    for (const host of ['0.0.0.0', '[::]', '192.0.2.1']) {
      const { code, stdout, stderr } = await typed(['run', '-p', `${host}:0`, '--', 'sh', '-c', 'echo started >&2'])
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/^openmcp: error: .*nobody is asked who they are\nopenmcp: hint: .*--insecure-no-auth/)
      expect(stderr).not.toContain('started')
    }
  })

  test('a public bind with --insecure-no-auth warns, and serves its own addresses under no other name', async () => {
    const proxy = await forThisTest(serve({ host: '0.0.0.0', options: ['--insecure-no-auth'], command: scripted() }))
    const { port } = proxy.url
    expect(proxy.stderr.join('\n')).toMatch(/openmcp: warning: --insecure-no-auth/)
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family }) => family === 'IPv4')
    for (const { address } of own) expect((await ask(new URL(`http://${address}:${port}/healthz`))).status).toBe(200)
    expect((await ask(new URL(`http://127.0.0.1:${port}/healthz`), { headers: { host: `192.0.2.1:${port}` } })).status).toBe(403)
    expect((await ask(new URL(`http://127.0.0.1:${port}/healthz`), { headers: { host: `evil.example.com:${port}` } })).status).toBe(403)
  })

  test('nobody but this machine reaches the default bind', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
    for (const { address } of others) await expect(ask(new URL(`http://${address}:${proxy.url.port}/healthz`))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(proxy.url.hostname).toBe('127.0.0.1')
  })

  test('a port that is taken is said in words, exit code 1, and no child is left', async () => {
    const proxy = await forThisTest(serve({ command: scripted() }))
    const { code, stderr } = await typed(['run', '-p', proxy.url.port, '--', ...scripted()])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`openmcp: error: port ${proxy.url.port} on 127.0.0.1 is taken\nopenmcp: hint: `))
  })
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe(`over TLS${hasOpenssl ? '' : ' (not tested: there is no openssl to make a certificate)'}`, () => {
  test.skipIf(!hasOpenssl && process.env['OPENMCP_TEST_REQUIRE_ALL'] !== '1')(
    'clients are served under https alone, with the same rules, and told to stay there',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'openmcp-'))
      onTestFinished(() => rmSync(directory, { recursive: true }))
      const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-keyout',
          key,
          '-out',
          cert,
          '-subj',
          '/CN=localhost',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-days',
          '1',
        ],
        { stdio: 'ignore' },
      )
      const proxy = await forThisTest(serve({ command: scripted(), options: ['--tls-cert', cert, '--tls-key', key] }))
      expect(proxy.url.protocol).toBe('https:')
      const ca = readFileSync(cert)
      const get = (headers: Record<string, string>): Promise<IncomingMessage> =>
        new Promise((resolve, reject) => {
          // The certificate is checked, the name in it is not: Node would compare it with the Host of the request.
          httpsRequest(proxy.at('/healthz'), { ca, agent: false, headers, checkServerIdentity: () => undefined }, (res) => resolve(res.resume()))
            .once('error', reject)
            .end()
        })
      const served = await get({ origin: proxy.url.origin })
      expect(served.statusCode).toBe(200)
      expect(served.headers['strict-transport-security']).toMatch(/^max-age=\d+/)
      expect((await get({ host: 'evil.example.com' })).statusCode).toBe(403)
      expect((await get({ origin: proxy.url.origin.replace('https', 'http') })).statusCode).toBe(403)
      expect(await raw(proxy.url, `GET /healthz HTTP/1.1\r\nhost: ${proxy.url.host}\r\n\r\n`)).not.toContain('200')
    },
  )
})

describe('what an answer tells', () => {
  let proxy: Proxy
  beforeAll(async () => {
    proxy = await serve({ command: scripted() })
    return proxy.stop
  })

  test.each([
    ['a health check', '/healthz', {}],
    ['the status', '/status', {}],
    ['a path that is none', '/nothing', {}],
    ['a path that cannot be decoded', '/%ff', {}],
    ['a foreign Host', '/mcp', { headers: { host: 'evil.example.com' } }],
    ['a foreign Origin', '/mcp', { headers: { origin: 'https://evil.example.com' } }],
    ['an unknown session', '/mcp', { headers: { ...TAKES_BOTH, 'mcp-session-id': 'x' }, body: callMessage(1, 'who') }],
    ['a session', '/mcp', { headers: TAKES_BOTH, body: initializeMessage(1) }],
    ['a call of the stateless revision', '/mcp', modernAsked(callMessage(1, 'echo'))],
    ['malformed JSON', '/mcp', { headers: { 'content-type': 'application/json' }, body: '{' }],
    ['an unsupported method', '/mcp', { method: 'PUT' }],
  ] as const)('for %s has the security headers, no referrer, and nothing about us', async (_what, path, asked) => {
    const { headers, text } = await ask(proxy.at(path), asked)
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['x-frame-options']).toMatch(/^(?:DENY|SAMEORIGIN)$/)
    expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'|frame-ancestors 'none'.*default-src 'none'/)
    expect(headers['cross-origin-resource-policy']).toBe('same-origin')
    expect(headers['x-powered-by']).toBeUndefined()
    expect(headers['server']).toBeUndefined()
    expect(text).not.toMatch(/\bat .+\.(?:m?js|ts):\d+/)
  })

  test('on an event stream has them too', async () => {
    const stream = await open(proxy.at('/sse'), { headers: { accept: 'text/event-stream' } })
    expect(stream.headers['referrer-policy']).toBe('no-referrer')
    expect(stream.headers['x-content-type-options']).toBe('nosniff')
    await stream.stop()
  })

  test('on health is one word, and readiness says whether the upstream could be asked', async () => {
    expect((await ask(proxy.at('/healthz'))).text).toBe('ok\n')
    expect((await ask(proxy.at('/health'))).text).toBe('ok\n')
    expect(await ask(proxy.at('/readyz'))).toMatchObject({ status: 200, text: 'ready\n' })
    const down = await forThisTest(serve({ upstream: `http://127.0.0.1:${await freePort()}/mcp` }))
    await down.says(/nothing listens there/)
    expect(await ask(down.at('/readyz'))).toMatchObject({ status: 503, text: 'not ready\n' })
    expect((await ask(down.at('/healthz'))).status).toBe(200)
  })
})

describe('what leaves for an HTTP upstream', () => {
  const LEGACY_INITIALIZED: Json = {
    jsonrpc: '2.0',
    id: 1,
    result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'u', version: '1' } },
  }

  function answer({ method, body }: Received, res: Parameters<Parameters<typeof upstream>[0]>[1]): void {
    if (body['method'] === 'initialize') json(res, 200, LEGACY_INITIALIZED, { 'mcp-session-id': 'session-of-the-upstream' })
    else if (method === 'DELETE') res.writeHead(200).end()
    else if (method === 'GET') res.writeHead(405).end()
    else json(res, 200, { jsonrpc: '2.0', id: body['id'] ?? null, result: {} })
  }

  test('never is a credential of the client, nor a header nobody asked for; mcp-param-* and tracing go', async () => {
    const server = await forThisTest(upstream(answer))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp`, options: ['-H', 'X-Tenant: ours', '-H', 'User-Agent: openmcp-test'] }))
    const headers = {
      authorization: 'Bearer of-the-client',
      cookie: 'session=secret',
      'proxy-authorization': 'Basic secret',
      'x-api-key': 'secret',
      'x-forwarded-for': '192.0.2.1',
      'x-tenant': 'theirs',
      'x-anything': 'else',
      'user-agent': 'the client',
      'mcp-param-region': 'eu',
      'mcp-param-x': '=?base64?w7w=?=',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    }
    await ask(proxy.url, modernAsked(callMessage(1, 'echo', { region: 'eu' }), headers))
    const arrived = server.received.at(-1)?.headers ?? {}
    expect(arrived).toMatchObject({
      host: new URL(server.origin).host,
      'x-tenant': 'ours',
      'mcp-param-region': 'eu',
      'mcp-param-x': '=?base64?w7w=?=',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      'mcp-protocol-version': MODERN,
      traceparent: headers.traceparent,
    })
    for (const name of ['authorization', 'cookie', 'proxy-authorization', 'x-api-key', 'x-forwarded-for', 'x-anything', 'origin'])
      expect(arrived).not.toHaveProperty(name)
    expect(JSON.stringify(server.received.map((one) => one.headers))).not.toMatch(/secret|of-the-client|theirs/)
  })

  test('goes the session id of the upstream, while the client has one of ours', async () => {
    const server = await forThisTest(upstream(answer))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp` }))
    const initialized = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage(1) })
    const id = String(initialized.headers['mcp-session-id'])
    expect(id).not.toContain('upstream')
    expect(initialized.text).toBe(JSON.stringify(LEGACY_INITIALIZED))
    await ask(proxy.url, { headers: { ...TAKES_BOTH, 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' }, body: callMessage(2, 'echo') })
    expect(server.received.at(-1)?.headers).toMatchObject({ 'mcp-session-id': 'session-of-the-upstream', 'mcp-protocol-version': '2025-11-25' })
    // The upstream's own id opens nothing here.
    const stolen = await ask(proxy.url, { headers: { ...TAKES_BOTH, 'mcp-session-id': 'session-of-the-upstream' }, body: callMessage(3, 'echo') })
    expect(stolen.status).toBe(404)
    await ask(proxy.url, { method: 'DELETE', headers: { 'mcp-session-id': id } })
    expect(server.received.at(-1)).toMatchObject({ method: 'DELETE', headers: { 'mcp-session-id': 'session-of-the-upstream' } })
    expect((await ask(proxy.url, { headers: { ...TAKES_BOTH, 'mcp-session-id': id }, body: callMessage(4, 'echo') })).status).toBe(404)
  })

  test('goes the end of a session that lay idle here', async () => {
    const server = await forThisTest(upstream(answer))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp`, options: ['--idle', '0.2'] }))
    await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage(1) })
    await expect
      .poll(() => server.received.find(({ method }) => method === 'DELETE')?.headers['mcp-session-id'], { timeout: 10_000 })
      .toBe('session-of-the-upstream')
  })
})

describe('what comes back from an HTTP upstream', () => {
  test.each([401, 407])('as %d is told as 502: the client has no login to do', async (status) => {
    const server = await forThisTest(
      upstream((_received, res) => json(res, status, { error: 'secret words' }, { 'www-authenticate': 'Bearer realm="upstream"' })),
    )
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp` }))
    for (const asked of [{ headers: TAKES_BOTH, body: initializeMessage('mine') }, { headers: { accept: 'text/event-stream' } }]) {
      const answer = await ask(proxy.url, asked)
      expect(answer.status).toBe(502)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      expect(at(answer.json, 'error', 'message')).toContain(status === 401 ? 'wants a login (401)' : 'HTTP 407')
      expect(answer.text).not.toContain('secret words')
    }
  })

  test.each([
    [
      400,
      '{ "jsonrpc":"2.0",  "id":7, "error":{"code":-32602,"message":"ü","data":{"deep":[1.0,1e2]}} }',
      { 'content-type': 'application/json; charset=utf-8' },
    ],
    [403, '{"jsonrpc":"2.0","error":{"code":-32001,"message":"insufficient scope"}}', { 'content-type': 'application/json' }],
    [404, '{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}', { 'content-type': 'application/json' }],
    [429, '{"slow":"down"}', { 'content-type': 'application/json', 'retry-after': '17' }],
    [500, '<h1>oops</h1>', { 'content-type': 'text/html' }],
    [202, '', {}],
  ])('as %d passes with its body byte by byte', async (status, body, headers) => {
    const server = await forThisTest(
      upstream((_received, res) => void res.writeHead(status, { ...headers, 'set-cookie': 'a=b', 'x-upstream': 'internal' }).end(body)),
    )
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp` }))
    const answer = await ask(proxy.url, { headers: TAKES_BOTH, body: callMessage(7, 'echo') })
    expect(answer.status).toBe(status)
    expect(answer.text).toBe(body)
    expect(answer.headers).toMatchObject(headers)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.headers['x-upstream']).toBeUndefined()
    expect(answer.headers['referrer-policy']).toBe('no-referrer')
  })

  test('as a connection cut in the middle of a stream is cut for the client too, and nobody else notices', async () => {
    const cut: (() => void)[] = []
    const server = await forThisTest(
      upstream(({ body }, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write(
          `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: body['id'] } })}\n\n`,
        )
        cut.push(() => res.destroy())
        if (body['id'] === 'whole') res.end(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: 'whole', result: {} })}\n\n`)
      }),
    )
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp` }))
    const stream = await open(proxy.url, { headers: TAKES_BOTH, body: callMessage('cut', 'echo') })
    await stream.message(({ method }) => method === 'notifications/message')
    cut[0]?.()
    await stream.whole()
    expect(stream.over).toBe('cut')
    expect((await ask(proxy.url, { headers: TAKES_BOTH, body: callMessage('whole', 'echo') })).text).toContain('"id":"whole","result"')
  })

  test('as nothing at all is 504 after --timeout, with the id of the request', async () => {
    const server = await forThisTest(upstream(() => {}))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp`, options: ['--timeout', '0.3'] }))
    const answer = await ask(proxy.url, { headers: TAKES_BOTH, body: callMessage('mine', 'echo') })
    expect(answer.status).toBe(504)
    expect(answer.json).toMatchObject({ id: 'mine', error: { message: expect.stringContaining('within 0.3 s') } })
  })
})

test('a port that was picked is told, however little else is to be heard', async () => {
  const proxy = await forThisTest(serve({ command: scripted(), options: ['--log-level', 'error'] }))
  expect((await ask(proxy.at('/healthz'))).status).toBe(200)
  expect(proxy.stderr.filter((line) => !line.startsWith('openmcp: listening on '))).toEqual([])
})
