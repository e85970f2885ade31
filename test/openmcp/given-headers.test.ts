// `headerToEnv`: two who say different things never share a child, and nobody gets at what another said.
import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { Isolation } from '../../src/upstream/options.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { holder } from '../support/did.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { callMessage, INITIALIZED, initializeMessage, returned } from '../support/openmcp.ts'
import { gone } from '../support/processes.ts'
import { bearer, secured } from '../support/secured.ts'
import { ask, MODERN, modernAsked, open } from '../support/wire.ts'
import { child, running } from './stage.ts'

const SECRETS = ['hunter2-of-ann', 'hunter2-of-bob']

function taking(isolation: Isolation = 'session'): NamedServer {
  const { target, ...server } = child('git')
  if (target.kind !== 'command') throw new Error('it is a command')
  return { ...server, isolation, target: { ...target, env: { OWN: 'own' }, headerToEnv: { 'x-token': 'TOKEN', 'x-team': 'TEAM' } } }
}

type Headers = Readonly<Record<string, string>>

/** A session of 2025-11-25 with these headers on every request. */
async function sessionWith(url: URL, headers: Headers): Promise<{ id: string; call(name: string, more?: Headers): Promise<{ status: number; result: Json }> }> {
  const opened = await ask(url, { headers, body: initializeMessage(1) })
  const id = String(opened.headers['mcp-session-id'])
  await ask(url, { headers: { ...headers, 'mcp-session-id': id }, body: INITIALIZED })
  return {
    id,
    async call(name, more = headers) {
      const stream = await open(url, { headers: { ...more, 'mcp-session-id': id }, body: callMessage(7, name) })
      await stream.whole()
      return { status: stream.status, result: stream.status === 200 ? returned(jsonOf(stream.messages.find((message) => message['id'] === 7))) : {} }
    },
  }
}

test('a header becomes a variable of the child, beside what the operator has set, and nothing else does', async () => {
  const { at: path } = await running([taking()])
  const session = await sessionWith(path('/servers/git/mcp'), { 'X-Token': SECRETS[0] ?? '', 'x-other': 'no' })
  const { result } = await session.call('who')
  expect(result['env']).toEqual({ OWN: 'own', TOKEN: SECRETS[0] })
})

test('the session of one value is none for another, and no value for none', async () => {
  const { at: path } = await running([taking()])
  const session = await sessionWith(path('/servers/git/mcp'), { 'x-token': SECRETS[0] ?? '' })
  const other = ['x-token', SECRETS[1] ?? ''] as const
  for (const headers of [Object.fromEntries([other]), {}, { 'x-token': SECRETS[0] ?? '', 'x-team': 'a' }])
    expect((await session.call('who', headers)).status).toBe(404)
  expect((await session.call('who')).status).toBe(200)
})

test.each(['session', 'identity'] as const)('two values never share a child, with isolation %s', async (isolation) => {
  const { at: path } = await running([taking(isolation)])
  const url = path('/servers/git/mcp')
  const sessions = await Promise.all([...SECRETS, ...SECRETS].map((secret) => sessionWith(url, { 'x-token': secret })))
  const results = await Promise.all(sessions.map(async (session, index) => (await session.call('who', { 'x-token': SECRETS[index % 2] ?? '' })).result))
  expect(results.map(({ env }) => at(jsonOf(env), 'TOKEN'))).toEqual([...SECRETS, ...SECRETS])
  const pids = results.map(({ pid }) => pid)
  expect(new Set(pids).size).toBe(isolation === 'session' ? 4 : 2)
  expect(pids[0] === pids[2]).toBe(isolation === 'identity')
  expect(pids[0]).not.toBe(pids[1])
})

test('nor do requests without a session', async () => {
  const { at: path } = await running([taking()])
  const who = async (secret: string): Promise<Json> => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} }
    const stream = await open(path('/servers/git/mcp'), modernAsked(callMessage(1, 'who', {}, meta), { 'x-token': secret }))
    await stream.whole()
    return returned(jsonOf(stream.messages.find(({ id }) => id === 1)))
  }
  const [ann, bob, again] = [await who(SECRETS[0] ?? ''), await who(SECRETS[1] ?? ''), await who(SECRETS[0] ?? '')]
  expect([ann, bob, again].map(({ env }) => at(jsonOf(env), 'TOKEN'))).toEqual([SECRETS[0], SECRETS[1], SECRETS[0]])
  expect(ann['pid']).toBe(again['pid'])
  expect(ann['pid']).not.toBe(bob['pid'])
})

test.each(['session', 'identity'] as const)('nor do many who come, call and leave at once, with isolation %s', async (isolation) => {
  const { at: path } = await running([taking(isolation)], [], { limits: { ...DEFAULT_LIMITS, drainSeconds: 0, children: 100 } })
  const url = path('/servers/git/mcp')
  /** Which children have seen which value. */
  const seenBy = new Map<unknown, Set<string>>()
  const sees = (pid: unknown, secret: string): void => void seenBy.set(pid, (seenBy.get(pid) ?? new Set()).add(secret))
  const people = Array.from({ length: 24 }, (_, number) => ({ secret: SECRETS[number % 2] ?? '', other: SECRETS[(number + 1) % 2] ?? '' }))
  await Promise.all(
    people.map(async ({ secret, other }, number) => {
      const session = await sessionWith(url, { 'x-token': secret })
      for (let turn = 0; turn < 4; turn++) {
        const { result } = await session.call('who', { 'x-token': secret })
        expect(at(jsonOf(result['env']), 'TOKEN')).toBe(secret)
        sees(result['pid'], secret)
        // Whoever has the name of the session, and says something else, finds none.
        expect((await session.call('who', { 'x-token': other })).status).toBe(404)
      }
      if (number % 3 === 0) await ask(url, { method: 'DELETE', headers: { 'mcp-session-id': session.id, 'x-token': secret } })
    }),
  )
  expect([...seenBy.values()].every((secrets) => secrets.size === 1)).toBe(true)
  expect(seenBy.size).toBe(isolation === 'session' ? people.length : 2)
})

test('nor do requests to a server without sessions', async () => {
  const { at: path } = await running([{ ...taking(), stateless: true }])
  const who = async (secret: string): Promise<Json> => {
    const stream = await open(path('/servers/git/mcp'), { headers: { 'x-token': secret }, body: callMessage(7, 'who') })
    await stream.whole()
    return returned(jsonOf(stream.messages.find((message) => message['id'] === 7)))
  }
  const results = await Promise.all([...SECRETS, ...SECRETS, ...SECRETS].map(who))
  expect(results.map(({ env }) => at(jsonOf(env), 'TOKEN'))).toEqual([...SECRETS, ...SECRETS, ...SECRETS])
  expect(new Set(results.map(({ pid }) => pid)).size).toBe(2)
})

test('no child runs before somebody says something, and no value is ever logged', async () => {
  const log: string[] = []
  const { at: path, status } = await running([taking()], log)
  expect((await status())['upstreams']).toBe(0)
  expect(log.some((line) => line.includes('[git'))).toBe(false)
  const session = await sessionWith(path('/servers/git/mcp'), { 'x-token': SECRETS[0] ?? '' })
  await session.call('who')
  expect(log.join('')).not.toContain('hunter2')
})

test.each([
  ['too long', 'x'.repeat(8193)],
  ['not ASCII', 'caf\u00e9'],
  ['a function of an old shell', '() { :;}; echo x'],
])('a value that is %s is refused, and reaches no child', async (_what, value) => {
  const { at: path, status } = await running([taking()])
  expect((await ask(path('/servers/git/mcp'), { headers: { 'x-token': value }, body: initializeMessage(1) })).status).toBe(400)
  expect((await status())['upstreams']).toBe(0)
})

test('one for all is refused', async () => {
  const { at: path } = await running([taking('shared')])
  expect((await ask(path('/servers/git/mcp'), { headers: { 'x-token': 'a' }, body: initializeMessage(1) })).status).toBe(500)
})

test('a session ends with the token that it was opened with, though its owner is named otherwise', async () => {
  const people = await Promise.all([holder(), holder()])
  const s = await secured({ trusted: people.map(({ did }) => did), options: { servers: [taking()] } })
  const [ann, bob] = await Promise.all(
    people.map(async (person) => {
      const token = await s.token(person, { form: { resource: `${s.base}/servers/git/mcp` } })
      const session = await sessionWith(new URL(`${s.base}/servers/git/mcp`), { ...bearer(token), 'x-token': SECRETS[0] ?? '' })
      return { token, session, pid: Number((await session.call('who')).result['pid']) }
    }),
  )
  if (!ann || !bob) throw new Error('both are there')
  await s.post('/revoke', { token: bob.token })
  await gone(bob.pid)
  expect((await bob.session.call('who')).status).toBe(401)
  // The look that ended the one has gone over the other.
  expect((await ann.session.call('who')).result['pid']).toBe(ann.pid)
})

test.each(['authorization', 'X-API-Key', 'dpop'])(
  'where callers prove to us who they are with %s, no child gets it: not at the start, and not by a change',
  async (header) => {
    const person = await holder()
    const { target, ...server } = taking()
    if (target.kind !== 'command') throw new Error('it is a command')
    const wanting: NamedServer = { ...server, target: { ...target, headerToEnv: { [header]: 'TOKEN' } } }
    await expect(secured({ trusted: [person.did], options: { servers: [wanting] } })).rejects.toThrow(/the server git: headerToEnv takes .*prove to us/)
    const s = await secured({ trusted: [person.did] })
    await expect(s.apply([wanting])).rejects.toThrow(/the server git: headerToEnv takes .*prove to us/)
    const token = await s.token(person, { form: { resource: s.base } })
    expect((await ask(new URL(`${s.base}/servers/git/mcp`), { headers: bearer(token), body: initializeMessage(1) })).status).toBe(404)
  },
)
