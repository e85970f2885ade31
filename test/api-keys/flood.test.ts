// What somebody can make us do who proves nothing.
import { expect, test } from 'vitest'

import { holder } from '../support/did.ts'
import { bearer, secured } from '../support/secured.ts'
import { testWallet } from '../support/wallet.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { ask } from '../support/wire.ts'
import { act, challengeFor, keyOf, lookup, postJson, walletProver } from './stage.ts'

/** Of src/security.ts. */
const MOST_A_MINUTE = 60

test('proofs that prove nothing are looked at sixty times a minute, then not at all', async () => {
  const who = walletProver(testWallet())
  const stage = await secured({ trusted: [who.did], durable: true })
  const message = await challengeFor(stage, who.asked)
  const forged = { ...who.asked, message, signature: walletProver(testWallet()).sign(message) }
  const paths = ['/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key']
  const first = await Promise.all(Array.from({ length: MOST_A_MINUTE }, (_, index) => postJson(stage, paths[index % paths.length] ?? '', forged)))
  expect(new Set(first.map(({ status }) => status))).toEqual(new Set([401]))
  // However slow this is, nothing is given back meanwhile.
  stage.pass(-60)
  const store = await stage.otherProcess()
  for (const path of paths) {
    // A good one waits as well: whether it is good is what costs.
    const { status, headers, json } = await postJson(stage, path, { ...forged, signature: who.sign(message) })
    expect({ status, json }).toEqual({ status: 429, json: { error: 'too_many_requests', error_description: expect.any(String) } })
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  }
  for (const table of ['replay', 'api_keys', 'api_key_slots'] as const) expect(await store.list(table)).toEqual([])
  stage.pass(122)
  expect((await act(stage, who, '/get-api-key')).status).toBe(200)
})

test('whoever proves who they are is not counted', async () => {
  const who = walletProver(testWallet())
  const stage = await secured({ trusted: [who.did] })
  for (let times = 0; times < MOST_A_MINUTE + 5; times++) expect((await act(stage, who, '/get-api-key')).status).toBe(200)
})

test('a flood of proofs keeps nobody from calling with a key, from a challenge, nor a server from asking whose a key is', async () => {
  const [who, server] = [walletProver(testWallet()), await holder()]
  const stage = await secured({ trusted: [who.did, { id: server.did, scopes: ['introspect'] }] })
  const { secret } = await keyOf(stage, who)
  await Promise.all(Array.from({ length: MOST_A_MINUTE + 1 }, () => postJson(stage, '/get-api-key', who.asked)))
  stage.pass(-60)
  expect((await postJson(stage, '/get-api-key', who.asked)).status).toBe(429)
  stage.pass(60)
  expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
  expect((await postJson(stage, '/challenge', who.asked)).status).toBe(200)
  expect((await lookup(stage, secret, server)).status).toBe(200)
})
