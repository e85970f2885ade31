// The issuer, attacked: what was taken back returns, strangers fill the store and make us fetch, links that outlive their reason.
import { expect, test } from 'vitest'

import { createResolver } from '../../src/identity/resolver.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { createStrangers } from '../../src/oauth/strangers.ts'
import { createLog } from '../../src/observe/log.ts'
import { addTrust } from '../../src/policy/rules.ts'
import { createDpop } from '../../src/tokens/dpop.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, nodeKey, proofKey, type Signer } from '../support/did.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, type Answer } from '../support/wire.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

async function clientForm(s: Secured, who: Pick<Signer, 'did' | 'sign'>): Promise<Record<string, string>> {
  return { client_assertion_type: CLIENT_ASSERTION, client_assertion: await who.sign(assertionClaims(who.did, s.base)) }
}

async function enrolled(s: Secured, who: Pick<Signer, 'did' | 'sign'>, link: string): Promise<Answer> {
  const enrolment = new URLSearchParams(new URL(link).hash.slice(1)).get('enrol') ?? ''
  return s.post('/token', { grant_type: JWT_BEARER, assertion: await who.sign(assertionClaims(who.did, s.base)), enrolment })
}

test("what was made with an actor's token does not come back when that token would have ended", async () => {
  const [ann, bot] = [await holder(), await holder()]
  const s = await secured({ trusted: [ann.did, bot.did] })
  const actor = await s.token(bot)
  s.pass(600)
  const subject = await s.token(ann, { claims: { iat: undefined, exp: Math.floor(s.now() / 1000) + 120 } })
  const types = { subject_token_type: ACCESS_TOKEN, actor_token_type: ACCESS_TOKEN }
  const { json } = await s.post('/token', { grant_type: EXCHANGE, subject_token: subject, actor_token: actor, ...types })
  const delegated = String(json['access_token'])
  const statusOf = async (token: string): Promise<number> => (await ask(s.url, { headers: bearer(token), body: LIST })).status
  expect(await statusOf(delegated)).toBe(200)
  await s.post('/revoke', { token: actor })
  expect(await statusOf(delegated)).toBe(401)
  s.pass(350)
  // Any change has the list of what was taken back read anew: what has ended is not in it.
  const other = await s.token(ann, { claims: { iat: undefined, exp: Math.floor(s.now() / 1000) + 120 } })
  await s.post('/revoke', { token: other })
  await until('the news', async () => (await statusOf(other)) === 401)
  for (let looks = 0; looks < 50; looks++) expect(await statusOf(delegated)).toBe(401)
})

test.each(['/introspect', '/revoke'])('a stranger writes nothing into the store at %s', async (path) => {
  const [ann, stranger] = [await holder(), await holder()]
  const s = await secured({ durable: true, trusted: [ann.did] })
  const store = await s.otherProcess()
  const token = await s.token(ann)
  const before = await store.list('replay')
  for (let round = 0; round < 3; round++) {
    const { status } = await s.post(path, { token, ...(await clientForm(s, stranger)) })
    expect(status).toBe(401)
  }
  expect(await store.list('replay')).toEqual(before)
  const again = { token, ...(await clientForm(s, ann)) }
  expect((await s.post('/introspect', again)).json['active']).toBe(true)
  expect((await s.post('/introspect', again)).status).toBe(401)
})

test('a link that was not redeemed lets nobody in any more once somebody is trusted', async () => {
  const [ann, thief] = [await holder(), await holder()]
  const s = await secured({ durable: true })
  const store = await s.otherProcess()
  await addTrust(store, { id: ann.did })
  await until('trust', () => s.token(ann).catch(() => undefined))
  expect((await enrolled(s, thief, String(s.enrolment))).json['error']).toBe('invalid_grant')
})

test('without a link that could be redeemed no stranger has a document fetched', async () => {
  const hosted = await forThisTest(didHost())
  const stranger = hosted.identity('stranger')
  const assertion = (s: Secured): Promise<Answer> =>
    stranger.sign(assertionClaims(stranger.did, s.base)).then((signed) => s.post('/token', { grant_type: JWT_BEARER, assertion: signed }))
  const withKeys = await secured({ security: { apiKeys: ['0f9d3c1e7a5b8246d1f0c3b7e9a82465'] } })
  expect((await assertion(withKeys)).json['error']).toBe('invalid_grant')
  const late = await secured()
  late.pass(15 * 60 + 1)
  const signed = await stranger.sign(assertionClaims(stranger.did, late.base, { iat: undefined, exp: Math.floor(late.now() / 1000) + 120 }))
  expect((await late.post('/token', { grant_type: JWT_BEARER, assertion: signed })).json['error']).toBe('invalid_grant')
  expect(hosted.asked).toEqual([])
})

test('a command in the log can be pasted, whatever an issuer calls its people', () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', write: (line) => lines.push(line), now: Date.now })
  const { untrusted } = createStrangers({ log, now: Date.now })
  untrusted("https://login.example.com|$(id)`id`;id 'id")
  expect(JSON.parse(lines[0] ?? '')['hint']).toBe(`openmcp trust add 'https://login.example.com|$(id)\`id\`;id '\\''id'`)
})

test.each(['its own time', 'a nonce of ours'])('a DPoP proof with %s is remembered for as long as it is taken, to the last moment', async (by) => {
  let now = 1_800_000_000_000
  const dpop = createDpop({ sealing: () => [new Uint8Array(32)], needsNonce: false, now: () => now })
  const request = { method: 'POST', url: 'http://127.0.0.1/token' }
  const proof = await (await proofKey()).proof(request, by === 'its own time' ? { iat: now / 1000 + 60 } : { nonce: dpop.nonce() })
  const first = await dpop.check({ proof, ...request })
  expect(first).toMatchObject({ expiresAtMs: expect.any(Number) })
  now = 'rejected' in first ? 0 : first.expiresAtMs
  expect(await dpop.check({ proof, ...request })).toHaveProperty('rejected')
})

test('a DID that carries its keys has few of them: each costs us a millisecond, and strangers may show as many DIDs as they like', async () => {
  const resolver = createResolver({ fetch: () => Promise.reject(new Error('nothing is fetched')), now: Date.now })
  const stateOf = async (did: string): Promise<string> => (await resolver.resolve(parseVid(did))).state
  const keys = Array.from({ length: 9 }, () => nodeKey('EdDSA').multibase)
  expect(await stateOf(`did:peer:2${keys.map((key) => `.V${key}`).join('')}`)).toBe('invalid')
  expect(
    await stateOf(
      `did:peer:2${keys
        .slice(0, 4)
        .map((key) => `.V${key}`)
        .join('')}.E${keys[5]}`,
    ),
  ).toBe('found')
})

test('what was signed to live long does not become good when little of its life is left', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const seconds = Math.floor(s.now() / 1000)
  const old = { iat: seconds - 86_400, exp: seconds + 100 }
  await expect(s.token(ann, { claims: old })).rejects.toThrow('invalid_grant')
  const statusOf = async (times: object): Promise<number> =>
    (await ask(s.url, { headers: bearer(await ann.sign({ iss: ann.did, sub: ann.did, aud: s.url.href, ...times })), body: LIST })).status
  expect(await statusOf(old)).toBe(401)
  expect(await statusOf({ iat: seconds - 3500, exp: seconds + 100 })).toBe(200)
})

test('names that nobody proved do not keep from the log those that were proved', async () => {
  const stranger = await holder()
  const s = await secured({ trusted: [(await holder()).did] })
  for (let count = 0; count < 12; count++) {
    const did = `did:web:example.com:${count}`
    await s.post('/token', { grant_type: JWT_BEARER, assertion: await stranger.sign(assertionClaims(did, s.base)) })
  }
  await s.token(stranger).catch(() => {})
  expect(s.log.filter((line) => line.includes(`openmcp trust add ${stranger.did}`))).toHaveLength(1)
})
