import { describe, expect, test } from 'vitest'
import { checksummedAddress } from '../../src/identity/wallet.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith } from '../support/secured.ts'
import { holder } from '../support/did.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, open } from '../support/wire.ts'
import { act, challengeFor, keyOf, keyProver, lookup, postJson, walletProver } from './stage.ts'

describe('a wallet', () => {
  test('gets a key that is shown once, and calls with it', async () => {
    const wallet = testWallet()
    const stage = await secured({ trusted: [wallet.did], durable: true })
    const who = walletProver(wallet)
    const { secret } = await keyOf(stage, who, { label: 'Laptop' })
    expect(secret).toMatch(/^sk_[\w-]{43}$/)
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    expect((await ask(stage.url, { headers: { 'x-api-key': secret }, body: initializeMessage(1) })).status).toBe(200)
    const { json, text } = await act(stage, who, '/get-api-key')
    expect(json).toMatchObject({ hex_string: wallet.address, did: wallet.did, keys: [{ label: 'Laptop', scopes: ['mcp'], expires_at: null }] })
    expect(text).not.toContain(secret)
    const other = await stage.otherProcess()
    const rows = JSON.stringify([await other.list('api_keys'), await other.list('api_key_slots')])
    expect(rows).toContain('Laptop')
    expect(rows).not.toContain(secret.slice(3))
    expect(stage.log.join('\n')).not.toContain(secret.slice(3))
  })

  test('is one identity in capitals and in lower case', async () => {
    const wallet = testWallet()
    const stage = await secured({ trusted: [wallet.did] })
    const asked = { hex_string: checksummedAddress(wallet.address) }
    const { json } = await act(stage, { ...walletProver(wallet), asked }, '/gen-api-key')
    expect(json['did']).toBe(wallet.did)
    const byDid = await act(stage, { ...walletProver(wallet), asked: { did: `did:pkh:eip155:1:${checksummedAddress(wallet.address)}` } }, '/get-api-key')
    expect(at(byDid.json, 'keys')).toHaveLength(1)
  })

  test('rotates a key: the old one is refused at once, and what it had open ends', async () => {
    const wallet = testWallet()
    const stage = await secured({ trusted: [wallet.did] })
    const who = walletProver(wallet)
    const { secret, id } = await keyOf(stage, who, { label: 'Laptop' })
    const session = await sessionWith(stage, bearer(secret))
    const stream = await open(stage.url, { headers: { ...bearer(secret), accept: 'text/event-stream', 'mcp-session-id': session } })
    expect(stream.status).toBe(200)
    const { json } = await act(stage, who, '/rotate-api-key')
    expect(json['keys']).toEqual([expect.objectContaining({ label: 'Laptop' })])
    expect(at(json, 'key', 'id')).not.toBe(id)
    await stream.whole().catch(() => {})
    expect(stream.over).toBe('cut')
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(401)
    expect((await ask(stage.url, { headers: bearer(String(json['api_key'])), body: initializeMessage(1) })).status).toBe(200)
  })

  test('rotates with an overlap: both let in until it is over', async () => {
    const wallet = testWallet()
    const stage = await secured({ trusted: [wallet.did] })
    const who = walletProver(wallet)
    const { secret } = await keyOf(stage, who)
    await sessionWith(stage, bearer(secret))
    const { json } = await act(stage, who, '/rotate-api-key', { overlap_seconds: 30 })
    const fresh = String(json['api_key'])
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    stage.pass(31)
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(401)
    expect((await ask(stage.url, { headers: bearer(fresh), body: initializeMessage(1) })).status).toBe(200)
    expect(at((await act(stage, who, '/get-api-key')).json, 'keys')).toHaveLength(1)
  })

  test('revokes the key that it names', async () => {
    const wallet = testWallet()
    const stage = await secured({ trusted: [wallet.did] })
    const who = walletProver(wallet)
    const [one, two] = [await keyOf(stage, who), await keyOf(stage, who)]
    expect((await act(stage, who, '/revoke-api-key')).json['error']).toBe('invalid_request')
    expect((await act(stage, who, '/revoke-api-key', { key_id: one.id })).json).toMatchObject({ revoked: one.id })
    expect((await ask(stage.url, { headers: bearer(one.secret), body: initializeMessage(1) })).status).toBe(401)
    expect((await ask(stage.url, { headers: bearer(two.secret), body: initializeMessage(1) })).status).toBe(200)
    expect((await act(stage, who, '/revoke-api-key', { key_id: one.id })).status).toBe(404)
  })
})

test.each(['EdDSA', 'ES256', 'ES256K'] as const)('a did:key of %s goes the same way', async (alg) => {
  const who = keyProver(alg)
  const stage = await secured({ trusted: [who.did] })
  const { secret } = await keyOf(stage, who)
  expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
})

test('below a path, and under the public name, the message says where it is used', async () => {
  const who = walletProver(testWallet())
  const publicUrl = new URL('https://mcp.example.com')
  const stage = await secured({ trusted: [who.did], listen: { pathPrefix: '/x', publicUrl, allowHosts: [publicUrl.host] } })
  expect(await challengeFor(stage, who.asked)).toContain(`\nURI: ${stage.base}/keys\n`)
  const { secret } = await keyOf(stage, who)
  expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
  const named = { host: publicUrl.host }
  const message = String((await postJson(stage, '/challenge', who.asked, named)).json['message'])
  expect(message).toMatch(/^mcp\.example\.com wants you to sign in/)
  expect(message).toContain('\nURI: https://mcp.example.com/x/keys\n')
  const body = { ...who.asked, message, signature: who.sign(message) }
  expect((await postJson(stage, '/get-api-key', body)).status).toBe(401)
  expect((await postJson(stage, '/get-api-key', body, named)).status).toBe(200)
})

describe('what a key may', () => {
  test('is what its identity may, at most', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [{ id: who.did, scopes: ['mcp:tools', 'mcp:prompts'] }] })
    expect((await act(stage, who, '/gen-api-key')).json).toMatchObject({ key: { scopes: ['mcp:tools', 'mcp:prompts'] } })
    expect((await act(stage, who, '/gen-api-key', { scope: 'mcp:tools' })).json).toMatchObject({ key: { scopes: ['mcp:tools'] } })
    expect((await act(stage, who, '/gen-api-key', { scope: 'introspect' })).json['error']).toBe('invalid_scope')
    expect((await act(stage, who, '/gen-api-key', { scope: 'root' })).json['error']).toBe('invalid_request')
    for (const seconds of [0, -1, 1.5, '60', 1e12]) expect((await act(stage, who, '/gen-api-key', { expires_in: seconds })).status).toBe(400)
    for (const seconds of [-1, 604_801, '60']) expect((await act(stage, who, '/rotate-api-key', { overlap_seconds: seconds })).status).toBe(400)
  })

  test('ends with its time', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [who.did] })
    const { secret } = await keyOf(stage, who, { expires_in: 60 })
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    stage.pass(61)
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(401)
  })

  test('is nothing at the issuer', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [who.did] })
    const { secret } = await keyOf(stage, who)
    await stage.post('/revoke', { token: secret })
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: secret,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }
    expect((await stage.post('/token', form)).json['error']).toBe('invalid_grant')
  })

  test('ends with the trust in its identity', async () => {
    const who = keyProver()
    const stage = await secured({ durable: true })
    const store = await stage.otherProcess()
    await store.put('trust', { key: who.did, value: JSON.stringify({ id: who.did }), expiresAtMs: undefined })
    await expect.poll(async () => (await act(stage, who, '/get-api-key')).status).toBe(200)
    const { secret } = await keyOf(stage, who)
    await store.remove('trust', who.did)
    await expect.poll(async () => (await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(401)
  })

  test('an identity has twenty keys at most, whoever makes them at once', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [who.did] })
    const answers = await Promise.all(Array.from({ length: 24 }, () => act(stage, who, '/gen-api-key')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(4)
  })
})

describe('strangers', () => {
  test('hear that they are proved and not trusted, and write nothing', async () => {
    const who = walletProver(testWallet())
    const stage = await secured({ trusted: ['did:web:somebody.example'], durable: true })
    const message = await challengeFor(stage, who.asked)
    const body = { ...who.asked, message, signature: who.sign(message) }
    const { status, json } = await postJson(stage, '/gen-api-key', body)
    expect({ status, json }).toMatchObject({ status: 403, json: { error: 'not_trusted', did: who.did, how: `openmcp trust add ${who.did}` } })
    const store = await stage.otherProcess()
    for (const table of ['replay', 'api_keys', 'api_key_slots'] as const) expect(await store.list(table)).toEqual([])
  })

  test('are let in once by the link of the first start', async () => {
    const stage = await secured()
    const link = stage.enrolment?.hash.slice('#enrol='.length) ?? ''
    const [first, second] = [walletProver(testWallet()), walletProver(testWallet())]
    const { secret } = await keyOf(stage, first, { enrolment: link })
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    expect((await act(stage, second, '/gen-api-key', { enrolment: link })).status).toBe(403)
  })
})

describe('a proof', () => {
  const wallet = testWallet()
  const who = walletProver(wallet)
  const refused = { status: 401, json: { error: 'invalid_proof', error_description: 'this is no proof of this identity for this server' } }

  test('is used once', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const message = await challengeFor(stage, who.asked)
    const body = { ...who.asked, message, signature: who.sign(message) }
    expect((await postJson(stage, '/gen-api-key', body)).status).toBe(200)
    expect(await postJson(stage, '/gen-api-key', body)).toMatchObject(refused)
    expect(await postJson(stage, '/rotate-api-key', body)).toMatchObject(refused)
  })

  test('is over after five minutes', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const message = await challengeFor(stage, who.asked)
    stage.pass(301)
    expect(await postJson(stage, '/gen-api-key', { ...who.asked, message, signature: who.sign(message) })).toMatchObject({
      status: 401,
      json: { error: 'expired_challenge' },
    })
  })

  test('for another server, of another node, or written by hand is none', async () => {
    const [stage, other] = [await secured({ trusted: [wallet.did] }), await secured({ trusted: [wallet.did] })]
    const foreign = await challengeFor(other, who.asked)
    const hosts = [new URL(other.base).host, new URL(stage.base).host] as const
    const ours = await challengeFor(stage, who.asked)
    for (const message of [
      foreign,
      foreign.replaceAll(...hosts),
      ours.replace(/Nonce: .{8}/, 'Nonce: 00000000'),
      ours.replace(/Expiration Time: \d{4}/, 'Expiration Time: 2999'),
      ours.replace('costs nothing', 'costs nothing at all'),
      ours.replace('Chain ID: 1', 'Chain ID: 137'),
      `${ours}\n`,
      ours.replaceAll('\n', '\r\n'),
      '',
      'x'.repeat(8000),
    ]) {
      expect(await postJson(stage, '/gen-api-key', { ...who.asked, message, signature: who.sign(message) })).toMatchObject({ status: 401 })
    }
  })

  test('at one name of ours is none at another', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const message = await challengeFor(stage, who.asked)
    const elsewhere = { base: stage.base.replace('127.0.0.1', 'localhost') }
    expect((await postJson(elsewhere, '/get-api-key', { ...who.asked, message, signature: who.sign(message) })).status).toBe(401)
  })

  test('by another wallet is none, also for a message that names it', async () => {
    const thief = testWallet()
    const stage = await secured({ trusted: [wallet.did, thief.did] })
    const message = await challengeFor(stage, who.asked)
    expect(await postJson(stage, '/get-api-key', { ...who.asked, message, signature: thief.sign(message) })).toMatchObject(refused)
    expect(await postJson(stage, '/get-api-key', { hex_string: thief.address, message, signature: who.sign(message) })).toMatchObject(refused)
  })

  test('has the one spelling of its signature', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const message = await challengeFor(stage, who.asked)
    const good = who.sign(message)
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const highS = (order - BigInt(`0x${good.slice(66, 130)}`)).toString(16).padStart(64, '0')
    const otherV = good.endsWith('1b') ? '1c' : '1b'
    for (const signature of [
      '',
      '0x',
      good.slice(2),
      good.slice(0, -2),
      `${good}00`,
      `${good.slice(0, -2)}${otherV}`,
      `${good.slice(0, 66)}${highS}${otherV}`,
      `0x${'0'.repeat(130)}`,
      `0x${'f'.repeat(130)}`,
    ]) {
      expect((await postJson(stage, '/get-api-key', { ...who.asked, message, signature })).status).toBe(401)
    }
    expect((await postJson(stage, '/get-api-key', { ...who.asked, message, signature: good })).status).toBe(200)
  })
})

test.each([
  '0x',
  '',
  '0X'.concat('a'.repeat(40)),
  `0x${'a'.repeat(39)}`,
  `0x${'a'.repeat(41)}`,
  `0x${'g'.repeat(40)}`,
  `0x${'aB'.repeat(20)}`,
  'a'.repeat(40),
  7,
  null,
  {},
  ['0x'],
  '<script>',
])('%j is no address', async (hexString) => {
  const stage = await secured()
  const { status, json, text } = await postJson(stage, '/challenge', { hex_string: hexString })
  expect({ status, error: json['error'] }).toEqual({ status: 400, error: 'invalid_request' })
  expect(text).not.toContain('<script')
})

describe('the doors', () => {
  test('answer the GET of the original with how it is done', async () => {
    const stage = await secured()
    const { status, json } = await ask(new URL(`${stage.base}/get-api-key?hex_string=0x1`))
    expect({ status, json }).toMatchObject({ status: 401, json: { error: 'invalid_proof', error_description: expect.stringContaining('POST /challenge') } })
  })

  test.each(['/challenge', '/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key', '/reverse-lookup'])(
    '%s is closed to other pages, forms and what is no JSON',
    async (path) => {
      const stage = await secured()
      const other = await postJson(stage, path, {}, { origin: 'https://evil.example' })
      expect([other.status, other.headers['access-control-allow-origin']]).toEqual([403, undefined])
      const preflight = await ask(new URL(stage.base + path), {
        method: 'OPTIONS',
        headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
      })
      expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([403, undefined])
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
        const { status, json } = await postJson(stage, path, '{}', { 'content-type': type })
        expect([status, json['error']]).toEqual([415, 'unsupported_media'])
      }
      for (const [body, status] of [
        ['{', 400],
        ['[]', 400],
        ['"x"', 400],
        [`{"hex_string":"${'a'.repeat(40_000)}"}`, 413],
        ['{"__proto__":{"hex_string":"0x"}}', 400],
      ] as const) {
        const answer = await postJson(stage, path, body)
        expect([400, 401, status]).toContain(answer.status)
        expect(answer.json).toMatchObject({ error: expect.any(String), error_description: expect.any(String) })
      }
      expect((await ask(new URL(stage.base + path), { method: 'DELETE' })).status).toBe(405)
    },
  )

  test('give back nothing of what was sent', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [who.did] })
    const script = '<script>alert(1)</script>'
    for (const name of ['hex_string', 'did', 'message', 'signature', 'key_id', 'scope', 'expires_in', 'overlap_seconds', 'enrolment', 'api_key']) {
      for (const path of ['/challenge', '/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key', '/reverse-lookup']) {
        const { text, headers } = await act(stage, who, path, { [name]: script })
        expect(text).not.toContain('<script')
        expect(headers['content-type']).toContain('application/json')
        expect(headers['x-content-type-options']).toBe('nosniff')
      }
    }
  })

  test('take a label as text', async () => {
    const who = keyProver()
    const stage = await secured({ trusted: [who.did] })
    expect((await act(stage, who, '/gen-api-key', { label: 'a\nb' })).status).toBe(400)
    expect((await act(stage, who, '/gen-api-key', { label: 'x'.repeat(65) })).status).toBe(400)
    expect((await act(stage, who, '/gen-api-key', { label: 7 })).status).toBe(400)
    expect((await act(stage, who, '/gen-api-key', { label: '<b>' })).json).toMatchObject({ key: { label: '<b>' } })
  })
})

describe('/reverse-lookup', () => {
  test('answers a server that is trusted with introspect, and nobody else', async () => {
    const [who, server, nosy] = [walletProver(testWallet()), await holder(), await holder()]
    const stage = await secured({ trusted: [who.did, { id: server.did, scopes: ['introspect'] }, nosy.did] })
    const { secret } = await keyOf(stage, who)
    expect(await lookup(stage, secret, server)).toMatchObject({ status: 200, json: { ...who.asked, did: who.did, scopes: ['mcp'] } })
    expect(await lookup(stage, `sk_${'a'.repeat(43)}`, server)).toMatchObject({ status: 404, json: { error: 'unknown_key' } })
    expect((await lookup(stage, secret)).status).toBe(401)
    const [known, unknown] = [await lookup(stage, secret, nosy), await lookup(stage, `sk_${'a'.repeat(43)}`, nosy)]
    expect([known.status, known.text]).toEqual([401, unknown.text])
  })
})

test('the door for clients that prefer a login names none', async () => {
  const who = keyProver()
  const stage = await secured({ trusted: [who.did] })
  const { secret } = await keyOf(stage, who)
  const door = new URL(`${stage.base}/with-key/mcp`)
  const refused = await ask(door, { body: initializeMessage(1) })
  expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, expect.not.stringContaining('resource_metadata')])
  expect((await ask(new URL('/.well-known/oauth-protected-resource/with-key/mcp', stage.base))).status).toBe(404)
  expect((await ask(door, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
})

test('the page is served with rules of its own', async () => {
  const stage = await secured()
  const { headers } = await ask(new URL(`${stage.base}/keys`))
  expect(headers['content-security-policy']).toBe(
    "default-src 'none';script-src 'self';style-src 'self';connect-src 'self';form-action 'self';frame-ancestors 'none';base-uri 'none';require-trusted-types-for 'script';trusted-types 'none'",
  )
  expect(headers['x-frame-options']).toBe('DENY')
  for (const path of ['/keys/', '/keys/../index.html', '/keys/%2e%2e', '/keys/other.js']) expect((await ask(new URL(stage.base + path))).status).toBe(404)
})
