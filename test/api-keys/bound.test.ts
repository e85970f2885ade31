// Where tokens must be bound to a key of the caller (`--dpop required` or `nonce`), an API key is one that whoever finds it can use.
import { rm, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { initializeMessage } from '../support/openmcp.ts'
import { proofKey } from '../support/did.ts'
import { bearer, secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { act, keyOf, keyProver } from './stage.ts'

test.each(['required', 'nonce'] as const)('with --dpop %s no key is made or rotated, and those that are there let nobody in', async (dpop) => {
  const home = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const security = { keys: join(home, 'keys'), store: `file:${join(home, 'store.db')}` }
  const who = keyProver()
  const before = await secured({ trusted: [who.did], security })
  const { secret, id } = await keyOf(before, who)
  await before.stop()

  const stage = await secured({ trusted: [who.did], security: { ...security, dpop } })
  for (const path of ['/gen-api-key', '/rotate-api-key']) {
    const { status, json } = await act(stage, who, path)
    expect({ status, json }).toEqual({ status: 404, json: { error: 'no_keys_here', error_description: expect.stringContaining('DPoP') } })
  }
  const key = await proofKey()
  const proof = await key.proof({ method: 'POST', url: stage.url.href, token: secret })
  for (const headers of [bearer(secret), { 'x-api-key': secret }, { authorization: `DPoP ${secret}`, dpop: proof }]) {
    const { status, headers: answered } = await ask(stage.url, { headers, body: initializeMessage(1) })
    expect([status, answered['www-authenticate']]).toEqual([401, expect.stringContaining('error="invalid_token"')])
  }
  expect(stage.reached()).toEqual([])
  // Whoever has keys from before sees and revokes them.
  expect((await act(stage, who, '/get-api-key')).json['keys']).toEqual([expect.objectContaining({ id })])
  expect((await act(stage, who, '/revoke-api-key')).json).toMatchObject({ revoked: id, keys: [] })
})
