// The keys of the node change, and nobody has to log in again.
import { decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'

import { holder, secondsNow } from '../support/did.ts'
import { isJson, type Json } from '../support/json.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, open } from '../support/wire.ts'
import { nodeSigner } from '../security/node-signer.ts'

/** Both documents name the same keys: they are asked one after the other, and a change may come in between. */
function kidsOf(s: Secured): Promise<string[]> {
  return until('the same keys in both documents', async () => {
    const [jwks, document] = await Promise.all(['/jwks', '/.well-known/did.json'].map(async (path) => (await ask(new URL(path, s.base))).json))
    const keys: unknown[] = Array.isArray(jwks?.['keys']) ? jwks['keys'] : []
    const methods: unknown[] = Array.isArray(document?.['verificationMethod']) ? document['verificationMethod'] : []
    const kids = keys.filter(isJson).map(({ kid }) => String(kid))
    return (
      methods
        .filter(isJson)
        .map(({ id }) => String(id).split('#')[1])
        .join() === kids.join() && kids
    )
  })
}

async function statusWith(s: Secured, token: string): Promise<number> {
  return (await ask(s.url, { method: 'PUT', headers: bearer(token) })).status
}

const later = (seconds: number): Json => ({ iat: secondsNow() + seconds, exp: secondsNow() + seconds + 60 })

test('a key is published before it signs, and after it did for as long as its tokens live', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const node = await nodeSigner(s)
  const [first = ''] = await kidsOf(s)
  const old = await s.token(ann)
  expect(decodeProtectedHeader(old).kid).toBe(first)
  // By another process on the same directory.
  await node.keys.rotate({ leadSeconds: 600 })
  const second = await until('the next key to be published', async () => (await kidsOf(s)).find((kid) => kid !== first))
  expect(decodeProtectedHeader(await s.token(ann)).kid).toBe(first)
  s.pass(601)
  const fresh = await s.token(ann, { claims: later(601) })
  expect(decodeProtectedHeader(fresh).kid).toBe(second)
  expect((await kidsOf(s)).toSorted()).toEqual([first, second].toSorted())
  expect([await statusWith(s, old), await statusWith(s, fresh)]).toEqual([405, 405])
  s.pass(300)
  expect([await statusWith(s, old), await statusWith(s, fresh)]).toEqual([401, 405])
  s.pass(900)
  expect(await until('the old key to be gone', async () => (await kidsOf(s)).join() === second)).toBe(true)
})

test('a key that leaked is dropped, with every token it signed and what they hold open', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const node = await nodeSigner(s)
  const [seen, unseen] = [await s.token(ann), await node.token(ann.did)]
  const stream = await open(s.url, { headers: { ...bearer(seen), accept: 'text/event-stream' } })
  expect(await statusWith(s, seen)).toBe(405)
  await node.keys.rotate({ leadSeconds: 0, dropOld: true })
  await until('the end of the stream', () => stream.over)
  expect([await statusWith(s, seen), await statusWith(s, unseen)]).toEqual([401, 401])
  const fresh = await until('a token of the new key', async () => {
    const token = await s.token(ann)
    return decodeProtectedHeader(token).kid !== decodeProtectedHeader(seen).kid && token
  })
  expect(await statusWith(s, fresh)).toBe(405)
})
