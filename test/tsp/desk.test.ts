// A token by TSP: two endpoints, and behind the second the node's own trust, challenges, replay memory and keys.
import { decodeJwt } from 'jose'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { openNodeKeys } from '../../src/identity/key-store.ts'
import type { NodeKeys } from '../../src/identity/shapes.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { createAdmit } from '../../src/oauth/admit.ts'
import { createTspDesk, type TspDesk, type TspDeskOptions } from '../../src/oauth/tsp-desk.ts'
import { createLog } from '../../src/observe/log.ts'
import { createTrust } from '../../src/policy/trust.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createChallenges } from '../../src/tokens/challenge.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createReplay } from '../../src/tokens/replay.ts'
import { isObject, type JsonObject } from '../../src/protocol/message.ts'
import { until } from '../support/until.ts'
import { network } from './network.ts'

const BASE = 'https://node.example'
const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
const JKT = 'A'.repeat(43)
const NONCE = 'n'.repeat(22)
const ANN = parseVid('did:web:ann.example')
const ask = { type: 'openmcp/token-ask', jkt: JKT, nonce: NONCE }

describe('a related VID', () => {
  test('gets a token for a challenge, bound to its key and to the relationship', async () => {
    const { say, vid } = await node()
    const { challenge, nonce } = await say(ask)
    expect(nonce).toBe(NONCE)
    const given = await say({ ...ask, challenge })
    expect(given).toMatchObject({ type: 'openmcp/token', token_type: 'DPoP', scope: 'mcp', nonce: NONCE })
    expect(decodeJwt(String(given['access_token']))).toMatchObject({ sub: vid, aud: `${BASE}/mcp`, cnf: { jkt: JKT }, origins: ['tsp:this one'] })
  })

  test('gets nothing for a challenge that was used', async () => {
    const { say } = await node()
    const { challenge } = await say(ask)
    await say({ ...ask, challenge })
    expect(await say({ ...ask, challenge, again: true })).toMatchObject({ type: 'openmcp/token-refused', error: 'invalid_grant' })
  })

  test.each<[string, object]>([
    ['another key', { jkt: 'B'.repeat(43) }],
    ['another ask', { nonce: 'm'.repeat(22) }],
    ['another scope', { scope: 'mcp:tools' }],
    ['another resource', { resource: `${BASE}/sse` }],
    ['no challenge of ours', { challenge: 'give me a token' }],
  ])('gets nothing for the challenge of %s', async (_what, changes) => {
    const { say } = await node()
    const { challenge } = await say(ask)
    expect(await say({ ...ask, challenge, ...changes })).toMatchObject({ error: 'invalid_grant' })
  })

  test('gets nothing for what is not served here', async () => {
    const { say } = await node()
    expect(await say({ ...ask, resource: 'https://other.example/mcp' })).toMatchObject({ error: 'invalid_target' })
  })

  test('that is not trusted any more gets nothing', async () => {
    const { say, trust } = await node()
    const { challenge } = await say(ask)
    trust.now = false
    expect(await say({ ...ask, challenge })).toMatchObject({ error: 'invalid_grant' })
  })
})

describe('what is no ask', () => {
  test.each<[string, string]>([
    ['JSON-RPC', '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
    ['JSON-RPC that speaks of one', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"openmcp/token-ask"}}'],
    ['an answer of ours', '{"type":"openmcp/token-challenge","nonce":"openmcp/token-ask"}'],
    ['no JSON', '"openmcp/token-ask'],
    ['a list', '["openmcp/token-ask"]'],
    ['more than an ask may hold', JSON.stringify({ ...ask, padding: 'x'.repeat(16 * 1024) })],
  ])('is left to others: %s', async (_what, text) => {
    const { desk, answers } = await quietDesk()
    expect(desk(asking(text))).toBe(false)
    expect(answers).toEqual([])
  })

  test.each<[string, object]>([
    ['no key', { jkt: undefined }],
    ['a key that is no thumbprint', { jkt: 'key' }],
    ['a nonce that is too short', { nonce: 'n' }],
    ['a scope that would write lines of its own', { scope: 'mcp\nNonce: 1' }],
    ['a resource that is no text', { resource: ['a'] }],
    ['a challenge that is no text', { challenge: 1 }],
  ])('and what asks with %s hears nothing', async (_what, changes) => {
    const { desk, answers } = await quietDesk()
    expect(desk(asking(JSON.stringify({ ...ask, ...changes })))).toBe(true)
    expect(desk(asking(JSON.stringify(ask)))).toBe(true)
    await until('an answer to the other', () => answers.length > 0)
    expect(answers).toMatchObject([{ type: 'openmcp/token-challenge', nonce: NONCE }])
  })
})

describe('a desk', () => {
  test('gives nothing while nobody could call', async () => {
    const { desk, answers } = await quietDesk({ base: () => undefined })
    desk(asking(JSON.stringify(ask)))
    await until('an answer', () => answers.length > 0)
    expect(answers).toMatchObject([{ error: 'temporarily_unavailable' }])
  })

  test('works for one VID on no more asks at once than it may, and goes on when one is answered', async () => {
    let go = (): void => {}
    const answered: unknown[] = []
    const { desk } = await quietDesk({
      answer: (_to, data) =>
        new Promise((resolve) => {
          answered.push(JSON.parse(data.toString()))
          go = resolve
        }),
    })
    let asks = 0
    const another = (): boolean => desk(asking(JSON.stringify({ ...ask, nonce: `${NONCE}${++asks}` })))
    for (let count = 0; count < 10; count++) another()
    await until('four', () => answered.length === 4)
    go()
    await until('a fifth', () => another() && answered.length === 5)
    for (let count = 0; count < 10; count++) another()
    await new Promise(setImmediate)
    expect(answered.length).toBe(5)
  })

  test('knows an ask that was recorded: it is not answered, and uses up nothing', async () => {
    const { desk, answers } = await quietDesk()
    for (let count = 0; count < 200; count++) expect(desk(asking(JSON.stringify(ask)))).toBe(true)
    await until('the one answer', () => answers.length === 1)
    desk(asking(JSON.stringify({ ...ask, nonce: 'm'.repeat(22) })))
    await until('the other', () => answers.length === 2)
    expect(answers).toMatchObject([NONCE, 'm'.repeat(22)].map((nonce) => ({ type: 'openmcp/token-challenge', nonce })))
  })

  test('goes on when an answer cannot be carried', async () => {
    const { desk, lines } = await quietDesk({ answer: () => Promise.reject(new OpenMcpError('upstream_unreachable', 'nobody is there')) })
    for (let count = 0; count < 8; count++) {
      desk(asking(JSON.stringify({ ...ask, nonce: `${NONCE}${count}` })))
      await until('the words', () => lines.filter((line) => line.includes('was not answered')).length === count + 1)
    }
    expect(lines.at(-1)).toMatch(/who asked for a token by TSP was not answered .*why="nobody is there"/)
  })
})

function asking(text: string): Parameters<TspDesk>[0] {
  return { from: ANN, data: Buffer.from(text), relationship: { origin: 'tsp:this one', untilMs: Infinity } }
}

/** A desk that is asked without a network. */
async function quietDesk(options: Partial<TspDeskOptions> = {}): Promise<{ desk: TspDesk; answers: unknown[]; lines: string[] }> {
  const { keys } = await ground()
  const [answers, lines]: [unknown[], string[]] = [[], []]
  const desk = createTspDesk({
    challenges: createChallenges({ sealing: () => keys.sealing(), now: Date.now }),
    admit: async () => 'untrusted',
    mint: createMint({ keys, lifeSeconds: 900, now: Date.now }),
    base: () => BASE,
    resourceOf: (asked) => asked,
    answer: async (_to, data) => void answers.push(JSON.parse(data.toString())),
    log: createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now: Date.now }),
    now: Date.now,
    ...options,
  })
  return { desk, answers, lines }
}

async function ground(): Promise<{ keys: NodeKeys }> {
  const dir = await mkdtemp(join(tmpdir(), 'openmcp-tsp-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const keys = await openNodeKeys(dir, { now: Date.now, log })
  onTestFinished(() => keys.close())
  return { keys }
}

interface Asking {
  say(message: object): Promise<JsonObject>
  readonly vid: Vid
  readonly trust: { now: boolean }
}

async function node(): Promise<Asking> {
  const { keys } = await ground()
  const store = createMemoryStore({ now: Date.now })
  const trust = await createTrust({ store, configured: [{ id: 'did:peer:*' }], now: Date.now, log })
  const state = { now: true }
  const admit = createAdmit({
    standingOf: (identities) => (state.now ? trust.standingOf(identities) : undefined),
    replay: createReplay(store),
    firstTrust: { isOpen: async () => false, redeem: async () => false },
    strangers: { untrusted: () => {} },
    log,
  })
  const desk: TspDesk = createTspDesk({
    challenges: createChallenges({ sealing: () => keys.sealing(), now: Date.now }),
    admit,
    mint: createMint({ keys, lifeSeconds: 900, now: Date.now }),
    base: () => BASE,
    resourceOf: (asked) => (asked.startsWith(`${BASE}/`) ? asked : undefined),
    answer: (to, data) => server.endpoint.send(to, data),
    log,
    now: Date.now,
  })
  const add = network()
  const server = add('server', {
    hear({ from, data }) {
      desk({ from, data, relationship: { origin: 'tsp:this one', untilMs: Infinity } })
    },
  })
  const client = add('client')
  await client.endpoint.invite(server.long)
  await until('the relationship', () => client.states.includes('formed'))
  return {
    vid: client.vid,
    trust: state,
    async say(message) {
      const before = client.heard.length
      await client.endpoint.send(server.vid, Buffer.from(JSON.stringify(message)))
      await until('an answer', () => client.heard.length > before)
      const answer: unknown = JSON.parse(client.heard.at(-1)?.[1] ?? '')
      return isObject(answer) ? answer : {}
    },
  }
}
