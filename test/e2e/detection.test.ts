// What stands behind a URL is found out, said in words where it cannot be, and looked for again.
import { describe, expect, test } from 'vitest'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage, returned, serve, serveOnStdio, typed } from '../support/openmcp.ts'
import { freePort, listening, sdkServerFile, type HttpProgram } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { json, upstream } from '../support/upstream.ts'
import { ask, openSession } from '../support/wire.ts'

const TAKES_BOTH = { accept: 'application/json, text/event-stream' }

const start = (way: 'http' | 'sse' | 'both', ...more: string[]): Promise<HttpProgram> => forThisTest(listening([sdkServerFile(), way, ...more]))

/** What serves the client, as the debug log names it, once a call went through. */
async function servedBy(published: string, ...options: string[]): Promise<string> {
  const proxy = await forThisTest(serve({ upstream: published, options: ['--debug', ...options] }))
  const session = await openSession(proxy.url)
  expect(at(await session.call('echo', { a: 1 }), 'request', 'params', 'arguments')).toEqual({ a: 1 })
  const [, what = '', path = ''] = await proxy.says(/the upstream speaks (\S.*) path=(\S+)/)
  return `${what} at ${path}`
}

describe('an upstream', () => {
  test('named with a path is what is served there', async () => {
    const { origin } = await start('both')
    expect(await servedBy(`${origin}/mcp`)).toBe('Streamable HTTP at /mcp')
    expect(await servedBy(`${origin}/sse`)).toBe('HTTP+SSE at /sse')
  })

  test('named without a path is looked for at /mcp, then at /sse', async () => {
    const [http, sse, both] = [await start('http'), await start('sse'), await start('both')]
    expect(await servedBy(http.origin)).toBe('Streamable HTTP at /mcp')
    expect(await servedBy(sse.origin)).toBe('HTTP+SSE at /sse')
    expect(await servedBy(both.origin)).toBe('Streamable HTTP at /mcp')
  })

  test('named as host and port is reached over http on this machine', async () => {
    const { origin } = await start('http')
    expect(await servedBy(origin.replace('http://', ''))).toBe('Streamable HTTP at /mcp')
    expect(await servedBy(origin.replace('http://127.0.0.1', 'localhost'))).toBe('Streamable HTTP at /mcp')
  })

  test('named with a transport is not guessed', async () => {
    const { origin } = await start('both')
    expect(await servedBy(origin, '--transport', 'sse')).toBe('HTTP+SSE at /sse')
    expect(await servedBy(origin, '--transport', 'http')).toBe('Streamable HTTP at /mcp')
  })

  test('is looked at without a trace: no session of it is opened before a client comes', async () => {
    const server = await forThisTest(upstream((_received, res) => json(res, 400, { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no session' } })))
    const proxy = await forThisTest(serve({ upstream: `${server.origin}/mcp`, options: ['--debug'] }))
    await proxy.says(/the upstream speaks Streamable HTTP/)
    expect(server.received.map(({ body }) => body['method'])).toEqual(['server/discover'])
  })
})

describe('an upstream that is down at start', () => {
  test('is said in words, answered with 502, and served once it is up', async () => {
    const port = await freePort()
    const proxy = await forThisTest(serve({ upstream: `http://127.0.0.1:${port}` }))
    await proxy.says(/warning: the upstream http:\/\/127\.0\.0\.1:\d+ cannot be reached: nothing listens there; every request will try again/)
    const refused = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })
    expect(refused.status).toBe(502)
    expect(refused.json).toMatchObject({ jsonrpc: '2.0', id: 'mine', error: { code: -32603, message: expect.stringContaining('nothing listens there') } })
    const sse = await ask(proxy.at('/sse'), { headers: { accept: 'text/event-stream' } })
    expect(sse.status).toBe(502)
    expect((await ask(proxy.at('/status'))).json).toMatchObject({ server_instances: { default: 'unreachable' } })

    await start('http', '--port', String(port))
    const session = await openSession(proxy.url)
    expect(at(await session.call('echo', {}), 'request', 'method')).toBe('tools/call')
    expect((await ask(proxy.at('/status'))).json).toMatchObject({ server_instances: { default: 'running' } })
  })

  test('whose name nobody knows is said in words', async () => {
    const proxy = await forThisTest(serve({ upstream: 'http://no-such-host.invalid/mcp' }))
    const said = await proxy.says(/warning: .*cannot be reached: (.*); every request will try again/)
    expect(said[1]).toMatch(/no such host|could not be looked up/)
  })
})

describe('what is not MCP', () => {
  test.each([
    ['a web page', 200, 'text/html', '<!doctype html><h1>Welcome</h1>'],
    ['a missing page', 404, 'text/html', 'not found'],
    ['some other JSON', 200, 'application/json', '{"hello":"world"}'],
    ['nothing', 200, 'text/plain', ''],
  ])('like %s is said in words at start and to the client', async (_what, status, type, body) => {
    const server = await forThisTest(
      upstream(
        () => {},
        (res) => void res.writeHead(status, { 'content-type': type }).end(body),
      ),
    )
    for (const path of ['', '/mcp']) {
      const proxy = await forThisTest(serve({ upstream: `${server.origin}${path}` }))
      await proxy.says(/warning: \S+ does not speak MCP \(HTTP \d+ to POST, HTTP \d+ to GET\).* hint=/)
      const refused = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })
      expect(refused.status).toBe(502)
      expect(refused.json).toMatchObject({ id: 'mine', error: { code: -32603, message: expect.stringMatching(/does not speak MCP.*check the path/) } })
      expect(refused.text).not.toContain('Welcome')
    }
  })

  test('on stdio is said to the client as well', async () => {
    const server = await forThisTest(
      upstream(
        () => {},
        (res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
      ),
    )
    const proxy = await forThisTest(serveOnStdio({ upstream: server.origin }))
    proxy.send(initializeMessage(1))
    expect(at(await proxy.answerTo(1), 'error', 'message')).toContain('does not speak MCP')
  })

  test('by its very scheme is refused at start, exit code 2', async () => {
    for (const published of ['ftp://127.0.0.1/mcp', 'ws://', 'tcp://127.0.0.1', 'did:key:z6Mk']) {
      const { code, stderr } = await typed(['run', '-p', `0:${published}`])
      expect(code).toBe(2)
      expect(stderr).toMatch(/^openmcp: error: .+\nopenmcp: hint: /)
    }
  })
})

describe('an upstream that was restarted', () => {
  async function restarted(way: 'http' | 'sse', between: (origin: string) => Promise<void>): Promise<void> {
    const port = await freePort()
    const first = await start(way, '--port', String(port))
    await between(first.origin)
    first.signal('SIGKILL')
    await first.ended
    await start(way, '--port', String(port))
  }

  test('and lost its sessions: it is initialised again behind the client, whose session goes on', async () => {
    let proxy: Awaited<ReturnType<typeof serve>> | undefined
    let session: Awaited<ReturnType<typeof openSession>> | undefined
    await restarted('http', async (origin) => {
      proxy = await forThisTest(serve({ upstream: `${origin}/mcp` }))
      session = await openSession(proxy.url)
      await session.call('heard')
    })
    if (!proxy || !session) throw new Error('not started')
    expect(await session.call('heard')).toMatchObject({ notifications: [] })
    expect((await ask(proxy.at('/status'))).json['sessions']).toBe(1)
  })

  test('over HTTP+SSE: calls in flight are answered, and the session goes on', async () => {
    let proxy: Awaited<ReturnType<typeof serve>> | undefined
    let session: Awaited<ReturnType<typeof openSession>> | undefined
    let waiting: Awaited<ReturnType<NonNullable<typeof session>['post']>> | undefined
    await restarted('sse', async (origin) => {
      proxy = await forThisTest(serve({ upstream: `${origin}/sse` }))
      session = await openSession(proxy.url)
      waiting = await session.post(callMessage('mine', 'hang', { key: 'k' }))
      await session.call('heard')
    })
    if (!proxy || !session || !waiting) throw new Error('not started')
    expect(await waiting.message(({ id }: Json) => id === 'mine')).toMatchObject({ error: { code: -32603 } })
    expect(await session.call('heard')).toMatchObject({ notifications: [] })
  })

  test('in the middle of a call over Streamable HTTP: the answer breaks off, and openmcp serves on', async () => {
    const port = await freePort()
    const first = await start('http', '--port', String(port))
    const proxy = await forThisTest(serve({ upstream: `${first.origin}/mcp` }))
    const session = await openSession(proxy.url)
    const waiting = await session.post(callMessage('mine', 'hang', { key: 'k' }))
    first.signal('SIGKILL')
    await waiting.whole()
    expect(waiting.messages.some(({ result }) => result !== undefined)).toBe(false)
    const down = await ask(proxy.url, { headers: TAKES_BOTH, body: initializeMessage('mine') })
    expect(down.status).toBe(502)
    await start('http', '--port', String(port))
    const next = await openSession(proxy.url)
    const stream = await next.post(callMessage(1, 'echo', {}))
    expect(returned(await stream.message(({ id }) => id === 1))).toMatchObject({ request: { method: 'tools/call' } })
  })
})
