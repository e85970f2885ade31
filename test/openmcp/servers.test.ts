// Servers beside each other, and one set of them instead of another: through the doors, in this process.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { at, jsonOf } from '../support/json.ts'
import { linePeer } from '../support/line-peer.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { gone, isAlive, killAfterTest } from '../support/processes.ts'
import { toolServer } from '../support/secured.ts'
import { child, running } from './stage.ts'
import { until } from '../support/until.ts'
import { upstream } from '../support/upstream.ts'
import { webSocketPeer } from '../support/web-socket.ts'
import { ask, open, openSession, type Session } from '../support/wire.ts'

const PING = { jsonrpc: '2.0', id: 'ping', method: 'ping' }

const pidOf = async (one: Session): Promise<number> => Number((await one.call('who'))['pid'])

describe('named servers', () => {
  test('are each served under their own name, and know nothing of each other', async () => {
    const { at: path } = await running([child('one', ['first']), child('Größe 2', ['second'])])
    const [one, two] = [await openSession(path('/servers/one/mcp')), await openSession(path('/servers/Gr%C3%B6%C3%9Fe%202/mcp'))]
    expect((await one.call('who'))['argv']).toEqual(['first'])
    expect((await two.call('who'))['argv']).toEqual(['second'])
    const elsewhere = await ask(two.url, { headers: { 'mcp-session-id': one.id }, body: callMessage(2, 'who') })
    expect(elsewhere.status).toBe(404)
  })

  test('have their own HTTP+SSE', async () => {
    const { at: path } = await running([child('one')])
    const stream = await open(path('/servers/one/sse'))
    const endpoint = await until('the endpoint', () => stream.events[0]?.data)
    expect(endpoint).toMatch(/^\/servers\/one\/messages\?sessionId=/)
    await ask(path(endpoint), { body: initializeMessage(1) })
    expect(at(await stream.message(({ id }) => id === 1), 'result', 'serverInfo')).toBeDefined()
    await stream.stop()
  })

  test.each(['/mcp', '/sse', '/servers/two/mcp', '/servers/ONE/mcp', '/servers/default/mcp', '/servers/..%2fone/mcp', '/servers/__proto__/mcp'])(
    'are not served at %s',
    async (elsewhere) => {
      const { at: path, status } = await running([child('one')])
      expect(
        (await ask(path(elsewhere), { method: elsewhere === '/sse' ? 'GET' : 'POST', body: elsewhere === '/sse' ? '' : initializeMessage(1) })).status,
      ).toBe(404)
      expect((await status())['sessions']).toBe(0)
    },
  )

  test('leave each other alone when one does not start, and its reason can be read', async () => {
    const missing: NamedServer = { ...child('missing'), target: { kind: 'command', command: 'openmcp-no-such-program', args: [], env: {} } }
    const { at: path, status } = await running([missing, child('one')])
    const said = await until('its state', async () => {
      const now = await status()
      return at(now, 'server_instances', 'missing') === 'failed' && now
    })
    expect(said['server_failures']).toEqual({ missing: 'command not found: openmcp-no-such-program' })
    expect(await pidOf(await openSession(path('/servers/one/mcp')))).toBeGreaterThan(0)
    expect((await ask(path('/servers/missing/mcp'), { body: initializeMessage(1) })).status).toBe(502)
    expect((await ask(path('/readyz'))).status).toBe(200)
  })

  test('of one name are refused', async () => {
    await expect(running([child('one'), child('one')])).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('a server over a connection of its own', () => {
  const answers = (text: string, say: (answer: string) => void): void => {
    const message = jsonOf(JSON.parse(text))
    const result =
      message['method'] === 'initialize'
        ? { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } }
        : { structuredContent: at(message, 'params', 'arguments') }
    if (message['id'] !== undefined) say(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result }))
  }
  const over = (name: string, url: string): NamedServer => ({ ...child(name), target: { kind: 'socket', url: new URL(url), headers: {} } })

  test('is served like every other', async () => {
    const [lines, frames] = await Promise.all([linePeer({ onLine: answers }), webSocketPeer({ onMessage: answers })])
    onTestFinished(lines.stop)
    onTestFinished(frames.stop)
    const { at: path } = await running([over('lines', `tcp://${lines.host}`), over('frames', `ws://${frames.host}/mcp`)])
    for (const name of ['lines', 'frames']) {
      const session = await openSession(path(`/servers/${name}/mcp`))
      expect(await session.call('echo', { name })).toEqual({ name })
    }
  })

  test('may be away when we start, and may come back', async () => {
    const first = await linePeer({ onLine: answers })
    await first.stop()
    const { at: path, status } = await running([over('lines', `tcp://${first.host}`)])
    await until('its state', async () => at(await status(), 'server_instances', 'lines') === 'unreachable')
    expect((await ask(path('/servers/lines/mcp'), { body: initializeMessage(1) })).status).toBe(502)
    const second = await linePeer({ onLine: answers, port: first.port })
    const session = await openSession(path('/servers/lines/mcp'))
    expect(await session.call('echo', { a: 1 })).toEqual({ a: 1 })
    expect(at(await status(), 'server_instances', 'lines')).toBe('running')
    await second.stop()
    const third = await linePeer({ onLine: answers, port: first.port })
    onTestFinished(third.stop)
    // The session goes on.
    expect(await session.call('echo', { b: 2 })).toEqual({ b: 2 })
    expect(third.heard.map((line) => jsonOf(JSON.parse(line))['method'])).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
  })
})

describe('another set of servers', () => {
  test('leaves those alone that did not change, with their sessions and children', async () => {
    const { proxy, at: path } = await running([child('kept'), child('gone')])
    const kept = await openSession(path('/servers/kept/mcp'))
    const pid = await pidOf(kept)
    const { limits, ...same } = child('kept')
    // The order in which it is written is no change.
    expect(await proxy.apply([{ limits, ...same }, child('new')])).toEqual({ added: ['new'], changed: [], removed: ['gone'] })
    expect(await pidOf(kept)).toBe(pid)
    expect(await pidOf(await openSession(path('/servers/new/mcp')))).toBeGreaterThan(0)
  })

  test('ends those that are removed: the path, the session, the stream and a child that ends neither with its stdin nor on SIGTERM', async () => {
    const stubborn = child('gone', ['--ignore-eof', '--ignore-term'], { stopSeconds: 3600 })
    const { proxy, at: path, status } = await running([stubborn])
    const one = await openSession(path('/servers/gone/mcp'))
    const pid = await pidOf(one)
    killAfterTest(pid)
    const stream = await open(path('/servers/gone/sse'))
    expect(await proxy.apply([])).toEqual({ added: [], changed: [], removed: ['gone'] })
    expect((await one.post(PING)).status).toBe(404)
    expect((await ask(path('/servers/gone/mcp'), { body: initializeMessage(1) })).status).toBe(404)
    await stream.whole()
    await gone(pid)
    expect(await status()).toMatchObject({ server_instances: {}, sessions: 0, streams: 0, upstreams: 0 })
  })

  test('lets calls of one that changed finish, and takes what is new to the new one', async () => {
    const { proxy, at: path } = await running([child('one', ['first'], { drainSeconds: 3600 })])
    const old = await openSession(path('/servers/one/mcp'))
    const pid = await pidOf(old)
    const held = old.call('hold', { key: 'k' })
    await until('the call', async () => JSON.stringify(await old.call('seen')).includes('"hold"'))
    expect(await proxy.apply([child('one', ['second'])])).toEqual({ added: [], changed: ['one'], removed: [] })
    expect((await (await openSession(path('/servers/one/mcp'))).call('who'))['argv']).toEqual(['second'])
    expect(isAlive(pid)).toBe(true)
    expect((await old.post(PING)).status).toBe(404)
    process.kill(pid, 'SIGKILL')
    await expect(held).rejects.toThrow('ended on SIGKILL')
    await gone(pid)
  })

  test('also of remote servers', async () => {
    const behind = await upstream(toolServer)
    onTestFinished(behind.stop)
    const remote: NamedServer = {
      ...child('far'),
      target: { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: { 'X-Key': 'first' } },
    }
    const { proxy, at: path } = await running([remote])
    const old = await openSession(path('/servers/far/mcp'))
    expect(
      await proxy.apply([{ ...remote, target: { kind: 'remote', urls: [new URL('/other', behind.origin)], transport: 'http', headers: {} } }]),
    ).toMatchObject({
      changed: ['far'],
    })
    expect((await old.post(PING)).status).toBe(404)
    await openSession(path('/servers/far/mcp'))
    expect(behind.received.findLast(({ method }) => method === 'POST')).toMatchObject({ url: '/other' })
    expect(behind.received.findLast(({ url }) => url === '/mcp')?.headers['x-key']).toBe('first')
  })
})
