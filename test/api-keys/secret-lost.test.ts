// What keys are hashed under is a file: without it every key would be void, and nobody would know why.
import { mkdtemp, readdir, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { act, keyOf, keyProver } from './stage.ts'

const SECRET = 'api-keys-1.json'

async function home(): Promise<{ keys: string; store: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return { keys: join(directory, 'keys'), store: `file:${join(directory, 'store.db')}` }
}

async function statusOf({ url }: Secured, secret: string): Promise<number> {
  return (await ask(url, { headers: bearer(secret), body: initializeMessage(1) })).status
}

test('while there are keys, a node without it does not start, and says what to do', async () => {
  const [security, who] = [await home(), keyProver()]
  const before = await secured({ trusted: [who.did], security })
  await keyOf(before, who)
  await before.stop()
  await unlink(join(security.keys, SECRET))
  for (let starts = 0; starts < 2; starts++) {
    await expect(secured({ trusted: [who.did], security })).rejects.toMatchObject({ code: 'keys_unsafe', hint: expect.stringContaining('from a copy') })
  }
})

test('once the keys that it voids are revoked, a node starts and makes others', async () => {
  const [security, who] = [await home(), keyProver()]
  const before = await secured({ trusted: [who.did], security })
  const { secret, id } = await keyOf(before, who)
  await act(before, who, '/revoke-api-key', { key_id: id })
  await before.stop()
  await unlink(join(security.keys, SECRET))
  const after = await secured({ trusted: [who.did], security })
  const fresh = await keyOf(after, who)
  expect([await statusOf(after, secret), await statusOf(after, fresh.secret)]).toEqual([401, 200])
  await after.stop()
  expect(await statusOf(await secured({ trusted: [who.did], security }), fresh.secret)).toBe(200)
})

test('a directory of keys from before there were API keys gets it', async () => {
  const [security, who] = [await home(), keyProver()]
  await (await secured({ security })).stop()
  await unlink(join(security.keys, SECRET))
  const { secret } = await keyOf(await secured({ trusted: [who.did], security }), who)
  expect(secret).toMatch(/^sk_/)
  expect(await readdir(security.keys)).toContain(SECRET)
})

test('a second node on the same store with another secret makes no keys that the first could not take', async () => {
  const [one, other, who] = [await home(), await home(), keyProver()]
  const [first, second] = [await secured({ trusted: [who.did], security: one }), await secured({ trusted: [who.did], security: { ...one, keys: other.keys } })]
  const { secret } = await keyOf(first, who)
  const { status, json } = await act(second, who, '/gen-api-key')
  expect({ status, json }).toMatchObject({ status: 503, json: { error: 'temporarily_unavailable' } })
  expect(second.log.join('')).toContain('hashed under a secret')
  expect([await statusOf(first, secret), await statusOf(second, secret)]).toEqual([200, 401])
})
