// A token by TSP: two endpoints, and behind the second the node's own trust, challenges, replay memory and keys.
import { decodeJwt } from 'jose'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { openNodeKeys } from '../../src/identity/key-store.ts'
import type { Vid } from '../../src/identity/vid.ts'
import { createAdmit } from '../../src/oauth/admit.ts'
import { createTspDesk, type TspDesk } from '../../src/oauth/tsp-desk.ts'
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
    expect(await say({ ...ask, challenge })).toMatchObject({ type: 'openmcp/token-refused', error: 'invalid_grant' })
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

interface Asking {
  say(message: object): Promise<JsonObject>
  readonly vid: Vid
  readonly trust: { now: boolean }
}

async function node(): Promise<Asking> {
  const dir = await mkdtemp(join(tmpdir(), 'openmcp-tsp-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const store = createMemoryStore({ now: Date.now })
  const keys = await openNodeKeys(dir, { now: Date.now, log })
  onTestFinished(() => keys.close())
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
