// What there may be of all servers together.
import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { holder } from '../support/did.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, open } from '../support/wire.ts'
import { child, running } from './stage.ts'

const OPENING = initializeMessage(1)

function limited(limits: Partial<NamedServer['limits']>, names: readonly string[] = ['one', 'two']): { servers: NamedServer[]; options: object } {
  const all = { ...DEFAULT_LIMITS, drainSeconds: 0, ...limits }
  return { servers: names.map((name) => child(name, [], all)), options: { limits: all } }
}

test('sessions of one server leave no more for another', async () => {
  const { servers, options } = limited({ sessions: 2 })
  const { at: path, status } = await running(servers, [], options)
  const streams = await Promise.all(['one', 'two'].map((name) => open(path(`/servers/${name}/sse`), { headers: { accept: 'text/event-stream' } })))
  await until('both', async () => (await status())['sessions'] === 2)
  const refused = await ask(path('/servers/one/mcp'), { body: OPENING })
  expect([refused.status, at(refused.json, 'error', 'message')]).toEqual([503, expect.stringContaining('2 sessions are open')])
  await until('no more children than sessions', async () => (await status())['upstreams'] === 2)
  await streams[1]?.stop()
  await until('room', async () => (await ask(path('/servers/one/mcp'), { body: OPENING })).status === 200)
})

test('children of one server leave no more for another, and one that nobody has asked for yet makes room', async () => {
  const { servers, options } = limited({ children: 1 })
  const { at: path, status } = await running(servers, [], options)
  // One of the two has started already, and the other had no place to.
  const first = await ask(path('/servers/two/mcp'), { body: OPENING })
  expect(first.status).toBe(200)
  const refused = await ask(path('/servers/one/mcp'), { body: OPENING })
  expect([refused.status, at(refused.json, 'error', 'message')]).toEqual([503, expect.stringContaining('1 servers run already')])
  expect((await status())['upstreams']).toBe(1)
  await ask(path('/servers/two/mcp'), { method: 'DELETE', headers: { 'mcp-session-id': String(first.headers['mcp-session-id']) } })
  await until('room', async () => (await ask(path('/servers/one/mcp'), { body: OPENING })).status === 200)
})

test('a caller has its half of all sessions and children over all servers, whatever it says in headers', async () => {
  const ann = await holder()
  const bob = await holder()
  const { servers, options } = limited({ sessions: 8, children: 4 })
  const giving = servers.map((server, index): NamedServer => {
    const { target } = server
    return index === 0 && target.kind === 'command' ? { ...server, target: { ...target, headerToEnv: { 'x-key': 'KEY' } } } : server
  })
  const s = await secured({ trusted: [ann.did, bob.did], options: { ...options, servers: giving } })
  const headersOf = async (who: typeof ann): Promise<Readonly<Record<string, string>>> => bearer(await s.token(who, { form: { resource: s.base } }))
  const [ofAnn, ofBob] = [await headersOf(ann), await headersOf(bob)]
  const begin = async (name: string, headers: Readonly<Record<string, string>>): Promise<number> =>
    (await ask(new URL(`${s.base}/servers/${name}/mcp`), { headers, body: OPENING })).status
  expect(await begin('one', { ...ofAnn, 'x-key': 'a' })).toBe(200)
  expect(await begin('one', { ...ofAnn, 'x-key': 'b' })).toBe(200)
  expect(await begin('one', { ...ofAnn, 'x-key': 'c' })).toBe(503)
  expect(await begin('two', ofAnn)).toBe(503)
  expect(await begin('two', ofBob)).toBe(200)
  expect(await begin('one', ofBob)).toBe(200)
})
