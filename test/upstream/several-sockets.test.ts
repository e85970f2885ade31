// Servers over connections that are one upstream, seen by clients, through openmcp.
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { child, running } from '../openmcp/stage.ts'
import { at, jsonOf } from '../support/json.ts'
import { linePeer, type LinePeer } from '../support/line-peer.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { webSocketPeer } from '../support/web-socket.ts'
import { ask, openSession, type Session } from '../support/wire.ts'

/** Every tool says who has answered, and how often it was called. */
function answering(by: string, onCall = (): void => {}) {
  return (text: string, say: (answer: string) => void): void => {
    const message = jsonOf(JSON.parse(text))
    if (message['method'] === 'tools/call') onCall()
    const result =
      message['method'] === 'initialize'
        ? { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: by, version: '1' } }
        : { structuredContent: { by } }
    if (message['id'] !== undefined) say(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result }))
  }
}

async function lines(by: string, port = 0, onCall = (): void => {}): Promise<LinePeer> {
  const peer = await linePeer({ onLine: answering(by, onCall), port })
  onTestFinished(peer.stop)
  return peer
}

async function inFrontOf(target: Omit<NamedServer['target'] & { kind: 'socket' }, 'kind' | 'headers'>): Promise<{ url: URL; state(): Promise<unknown> }> {
  const { at: path, status } = await running([{ ...child('one'), target: { kind: 'socket', headers: { 'x-ours': 'secret' }, ...target } }])
  return { url: path('/servers/one/mcp'), state: async () => at(await status(), 'server_instances', 'one') }
}

const by = async (session: Session): Promise<unknown> => (await session.call('who'))['by']
const tcp = ({ host }: { host: string }): URL => new URL(`tcp://${host}`)

test('sessions are shared out among tcp:// and ws://, and each stays where it is', async () => {
  const frames = await webSocketPeer({ onMessage: answering('b') })
  onTestFinished(frames.stop)
  const { url } = await inFrontOf({ url: tcp(await lines('a')), others: [new URL(`ws://${frames.host}/mcp`)] })
  const sessions: Session[] = []
  for (let count = 0; count < 6; count++) sessions.push(await openSession(url))
  const first = await Promise.all(sessions.map(by))
  expect(first.toSorted((one, other) => String(one).localeCompare(String(other)))).toEqual(['a', 'a', 'a', 'b', 'b', 'b'])
  expect(await Promise.all(sessions.map(by))).toEqual(first)
})

test('a dead one is left, its sessions go on elsewhere, and it is returned to when it answers a probe; no call is made twice', async () => {
  let [called, asked] = [0, 0]
  const onCall = (): void => void called++
  const [a, b] = await Promise.all([lines('a', 0, onCall), lines('b', 0, onCall)])
  const { url } = await inFrontOf({ url: tcp(a), others: [tcp(b)] })
  const sessions: Session[] = []
  for (let count = 0; count < 4; count++) sessions.push(await openSession(url))
  const all = async (): Promise<string> => {
    asked += sessions.length
    return (await Promise.all(sessions.map(by)))
      .map(String)
      .toSorted((one, other) => one.localeCompare(other))
      .join('')
  }
  expect(await all()).toBe('aabb')
  await a.stop()
  await until('the end of its connections', () => a.connections === 0)
  expect(await all()).toBe('bbbb')
  expect(await by(await openSession(url))).toBe('b')
  asked++
  await lines('a', a.port, onCall)
  await until('a', async () => {
    const session = await openSession(url)
    asked++
    return (await by(session)) === 'a'
  })
  expect(called).toBe(asked)
})

test('a fall-back is taken while nobody else is there, and hears no header of ours', async () => {
  const [a, last] = [await lines('a'), await webSocketPeer({ onMessage: answering('last') })]
  onTestFinished(last.stop)
  const { url } = await inFrontOf({ url: tcp(a), fallbacks: [new URL(`ws://${last.host}/mcp`)] })
  expect(await by(await openSession(url))).toBe('a')
  expect(last.opened).toEqual([])
  await a.stop()
  await until('the end of its connections', () => a.connections === 0)
  expect(await by(await openSession(url))).toBe('last')
  expect(last.opened.map((headers) => headers['x-ours'])).toEqual([undefined])
})

test('when nobody is there clients hear it and /status says it, until a probe finds somebody', async () => {
  const [a, b] = await Promise.all([lines('a'), lines('b')])
  await Promise.all([a.stop(), b.stop()])
  const { url, state } = await inFrontOf({ url: tcp(a), others: [tcp(b)] })
  await until('its state', async () => (await state()) === 'unreachable')
  const { status, text } = await ask(url, { body: initializeMessage(1) })
  expect([status, text]).toEqual([502, expect.stringContaining('nothing listens there')])
  await lines('b', b.port)
  await until('its state', async () => (await state()) !== 'unreachable')
  expect(await by(await openSession(url))).toBe('b')
})

test('one that wants to know who we are is there, whoever probes it without saying so', async () => {
  const peer = await webSocketPeer({ onMessage: answering('a'), wants: 'Bearer good' })
  onTestFinished(peer.stop)
  let token: string | undefined
  const credential = { headers: () => (token === undefined ? {} : { authorization: token }), refused: () => Promise.resolve(false) }
  const target = { kind: 'socket', url: new URL(`ws://${peer.host}/mcp`), headers: {} } as const
  const { at: path, status } = await running([{ ...child('one'), target, credential }])
  const state = async (): Promise<unknown> => at(await status(), 'server_instances', 'one')
  await until('the refusal', async () => (await state()) === 'unreachable')
  token = 'Bearer good'
  await until('the probe', async () => (await state()) !== 'unreachable')
  expect(await by(await openSession(path('/servers/one/mcp')))).toBe('a')
})
