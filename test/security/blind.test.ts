// A store that cannot be read hides what others took back: for half a minute what was known holds, and then nobody is let in.
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql'
import { onTestFinished, test, expect, vi } from 'vitest'

import { addTrust } from '../../src/policy/rules.ts'
import { holder } from '../support/did.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, open } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

/** Moves the clock that nobody sets. */
function skip(seconds: number): void {
  const real = performance.now.bind(performance)
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => real() + seconds * 1000)
  onTestFinished(() => spy.mockRestore())
}

async function statusWith(s: Secured, headers: Readonly<Record<string, string>>): Promise<number> {
  return (await ask(s.url, { headers, body: LIST })).status
}

test('a store that is away for long lets no token in, until it is back', async () => {
  const ann = await holder()
  const key = { 'x-api-key': 'k'.repeat(32) }
  const s = await secured({ durable: true, trusted: [ann.did], security: { apiKeys: [key['x-api-key']] } })
  const token = bearer(await s.token(ann))
  const away = join(s.home, 'away.db')
  await rename(join(s.home, 'store.db'), away)
  expect(await statusWith(s, token)).toBe(200)
  skip(31)
  s.reached()
  const refused = await ask(s.url, { headers: token, body: LIST })
  expect([refused.status, refused.headers['retry-after'], refused.json['error']]).toEqual([503, '5', expect.objectContaining({ code: -32603 })])
  expect(await statusWith(s, bearer('garbage'))).toBe(503)
  expect(s.reached()).toEqual([])
  // Whoever shows nothing hears the same as ever, and a key of the operator cannot be taken back.
  expect(await statusWith(s, {})).toBe(401)
  expect(await statusWith(s, key)).toBe(200)
  await rename(away, join(s.home, 'store.db'))
  await until('the store to be read again', async () => (await statusWith(s, token)) === 200)
})

test('a store that says that there is news, and not which, is as good as away', async () => {
  const [ann, bob] = [await holder(), await holder()]
  const s = await secured({ durable: true, trusted: [ann.did, bob.did], security: { tokenSeconds: 600 } })
  const [token, others] = [bearer(await s.token(ann)), bearer(await s.token(bob))]
  const database = new Database(join(s.home, 'store.db'))
  onTestFinished(() => void database.close())
  const store = await s.otherProcess()
  database.exec('ALTER TABLE revoked RENAME TO lost')
  await addTrust(store, { id: 'did:web:other.example' })
  await until('the failure to be told', () => s.log.some((line) => line.includes('cannot be followed')))
  const stream = await open(s.url, { headers: { ...others, accept: 'text/event-stream' } })
  skip(31)
  // The end of a stream is the clock here: by then the store was asked again.
  s.pass(300)
  const isBlind = async (): Promise<boolean> => (await statusWith(s, token)) === 503
  expect(await isBlind()).toBe(true)
  s.pass(301)
  await until('the end of the stream', () => stream.over)
  expect(await isBlind()).toBe(true)
  database.exec('ALTER TABLE lost RENAME TO revoked')
  await until('the news to be read', async () => !(await isBlind()))
})
