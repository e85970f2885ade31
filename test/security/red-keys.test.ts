// API keys, attacked: strangers who fill the store, keys that outlive what they stand for, keys where tokens belong, and key servers that lie.
import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createKeyRing } from '../../src/api-keys/key-ring.ts'
import { openNodeKeys } from '../../src/identity/key-store.ts'
import { createIdentity, openIdentity } from '../../src/identity/own-identities.ts'
import { createLog } from '../../src/observe/log.ts'
import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import type { Store } from '../../src/store/shapes.ts'
import { act, challengeFor, keyOf, keyProver, lookup, postJson, walletProver, type Prover } from '../api-keys/stage.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder } from '../support/did.ts'
import { at } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { json, upstream } from '../support/upstream.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, open } from '../support/wire.ts'
import { quick } from './quick.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
/** As long as the secret of a link is, and none. */
const NO_LINK = 'A'.repeat(43)

async function statusWith(s: Secured, key: string): Promise<number> {
  return (await ask(s.url, { headers: bearer(key), body: LIST })).status
}

async function rowsOf(store: Store): Promise<number> {
  const tables = ['replay', 'api_keys', 'api_key_slots', 'api_key_uses', 'revoked', 'trust', 'login'] as const
  return (await Promise.all(tables.map((table) => store.list(table)))).flat().length
}

describe('a stranger with a link that is none', () => {
  test.each([
    ['when somebody is trusted', true],
    ['when nobody is yet', false],
  ])('writes nothing into the store, by a key, a wallet or a token, %s', async (_when, isTrusted) => {
    const s = await secured({ durable: true, ...(isTrusted && { trusted: [walletProver(testWallet()).did] }) })
    const store = await s.otherProcess()
    const before = await rowsOf(store)
    const stranger = await holder()
    for (const enrolment of [NO_LINK, 'x', 'A'.repeat(64)]) {
      for (const who of [keyProver(), walletProver(testWallet())]) {
        for (const path of ['/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key']) {
          expect((await act(s, who, path, { enrolment })).json).toMatchObject({ error: 'not_trusted', did: who.did })
        }
      }
      const assertion = await stranger.sign(assertionClaims(stranger.did, s.base))
      expect((await s.post('/token', { grant_type: JWT_BEARER, assertion, enrolment })).json['error']).toBe('invalid_grant')
    }
    expect(await rowsOf(store)).toBe(before)
    expect(s.reached()).toEqual([])
  })

  test('does not use up the one that is', async () => {
    const s = await secured({ durable: true })
    const link = new URLSearchParams(s.enrolment?.hash.slice(1)).get('enrol') ?? ''
    const [thief, ann] = [keyProver(), keyProver()]
    expect((await act(s, thief, '/gen-api-key', { enrolment: NO_LINK })).status).toBe(403)
    expect((await act(s, ann, '/gen-api-key', { enrolment: link })).status).toBe(200)
    expect((await act(s, thief, '/gen-api-key', { enrolment: link })).status).toBe(403)
  })
})

test('of many who redeem one link at once one is trusted, and one has a key', async () => {
  const s = await secured({ durable: true })
  const enrolment = new URLSearchParams(s.enrolment?.hash.slice(1)).get('enrol') ?? ''
  const crowd = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? keyProver() : walletProver(testWallet())))
  const answers = await Promise.all(crowd.map((who) => act(s, who, '/gen-api-key', { enrolment })))
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...crowd.slice(1).map(() => 403)])
  const store = await s.otherProcess()
  expect([(await store.list('trust')).length, (await store.list('api_keys')).length]).toEqual([1, 1])
})

describe('a key', () => {
  const who = walletProver(testWallet())

  test('is no token to the issuer, whatever it is called there, and lives on', async () => {
    const ann = await holder()
    const s = await secured({ trusted: [who.did, { id: ann.did, scopes: ['mcp', 'introspect'] }] })
    const { secret } = await keyOf(s, who)
    const client = async (): Promise<Record<string, string>> => ({
      client_assertion_type: CLIENT_ASSERTION,
      client_assertion: await ann.sign(assertionClaims(ann.did, s.base)),
    })
    const types = { subject_token_type: ACCESS_TOKEN, actor_token_type: ACCESS_TOKEN }
    const forms: readonly [string, Record<string, string>, unknown][] = [
      ['/token', { grant_type: JWT_BEARER, assertion: secret }, 'invalid_grant'],
      ['/token', { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: secret }, 'invalid_client'],
      ['/token', { grant_type: 'client_credentials', client_id: who.did, client_secret: secret }, 'invalid_client'],
      ['/token', { grant_type: EXCHANGE, subject_token: secret, ...types, ...(await client()) }, 'invalid_grant'],
      ['/token', { grant_type: EXCHANGE, subject_token: await s.token(ann), actor_token: secret, ...types }, 'invalid_grant'],
      ['/token', { grant_type: 'refresh_token', client_id: who.did, refresh_token: secret }, 'invalid_client'],
      ['/token', { grant_type: 'authorization_code', client_id: who.did, code: secret }, 'invalid_client'],
      ['/introspect', { token: secret, ...(await client()) }, undefined],
      ['/revoke', { token: secret }, undefined],
      ['/revoke', { token: secret, ...(await client()) }, undefined],
    ]
    for (const [path, form, error] of forms) {
      const { json: answer, text } = await s.post(path, form)
      expect([path, answer['error'], answer['active'] ?? false, 'access_token' in answer]).toEqual([path, error, false, false])
      expect(text).not.toContain(secret)
    }
    expect(await statusWith(s, secret)).toBe(200)
  })

  test('is taken from one header alone, once, as it is written', async () => {
    const operators = `sk_${'o'.repeat(40)}`
    const s = await secured({ trusted: [who.did], security: { apiKeys: [operators] } })
    const { secret } = await keyOf(s, who)
    const askQuickly = quick()
    const headers: readonly (readonly (readonly [string, string])[])[] = [
      [['authorization', secret]],
      [['authorization', `Basic ${secret}`]],
      [['authorization', `DPoP ${secret}`]],
      [['authorization', `Bearer  ${secret}`]],
      [['authorization', `Bearer\t${secret}`]],
      [['authorization', `Bearer ${secret},`]],
      [['authorization', `Bearer ${secret}=`]],
      [['authorization', `Bearer ${secret.toUpperCase()}`]],
      [['authorization', `Bearer SK_${secret.slice(3)}`]],
      [['authorization', `Bearer ${secret.slice(0, -1)}`]],
      [['authorization', `Bearer ${secret}, Bearer ${operators}`]],
      [
        ['authorization', `Bearer ${secret}`],
        ['authorization', `Bearer ${secret}`],
      ],
      [
        ['authorization', `Bearer ${secret}`],
        ['x-api-key', secret],
      ],
      [
        ['authorization', `Bearer ${secret}`],
        ['x-api-key', operators],
      ],
      [
        ['authorization', ''],
        ['x-api-key', secret],
      ],
      [['x-api-key', `Bearer ${secret}`]],
      [['x-api-key', `${secret}, ${secret}`]],
      [
        ['x-api-key', secret],
        ['x-api-key', operators],
      ],
      [
        ['x-api-key', operators],
        ['x-api-key', secret],
      ],
      [['api-key', secret]],
      [['proxy-authorization', `Bearer ${secret}`]],
      [['cookie', `x-api-key=${secret}; api_key=${secret}; authorization=Bearer ${secret}`]],
    ]
    for (const path of ['/mcp', '/with-key/mcp', '/sse', '/messages', '/status']) {
      for (const sent of headers) {
        const { status } = await askQuickly({
          method: path === '/mcp' || path === '/with-key/mcp' || path === '/messages' ? 'POST' : 'GET',
          url: new URL(`${s.base}${path}`),
          headers: sent,
        })
        // Whoever shows no credential at all is told how many there are, and nothing else.
        const isOpen = path === '/status' && sent.every(([name]) => name !== 'authorization' && name !== 'x-api-key')
        expect([path, sent, isOpen ? status === 200 : status === 401 || status === 400]).toEqual([path, sent, true])
      }
      for (const query of ['api_key', 'access_token', 'key']) {
        const { status } = await askQuickly({ method: 'GET', url: new URL(`${s.base}${path}?${query}=${secret}`) })
        expect([path, status]).toEqual([path, path === '/status' ? 200 : 401])
      }
    }
    expect(s.reached()).toEqual([])
    expect(await statusWith(s, secret)).toBe(200)
  })

  test('gives no more than its identity may at this moment, and all that it opened ends with the trust', async () => {
    const s = await secured({ durable: true, trusted: [keyProver().did] })
    const store = await s.otherProcess()
    await addTrust(store, { id: who.did })
    const { secret } = await until('trust', () => keyOf(s, who).catch(() => undefined))
    const inSession = { ...bearer(secret), 'mcp-session-id': await sessionWith(s, bearer(secret)) }
    const stream = await open(s.url, { headers: { ...inSession, accept: 'text/event-stream' } })
    const older = await open(new URL(`${s.base}/sse`), { headers: bearer(secret) })
    await addTrust(store, { id: who.did, tools: ['echo'] })
    await until('the news of fewer tools', async () => !(await ask(s.url, { headers: inSession, body: LIST })).text.includes('"secret"'))
    s.reached()
    expect(at((await ask(s.url, { headers: inSession, body: callMessage(1, 'secret') })).json, 'error', 'code')).toBe(-32602)
    await addTrust(store, { id: who.did, tools: ['echo'], scopes: ['mcp:tools'] })
    await until('the news of fewer scopes', async () => (await ask(s.url, { headers: inSession, body: { ...LIST, method: 'resources/list' } })).status === 403)
    expect(s.reached().filter(({ body }) => body['method'] !== 'resources/list')).toEqual([])
    await removeTrust(store, who.did)
    await until('the end of what is open', () => stream.over && older.over)
    expect(await statusWith(s, secret)).toBe(401)
    expect((await ask(s.url, { headers: inSession, body: callMessage(2, 'echo') })).status).toBe(401)
  })

  test('is over with the moment that its trust was given for', async () => {
    const untilMs = Date.now() + 60_000
    const s = await secured({ trusted: [{ id: who.did, untilMs }] })
    const { secret } = await keyOf(s, who)
    expect(await statusWith(s, secret)).toBe(200)
    s.reached()
    s.pass(61)
    expect(await statusWith(s, secret)).toBe(401)
    expect((await act(s, who, '/get-api-key')).status).toBe(403)
    expect(s.reached()).toEqual([])
  })

  test('of an identity whose document is withdrawn lets nobody in, at the first try or at any later one', async () => {
    const host = await forThisTest(didHost())
    const ann = host.identity('ann')
    const s = await secured({ durable: true, trusted: [ann.did] })
    const keys = await openNodeKeys(join(s.home, 'keys'), { now: s.now, log: createLog({ level: 'error', format: 'text', write() {}, now: s.now }) })
    onTestFinished(keys.close)
    const ends = { now: async () => {}, from: async () => true, settled: async () => {} }
    const ring = createKeyRing({ store: await s.otherProcess(), hashing: keys.hashing, ends, now: s.now })
    const made = await ring.create({ identity: ann.did, label: '', scopes: ['mcp'], expiresAtMs: undefined })
    if (made === 'full') throw new Error('there is room')
    host.host('ann', 410)
    for (let minutes = 0; minutes < 6; minutes++) {
      expect(await statusWith(s, made.secret)).toBe(401)
      s.pass(61)
    }
    expect(s.reached()).toEqual([])
    host.host('ann', ann.document)
    expect(await statusWith(s, made.secret)).toBe(200)
  })

  test('opens no session of another identity, by whichever door', async () => {
    const [ann, bob] = [keyProver(), keyProver()]
    const s = await secured({ trusted: [ann.did, bob.did] })
    const [ofAnn, ofBob] = [(await keyOf(s, ann)).secret, (await keyOf(s, bob)).secret]
    const id = await sessionWith({ url: new URL(`${s.base}/with-key/mcp`) }, bearer(ofAnn))
    s.reached()
    for (const path of ['/mcp', '/with-key/mcp']) {
      for (const asked of [{ body: callMessage(7, 'echo') }, { method: 'GET', headers: { accept: 'text/event-stream' } }, { method: 'DELETE' }]) {
        const { status } = await ask(new URL(`${s.base}${path}`), { ...asked, headers: { ...asked.headers, ...bearer(ofBob), 'mcp-session-id': id } })
        expect([path, status]).toEqual([path, 404])
      }
    }
    expect(s.reached()).toEqual([])
    expect((await ask(s.url, { headers: { ...bearer(ofAnn), 'mcp-session-id': id }, body: callMessage(8, 'echo') })).status).toBe(200)
  })
})

test('whoever makes identities where any is trusted makes keys no faster than one a second', async () => {
  const s = await secured({ trusted: ['any'], durable: true })
  const crowd = await Promise.all(
    Array.from({ length: 120 }, async () => {
      const { asked, sign } = keyProver()
      const message = await challengeFor(s, asked)
      return { ...asked, message, signature: sign(message) }
    }),
  )
  const statuses = (await Promise.all(crowd.map((body) => postJson(s, '/gen-api-key', body)))).map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([200, 429]))
  expect((await (await s.otherProcess()).list('api_keys')).length).toBe(statuses.filter((status) => status === 200).length)
  s.pass(60)
  expect((await act(s, keyProver(), '/gen-api-key')).status).toBe(200)
})

describe('a challenge', () => {
  test.each(['', '/x/y'])('of one name of ours is none under another (prefix "%s")', async (pathPrefix) => {
    const who = walletProver(testWallet())
    const s = await secured({ trusted: [who.did], durable: true, listen: { pathPrefix, allowHosts: ['mcp.example.com'] } })
    const message = await challengeFor(s, who.asked)
    const proof = { ...who.asked, message, signature: who.sign(message) }
    const { port } = new URL(s.base)
    for (const host of [`localhost:${port}`, 'mcp.example.com', `[::1]:${port}`]) {
      expect([host, (await postJson(s, '/gen-api-key', proof, { host })).json['error']]).toEqual([host, 'invalid_proof'])
    }
    expect((await postJson(s, '/gen-api-key', proof, { host: 'evil.example' })).status).toBe(403)
    expect(await (await s.otherProcess()).list('api_keys')).toEqual([])
    expect((await postJson(s, '/gen-api-key', proof)).status).toBe(200)
  })

  test('of another node is none, and nobody sees by asking who is trusted', async () => {
    const who = walletProver(testWallet())
    const [s, other] = [await secured({ trusted: [who.did] }), await secured({ trusted: [who.did] })]
    const message = (await challengeFor(other, who.asked)).replaceAll(other.base, s.base).replaceAll(new URL(other.base).host, new URL(s.base).host)
    expect((await postJson(s, '/gen-api-key', { ...who.asked, message, signature: who.sign(message) })).json['error']).toBe('invalid_proof')
  })
})

describe('a label', () => {
  const who = walletProver(testWallet())
  test.each([
    ['colours of a terminal', '\u001b[31mred'],
    ['a line', 'a\nb'],
    ['a line of another kind', 'a\u2028b'],
    ['an end of what a terminal shows', 'a\u009cb'],
    ['text that is turned round', 'a\u202eb'],
    ['text that is turned round and shut in', 'a\u2067b'],
    ['a mark of direction', 'a\u200fb'],
    ['a mark of an Arabic letter', 'a\u061cb'],
    ['nothing that is seen', '\u200b\u2060\ufeff'],
    ['letters that nobody sees', 'a\u{e0041}\u{e0042}'],
    ['half a character', 'a\ud800'],
    ['a zero byte', 'a\u0000'],
  ])('with %s is refused before anything is made', async (_what, label) => {
    const s = await secured({ trusted: [who.did], durable: true })
    expect((await act(s, who, '/gen-api-key', { label })).json['error']).toBe('invalid_request')
    expect(await (await s.otherProcess()).list('api_keys')).toEqual([])
  })

  test('in any language, or drawn, is one', async () => {
    const s = await secured({ trusted: [who.did] })
    for (const label of ['Ноутбук', '笔记本电脑', 'محمول', 'नोटबुक', '👩‍💻 laptop', 'می‌خواهم']) {
      expect(at((await act(s, who, '/gen-api-key', { label })).json, 'key', 'label')).toBe(label)
    }
  })
})

describe('/reverse-lookup', () => {
  test('answers a flood of others no worse: whoever proves nothing does not keep a server from asking', async () => {
    const [who, server] = [walletProver(testWallet()), await holder()]
    const s = await secured({ trusted: [who.did, { id: server.did, scopes: ['introspect'] }] })
    const { secret } = await keyOf(s, who)
    const flood = await Promise.all(Array.from({ length: 130 }, () => postJson(s, '/get-api-key', { ...who.asked, message: 'x', signature: 'y' })))
    expect(flood.some(({ status }) => status === 429)).toBe(true)
    expect((await lookup(s, secret, server)).status).toBe(200)
  })

  test('takes an assertion for itself alone, once, and nobody who may not ask', async () => {
    const [who, server, other] = [walletProver(testWallet()), await holder(), await holder()]
    const s = await secured({ durable: true, trusted: [who.did, { id: server.did, scopes: ['introspect'] }, { id: other.did, scopes: ['mcp'] }] })
    const { secret } = await keyOf(s, who)
    const asked = (client: string, assertion: string): Promise<{ status: number }> =>
      postJson(s, '/reverse-lookup', { api_key: secret, client_id: client, client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion })
    const refused: [string, string][] = [
      [other.did, await other.sign(assertionClaims(other.did, s.base))],
      [server.did, await other.sign(assertionClaims(other.did, s.base))],
      [server.did, await other.sign(assertionClaims(server.did, s.base))],
      [server.did, await server.sign(assertionClaims(server.did, 'https://other.example'))],
      [server.did, await server.sign(assertionClaims(server.did, s.url.href))],
      [server.did, await server.sign(assertionClaims(server.did, `${s.base}/introspect`))],
      [server.did, await server.sign(assertionClaims(server.did, `${s.base}/gen-api-key`))],
      [server.did, await server.sign(assertionClaims(server.did, s.base, { jti: undefined }))],
      [server.did, await server.sign(assertionClaims(server.did, s.base, { exp: undefined }))],
      [server.did, secret],
      ['urn:openmcp:api-key', secret],
    ]
    const before = await rowsOf(await s.otherProcess())
    for (const [client, assertion] of refused) expect((await asked(client, assertion)).status).toBe(401)
    expect(await rowsOf(await s.otherProcess())).toBe(before)
    const good = await server.sign(assertionClaims(server.did, s.base))
    expect((await asked(server.did, good)).status).toBe(200)
    expect((await asked(server.did, good)).status).toBe(401)
    expect((await s.post('/introspect', { token: secret, client_assertion_type: CLIENT_ASSERTION, client_assertion: good })).status).toBe(401)
    const used = await server.sign(assertionClaims(server.did, s.base))
    expect((await s.post('/introspect', { token: secret, client_assertion_type: CLIENT_ASSERTION, client_assertion: used })).status).toBe(200)
    expect((await asked(server.did, used)).status).toBe(401)
  })
})

describe('a key server', () => {
  const KEY = { id: 'abc', scopes: ['mcp'], created_at: '2026-01-01T00:00:00.000Z', expires_at: null }
  const SECRET = `sk_${'a'.repeat(43)}`

  async function nodeAt(answer: (res: ServerResponse, body: unknown) => void, trusted: readonly string[]): Promise<Secured> {
    const keys = await mkdtemp(join(tmpdir(), 'openmcp-'))
    onTestFinished(() => rm(keys, { recursive: true, force: true }))
    await createIdentity({ dir: keys, name: 'proxy', method: 'key', curve: 'Ed25519', now: Date.now })
    await openIdentity(keys, 'proxy')
    const server = await upstream(({ body }, res) => answer(res, body))
    onTestFinished(server.stop)
    return secured({ trusted, security: { keys, keyServer: { url: new URL(server.origin), id: 'proxy' } } })
  }

  test('that takes a key back ends what it has open, though nobody tells of it', async () => {
    const who = keyProver()
    let isGood = true
    const s = await nodeAt((res) => (isGood ? json(res, 200, { ...KEY, did: who.did }) : json(res, 404, { error: 'unknown_key' })), [who.did])
    const session = await sessionWith(s, bearer(SECRET))
    const stream = await open(s.url, { headers: { ...bearer(SECRET), 'mcp-session-id': session, accept: 'text/event-stream' } })
    const older = await open(new URL(`${s.base}/sse`), { headers: bearer(SECRET) })
    // Whoever goes on calling keeps it open.
    s.pass(800)
    expect((await ask(s.url, { headers: { ...bearer(SECRET), 'mcp-session-id': session }, body: callMessage(1, 'echo') })).status).toBe(200)
    s.pass(200)
    await until('the end of a stream whose key was not shown for long', () => older.over)
    expect(stream.over).toBe(undefined)
    isGood = false
    s.pass(700)
    await until('the end of the other one', () => stream.over)
    s.reached()
    expect(await statusWith(s, SECRET)).toBe(401)
    expect(s.reached()).toEqual([])
  })

  test.each<[string, Record<string, unknown>, number]>([
    ['for a key that is over', { expires_at: '2020-01-01T00:00:00.000Z' }, 401],
    ['with no scope at all', { scopes: [] }, 403],
    ['with a scope that opens nothing', { scopes: ['introspect'] }, 403],
    ['with an identity that nobody trusts here', { did: 'did:web:stranger.example' }, 401],
    ['with one that looks like a list', { did: '["did:web:ann.example"]' }, 503],
    ['with one of a prototype', { did: '__proto__' }, 503],
    ['with an identity in a list', { did: ['did:web:ann.example'] }, 503],
    ['with the name of another row', { id: 'key:abc' }, 503],
  ])('that answers %s lets nobody in', async (_what, more, status) => {
    const who = keyProver()
    const s = await nodeAt((res) => json(res, 200, { ...KEY, did: who.did, ...more }), [who.did])
    expect(await statusWith(s, SECRET)).toBe(status)
    expect(s.reached()).toEqual([])
  })

  test('hears of no key that is written in another way, and of none that is a token', async () => {
    const who = keyProver()
    const asked: unknown[] = []
    const s = await nodeAt((res, body) => (asked.push(body), json(res, 200, { ...KEY, did: who.did })), [who.did])
    for (const key of ['sk_', 'sk_a', `sk_${'a'.repeat(44)}`, `sk_${'a'.repeat(42)}.`, `SK_${'a'.repeat(43)}`, 'a'.repeat(46)])
      expect(await statusWith(s, key)).toBe(401)
    expect([asked, s.reached()]).toEqual([[], []])
  })
})

test('a proof is good for one act: seen on its way it makes no second key', async () => {
  const who: Prover = keyProver()
  const s = await secured({ trusted: [who.did], durable: true })
  const message = await challengeFor(s, who.asked)
  const proof = { ...who.asked, message, signature: who.sign(message) }
  const answers = await Promise.all(
    ['/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key', '/gen-api-key'].map((path) => postJson(s, path, proof)),
  )
  expect(answers.filter(({ json: { error } }) => error === 'invalid_proof')).toHaveLength(4)
  expect((await (await s.otherProcess()).list('api_keys')).length).toBeLessThanOrEqual(1)
})

test('whoever shows keys that are none does it twenty times a second, and others come in meanwhile', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const { secret } = await keyOf(s, who)
  const guesses = Array.from({ length: 100 }, (_, index) => statusWith(s, `sk_${String(index).padStart(43, '0')}`))
  const statuses = await Promise.all(guesses)
  expect(new Set(statuses)).toEqual(new Set([401, 503]))
  expect(s.reached()).toEqual([])
  s.pass(1)
  expect(await statusWith(s, secret)).toBe(200)
  // A key that is known costs nothing, and is no guess.
  await Promise.all(Array.from({ length: 100 }, (_, index) => statusWith(s, `sk_${String(index).padStart(43, '1')}`)))
  expect(await statusWith(s, secret)).toBe(200)
})

test('an initialize by a key that is none reaches nobody', async () => {
  const s = await secured({ trusted: ['any'] })
  for (const path of ['/mcp', '/with-key/mcp']) {
    const { status, headers } = await ask(new URL(`${s.base}${path}`), { headers: bearer(`sk_${'a'.repeat(43)}`), body: initializeMessage(1) })
    expect([status, headers['mcp-session-id']]).toEqual([401, undefined])
  }
  expect(s.reached()).toEqual([])
})
