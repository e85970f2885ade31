// Names, attacked by a restart: a node that listens on every address learns which ones are its own from those who call.
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { openNodeKeys } from '../../src/identity/key-store.ts'
import { createLog } from '../../src/observe/log.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { holder } from '../support/did.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

/** A token of this node from before it was started again. */
async function earlier(s: Secured, subject: string, base: string): Promise<string> {
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: s.now })
  const keys = await openNodeKeys(join(s.home, 'keys'), { now: s.now, log })
  onTestFinished(() => keys.close())
  const mint = createMint({ keys, lifeSeconds: 900, now: s.now })
  const grant = { issuer: base, subject, client: subject, resource: `${base}/mcp`, scopes: ['mcp'], act: [], jkt: undefined, origins: [], notAfter: Infinity }
  return (await mint(grant)).token
}

test('a token of before a restart is good for the first who comes, under whichever address', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did], listen: { host: '0.0.0.0' } })
  const base = `http://127.0.0.2:${s.url.port}`
  const token = await earlier(s, ann.did, base)
  expect((await ask(new URL(`${base}/mcp`), { headers: bearer(token), body: LIST })).status).toBe(200)
})

test('and to take it back is no empty word', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did], listen: { host: '0.0.0.0' } })
  const base = `http://127.0.0.2:${s.url.port}`
  const token = await earlier(s, ann.did, base)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const revoked = await ask(new URL(`${base}/revoke`), { method: 'POST', headers: form, body: new URLSearchParams({ token }).toString() })
  expect(revoked.status).toBe(200)
  await ask(new URL(`${base}/mcp`), { body: LIST })
  expect((await ask(new URL(`${base}/mcp`), { headers: bearer(token), body: LIST })).status).toBe(401)
})
