// A configuration that says something else of whom to trust, while openmcp runs.
import { expect, test } from 'vitest'

import { assertionClaims, holder, nodeKey, secondsNow, signerOf } from '../support/did.ts'
import { addTrust } from '../../src/policy/rules.ts'
import { bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { ask, open, type Stream } from '../support/wire.ts'

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const NOBODY = { identities: [], issuers: [], selfIssued: true }

async function streamOf(s: Secured, token: string): Promise<Stream> {
  const headers = { ...bearer(token), accept: 'text/event-stream' }
  return open(s.url, { headers: { ...headers, 'mcp-session-id': await sessionWith(s, bearer(token)) } })
}

const statusOf = async (s: Secured, token: string): Promise<number> => (await ask(s.url, { headers: bearer(token), body: LIST })).status

test('whoever is not in it any more is out at once, with what is open; others stay, and others come in', async () => {
  const [ann, bob, eve] = [await holder(), await holder(), await holder()]
  const s = await secured({ trusted: [ann.did, bob.did] })
  const tokens = { ann: await s.token(ann), bob: await s.token(bob) }
  const streams = { ann: await streamOf(s, tokens.ann), bob: await streamOf(s, tokens.bob) }
  await expect(s.token(eve)).rejects.toThrow('no token')
  await s.configure({ ...NOBODY, identities: [{ id: bob.did }, { id: eve.did }] })
  await until('the end of the stream', () => streams.ann.over)
  s.reached()
  expect(await statusOf(s, tokens.ann)).toBe(401)
  // Its session upstream is ended meanwhile, by a DELETE.
  expect(s.reached().filter(({ method }) => method === 'POST')).toEqual([])
  await expect(s.token(ann)).rejects.toThrow('no token')
  expect(await statusOf(s, tokens.bob)).toBe(200)
  expect(streams.bob.over).toBeUndefined()
  expect(await statusOf(s, await s.token(eve))).toBe(200)
})

test('a rule that was narrowed counts for the next call', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const token = await s.token(ann)
  const listed = async (): Promise<string> => (await ask(s.url, { headers: bearer(token), body: LIST })).text
  expect(await listed()).toContain('secret')
  await s.configure({ ...NOBODY, identities: [{ id: ann.did, tools: ['echo'] }] })
  expect(await listed()).not.toContain('secret')
})

test('what is stored counts beside it as before', async () => {
  const [ann, bob] = [await holder(), await holder()]
  const s = await secured({ durable: true, trusted: [bob.did] })
  await addTrust(await s.otherProcess(), { id: ann.did })
  const token = await until('trust to be heard of', () => s.token(ann).catch(() => undefined))
  await s.configure(NOBODY)
  expect(await statusOf(s, token)).toBe(200)
  await expect(s.token(bob)).rejects.toThrow('no token')
})

test('an issuer that is not in it any more lets nobody in, and what its people have open ends', async () => {
  const [issuer, audience] = ['https://platform.example', 'https://api.example']
  const key = nodeKey('ES256')
  const jwks = { keys: [{ ...key.publicJwk, kid: 'one', alg: 'ES256' as const }] }
  const { sign } = signerOf(issuer, 'one', key)
  const identities = [{ id: `${issuer}|ann` }]
  const s = await secured({ trusted: identities, trust: { issuers: [{ issuer, jwks, audience }] } })
  const token = await sign({ iss: issuer, sub: 'ann', aud: audience, iat: secondsNow(), exp: secondsNow() + 600 })
  const stream = await streamOf(s, token)
  await s.configure({ ...NOBODY, identities })
  await until('the end of the stream', () => stream.over)
  expect(await statusOf(s, token)).toBe(401)
  await s.configure({ ...NOBODY, identities, issuers: [{ issuer, jwks, audience }] })
  expect(await statusOf(s, token)).toBe(200)
})

test('tokens that identities sign themselves are taken no more when it says so', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const token = await ann.sign(assertionClaims(ann.did, s.url.href))
  expect(await statusOf(s, token)).toBe(200)
  await s.configure({ ...NOBODY, identities: [{ id: ann.did }], selfIssued: false })
  expect(await statusOf(s, token)).toBe(401)
  expect(await statusOf(s, await s.token(ann))).toBe(200)
})
