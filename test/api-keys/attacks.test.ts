// What whoever is not the holder tries. After each of them the store is as it was, and nothing has reached what is behind.
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

import { openNodeKeys } from '../../src/identity/key-store.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { checksummedAddress } from '../../src/identity/wallet.ts'
import { createLog } from '../../src/observe/log.ts'
import { createChallenges } from '../../src/tokens/challenge.ts'
import { holder } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { hexOf, testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'
import { act, challengeFor, keyOf, keyProver, lookup, postJson, walletProver } from './stage.ts'

const PROVED = ['/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key']
const ALL = ['/challenge', ...PROVED, '/reverse-lookup']
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const CURVES_SECRET = Uint8Array.from({ length: 32 }, (_, index) => index + 1)

interface Scene extends Secured {
  /** Everything that is kept of keys and of what was used. */
  kept(): Promise<unknown>
}

/** Ann has a key. */
async function scene(options: SecuredOptions = {}): Promise<{ stage: Scene; ann: ReturnType<typeof walletProver>; id: string; secret: string }> {
  const ann = walletProver(testWallet(CURVES_SECRET))
  const stage = await secured({ trusted: [ann.did], durable: true, ...options })
  const store = await stage.otherProcess()
  const tables = ['api_keys', 'api_key_slots', 'api_key_uses', 'replay', 'revoked', 'trust', 'enrolment'] as const
  const kept = (): Promise<unknown> => Promise.all(tables.map((table) => store.list(table)))
  const key = await keyOf(stage, ann, { label: 'Laptop' })
  return { stage: { ...stage, kept }, ann, ...key }
}

/** What comes of it at every door that wants a proof. */
async function attempted(stage: Scene, body: Json): Promise<unknown> {
  const before = JSON.stringify(await stage.kept())
  const answers: Json[] = []
  for (const path of PROVED) {
    const { status, json, headers } = await postJson(stage, path, body)
    answers.push({ status, json, cached: headers['cache-control'] !== 'no-store' })
  }
  return { answers, changed: JSON.stringify(await stage.kept()) !== before, reached: stage.reached() }
}

/** Everywhere the same no, nothing written, nothing behind reached. */
function refused(status: number, json: Json): unknown {
  const description = { error_description: expect.any(String) }
  return { answers: PROVED.map(() => ({ status, json: { ...description, ...json }, cached: false })), changed: false, reached: [] }
}

const NO_PROOF = refused(401, { error: 'invalid_proof', error_description: 'this is no proof of this identity for this server' })

describe('a signature that is not the one of this wallet over this message', () => {
  const wallet = testWallet(CURVES_SECRET)
  const withV = (good: string, v: number): string => `${good.slice(0, 130)}${v.toString(16).padStart(2, '0')}`
  const highS = (good: string): string => (ORDER - BigInt(`0x${good.slice(66, 130)}`)).toString(16).padStart(64, '0')
  const recovery = (good: string): number => Number.parseInt(good.slice(130), 16) - 27
  const compact = (good: string): string => {
    const top = (Number.parseInt(good.slice(66, 68), 16) | (recovery(good) << 7)).toString(16).padStart(2, '0')
    return `${good.slice(0, 66)}${top}${good.slice(68, 130)}`
  }
  const overHash = (hash: Uint8Array): string => {
    const [v = 0, ...rest] = secp256k1.sign(hash, CURVES_SECRET, { prehash: false, format: 'recovered' })
    return `0x${hexOf(Uint8Array.from([...rest, v + 27]))}`
  }

  test.each<[string, (good: string, message: string) => string]>([
    ['of another wallet', (_good, message) => testWallet().sign(message)],
    ['over another message', (_good, message) => wallet.sign(`${message} `)],
    ['without the prefix of EIP-191', (_good, message) => overHash(keccak_256(new TextEncoder().encode(message)))],
    ['with the other of its two s', (good) => withV(`${good.slice(0, 66)}${highS(good)}00`, 28 - recovery(good))],
    ['with the other of its two s and its own v', (good) => withV(`${good.slice(0, 66)}${highS(good)}00`, 27 + recovery(good))],
    ['in the short form of EIP-2098', compact],
    ['with the v of the other point', (good) => withV(good, 28 - recovery(good))],
    ...[2, 3, 26, 29, 30, 31, 35, 36, 37, 38, 128, 255].map((v): [string, (good: string) => string] => [`with v ${v}`, (good) => withV(good, v)]),
    ['of nothing', () => '0x'],
    ['with a capital X', (good) => `0X${good.slice(2)}`],
    ['with a space behind it', (good) => `${good} `],
    ['with a line behind it', (good) => `${good}\n`],
    ['of zeros', () => `0x${'0'.repeat(128)}1b`],
    ['with r beyond the order', (good) => `0x${'f'.repeat(64)}${good.slice(66)}`],
    ['with s zero', (good) => `${good.slice(0, 66)}${'0'.repeat(64)}${good.slice(130)}`],
    ['in base64url', (good) => Buffer.from(good.slice(2), 'hex').toString('base64url')],
  ])('%s', async (_what, forge) => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    expect(await attempted(stage, { ...ann.asked, message, signature: forge(ann.sign(message), message) })).toEqual(NO_PROOF)
  })

  test.each([0, -27])('but v may be written in two ways, 27 and 28 or %i more', async (shift) => {
    const { stage, ann } = await scene()
    const seen = new Set<number>()
    while (seen.size < 2) {
      const message = await challengeFor(stage, ann.asked)
      const good = ann.sign(message)
      seen.add(recovery(good))
      const { status } = await postJson(stage, '/get-api-key', { ...ann.asked, message, signature: withV(good, 27 + recovery(good) + shift) })
      expect(status).toBe(200)
    }
  })
})

describe('a proof', () => {
  test('that was used is none, for any act', async () => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    const body = { ...ann.asked, message, signature: ann.sign(message) }
    expect((await postJson(stage, '/get-api-key', body)).status).toBe(200)
    expect(await attempted(stage, body)).toEqual(NO_PROOF)
  })

  test('that is used many times at once is good once', async () => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => postJson(stage, '/gen-api-key', { ...ann.asked, message, signature: ann.sign(message) })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(at((await act(stage, ann, '/get-api-key')).json, 'keys')).toHaveLength(2)
  })

  test('after five minutes is none, and says that it came too late', async () => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    stage.pass(300)
    expect(await attempted(stage, { ...ann.asked, message, signature: ann.sign(message) })).toEqual(refused(401, { error: 'expired_challenge' }))
  })

  test('for another nonce, another time or another text is none, however it is signed', async () => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    const other = await challengeFor(stage, ann.asked)
    const nonceIn = (text: string): string => /Nonce: (\w+)/.exec(text)?.[1] ?? ''
    for (const forged of [
      message.replace(nonceIn(message), nonceIn(other)),
      message.replace(nonceIn(message), '0'.repeat(96)),
      message.replace(nonceIn(message), nonceIn(message).toUpperCase()),
      message.replaceAll(/T(\d\d):/g, (_, hour) => `T${hour === '00' ? '01' : '00'}:`),
      message.replace('Version: 1', 'Version: 2'),
      `${message}\nResources:\n- https://evil.example`,
      message.replace('\n\n', '\n\nI also give away my house.\n\n'),
    ]) {
      expect(await attempted(stage, { ...ann.asked, message: forged, signature: ann.sign(forged) })).toEqual(NO_PROOF)
    }
  })

  test.each([
    ['a login', (base: string) => ({ uri: `${base}/login/abc`, statement: 'Log in.' })],
    ['the same place in other words', (base: string) => ({ uri: `${base}/keys`, statement: 'Log in.' })],
    ['another host', (base: string) => ({ uri: `${base.replace('127.0.0.1', 'localhost')}/keys`, statement: KEYS })],
    ['another scheme', (base: string) => ({ uri: `${base.replace('http:', 'https:')}/keys`, statement: KEYS })],
  ])('for %s is none, though this node sealed it', async (_what, purpose) => {
    const { stage, ann } = await scene()
    const { now } = stage
    const keys = await openNodeKeys(join(stage.home, 'keys'), { now, log: createLog({ level: 'error', format: 'text', write() {}, now }) })
    const { issue } = createChallenges({ sealing: keys.sealing, now })
    const forged = issue(parseVid(ann.did), purpose(stage.base)).message
    expect(await attempted(stage, { ...ann.asked, message: forged, signature: ann.sign(forged) })).toEqual(NO_PROOF)
    const good = issue(parseVid(ann.did), { uri: `${stage.base}/keys`, statement: KEYS }).message
    expect((await postJson(stage, '/get-api-key', { ...ann.asked, message: good, signature: ann.sign(good) })).status).toBe(200)
    keys.close()
  })

  test('of the same wallet on another chain is of another identity', async () => {
    const { stage, ann } = await scene()
    const elsewhere = { did: ann.did.replace('eip155:1:', 'eip155:137:') }
    const message = await challengeFor(stage, elsewhere)
    expect(message).toContain('Chain ID: 137')
    expect(await attempted(stage, { ...ann.asked, message, signature: ann.sign(message) })).toEqual(NO_PROOF)
    expect(await attempted(stage, { ...elsewhere, message, signature: ann.sign(message) })).toEqual(
      refused(403, { error: 'not_trusted', how: expect.any(String), ...elsewhere }),
    )
  })

  test('of a wallet for a DID, and of a DID for a wallet, is none', async () => {
    const who = keyProver()
    const { stage, ann } = await scene({ trusted: [testWallet(CURVES_SECRET).did, who.did] })
    const [ofWallet, ofKey] = [await challengeFor(stage, ann.asked), await challengeFor(stage, who.asked)]
    expect(await attempted(stage, { ...who.asked, message: ofKey, signature: ann.sign(ofKey) })).toEqual(NO_PROOF)
    expect(await attempted(stage, { ...ann.asked, message: ofWallet, signature: who.sign(ofWallet) })).toEqual(NO_PROOF)
    expect(await attempted(stage, { ...ann.asked, ...who.asked, message: ofKey, signature: who.sign(ofKey) })).toEqual(
      refused(400, { error: 'invalid_request' }),
    )
  })
})

const KEYS = 'Prove that this identity is yours, to manage its API keys here. Signing costs nothing and moves nothing.'

describe('an address', () => {
  const { address } = testWallet(CURVES_SECRET)
  const checksummed = checksummedAddress(address)

  test.each<[string, unknown]>([
    ['that is too short', address.slice(0, -1)],
    ['that is too long', `${address}0`],
    ['that is 0x', '0x'],
    ['without 0x', address.slice(2)],
    ['with 0X', `0X${address.slice(2)}`],
    ['all in capitals', `0x${address.slice(2).toUpperCase()}`],
    ['whose checksum is wrong', checksummed.replace(/[a-f]/, (c) => c.toUpperCase())],
    ['in digits that look the same', address.replace(/\d/, (digit) => String.fromCodePoint(0xff10 + Number(digit)))],
    ['with a space', ` ${address}`],
    ['with a line', `${address}\n`],
    ['with a zero byte', `${address}\u0000`],
    ['in a list', [address]],
    ['in an object', { toString: address }],
    ['of 20 KiB', `0x${'a'.repeat(20_000)}`],
    ['with a chain', `eip155:1:${address}`],
  ])('%s is none', async (_what, hexString) => {
    const { stage } = await scene()
    const before = await stage.kept()
    for (const path of ['/challenge', ...PROVED]) {
      expect(await postJson(stage, path, { hex_string: hexString })).toMatchObject({ status: 400, json: { error: 'invalid_request' } })
    }
    expect(await stage.kept()).toEqual(before)
  })

  test.each([
    'did:pkh:eip155:01:0x',
    'did:pkh:eip155:-1:0x',
    'did:pkh:solana:1:0x',
    'did:pkh:eip155:1:1:0x',
    'DID:pkh:eip155:1:0x',
    'did:pkh:EIP155:1:0x',
    'did:ethr:0x',
    'did:pkh:eip155:1%3A0x',
  ])('behind %s is none', async (prefix) => {
    const { stage, ann } = await scene()
    const did = `${prefix}${address.slice(2)}`
    const message = await challengeFor(stage, ann.asked)
    const before = await stage.kept()
    for (const path of PROVED) expect((await postJson(stage, path, { did, message, signature: ann.sign(message) })).status).toBeGreaterThanOrEqual(400)
    expect(await stage.kept()).toEqual(before)
  })
})

describe('a body', () => {
  test.each<[string, (body: string) => string]>([
    ['whose identity stands in a prototype', (body) => `{"__proto__":${body}}`],
    ['whose identity stands in a constructor', (body) => `{"constructor":{"prototype":${body}}}`],
    ['that is a list', (body) => `[${body}]`],
    ['that is a text', (body) => JSON.stringify(body)],
    ['that is nothing', () => 'null'],
    ['that is empty', () => ''],
    ['that is cut off', (body) => body.slice(0, -1)],
    ['with something behind it', (body) => `${body}${body}`],
    ['that is nested a thousand times', (body) => `${'['.repeat(1000)}${body}${']'.repeat(1000)}`],
    ['with members that are null', (body) => body.replaceAll(/"(?:hex_string|signature|message)":"[^"]*"/g, (member) => member.replace(/:.*/, ':null'))],
    ['with members that are lists', (body) => body.replaceAll(/:("[^"]*")/g, ':[$1]')],
    ['with a signature of 32 KiB', (body) => body.replace(/"signature":"/, `"signature":"${'a'.repeat(32_000)}`)],
    ['with a member of 64 KiB', (body) => body.replace('{', `{"x":"${'a'.repeat(65_536)}",`)],
  ])('%s lets nobody in', async (_what, change) => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    const body = change(JSON.stringify({ ...ann.asked, message, signature: ann.sign(message) }))
    const before = await stage.kept()
    for (const path of PROVED) {
      const { status, json } = await postJson(stage, path, body)
      expect([400, 401, 413]).toContain(status)
      expect(json).toEqual({ error: expect.any(String), error_description: expect.any(String) })
    }
    expect(await stage.kept()).toEqual(before)
  })

  test('that says a member twice means the last of them, to the check as to the act', async () => {
    const { stage, ann } = await scene()
    const mallory = walletProver(testWallet())
    const message = await challengeFor(stage, mallory.asked)
    const proof = `"message":${JSON.stringify(message)},"signature":"${mallory.sign(message)}"`
    for (const body of [
      `{"hex_string":"${String(mallory.asked['hex_string'])}",${proof},"hex_string":"${String(ann.asked['hex_string'])}"}`,
      `{"hex_string":"${String(ann.asked['hex_string'])}",${proof},"did":"${mallory.did}"}`,
    ]) {
      const before = await stage.kept()
      for (const path of PROVED) expect((await postJson(stage, path, body)).status).toBeGreaterThanOrEqual(400)
      expect(await stage.kept()).toEqual(before)
    }
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonp', 'application/json-patch+json', ''])(
    'that calls itself %j lets nobody in',
    async (type) => {
      const { stage, ann } = await scene()
      const message = await challengeFor(stage, ann.asked)
      const before = await stage.kept()
      for (const path of ALL) {
        const { status, json } = await postJson(stage, path, { ...ann.asked, message, signature: ann.sign(message) }, { 'content-type': type })
        expect([status, json['error']]).toEqual([415, 'unsupported_media'])
      }
      expect(await stage.kept()).toEqual(before)
    },
  )
})

describe('another page', () => {
  test.each(['https://evil.example', 'null', 'http://127.0.0.1:1', 'http://localhost:3000', 'file://'])(
    'at %s reads nothing and does nothing',
    async (origin) => {
      const { stage, ann } = await scene()
      const message = await challengeFor(stage, ann.asked)
      const before = await stage.kept()
      for (const path of ALL) {
        const preflight = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
        for (const answer of [
          await postJson(stage, path, { ...ann.asked, message, signature: ann.sign(message) }, { origin }),
          await ask(new URL(stage.base + path), { method: 'OPTIONS', headers: preflight }),
          await ask(new URL(stage.base + path), { headers: { origin } }),
        ]) {
          // A browser sends JSON to another origin after a preflight that says yes, and shows no answer that does not.
          expect(Object.keys(answer.headers).filter((name) => name === 'access-control-allow-origin')).toEqual([])
        }
      }
      expect(await stage.kept()).toEqual(before)
    },
  )

  test('that the operator named may', async () => {
    const origin = 'https://app.example'
    const { stage, ann } = await scene({ listen: { allowOrigins: [origin] } })
    expect((await postJson(stage, '/challenge', ann.asked, { origin })).headers['access-control-allow-origin']).toBe(origin)
  })

  test('gets nothing by a link: no act is a GET', async () => {
    const { stage, ann } = await scene()
    const message = await challengeFor(stage, ann.asked)
    const query = new URLSearchParams({ hex_string: String(ann.asked['hex_string']), message, signature: ann.sign(message) }).toString()
    const before = await stage.kept()
    for (const path of ALL) {
      const { status, json } = await ask(new URL(`${stage.base}${path}?${query}`))
      expect({ path, status, error: json['error'] }).toEqual(
        path === '/get-api-key' ? { path, status: 401, error: 'invalid_proof' } : { path, status: 405, error: 'method_not_allowed' },
      )
    }
    expect(await stage.kept()).toEqual(before)
  })
})

describe('whoever asks about others', () => {
  /** Without the moment of the answer. */
  const whole = ({ status, headers: { date: _date, ...headers }, text }: Awaited<ReturnType<typeof ask>>): unknown => ({ status, headers, text })

  test('hears the same of those who have keys, who are trusted, and who are not', async () => {
    const [bob, carl] = [walletProver(testWallet()), walletProver(testWallet())]
    const { stage, ann } = await scene({ trusted: [testWallet(CURVES_SECRET).did, bob.did] })
    const mallory = walletProver(testWallet())
    for (const path of PROVED) {
      const answers = { bare: [] as unknown[], garbage: [] as unknown[], forged: [] as unknown[] }
      for (const { asked } of [ann, bob, carl]) {
        const message = await challengeFor(stage, asked)
        answers.bare.push(whole(await postJson(stage, path, asked)))
        answers.garbage.push(whole(await postJson(stage, path, { ...asked, message: 'x', signature: 'y' })))
        answers.forged.push(whole(await postJson(stage, path, { ...asked, message, signature: mallory.sign(message), key_id: 'abc' })))
      }
      for (const [first, ...others] of Object.values(answers)) expect(others).toEqual([first, first])
    }
  })

  test('gets challenges for all of them alike', async () => {
    const { stage, ann } = await scene()
    const shapes = [ann, walletProver(testWallet())].map(async ({ asked }) => {
      const { status, text } = await postJson(stage, '/challenge', asked)
      return { status, length: text.length }
    })
    const [known, unknown] = await Promise.all(shapes)
    expect(known).toEqual(unknown)
  })

  test('sees, rotates and revokes their own keys alone: a key of somebody else is one that is not there', async () => {
    const bob = walletProver(testWallet())
    const { stage, ann, id, secret } = await scene({ trusted: [testWallet(CURVES_SECRET).did, bob.did] })
    const own = await keyOf(stage, bob)
    for (const path of ['/rotate-api-key', '/revoke-api-key']) {
      const [others, none] = [await act(stage, bob, path, { key_id: id }), await act(stage, bob, path, { key_id: 'never-was' })]
      expect([others.status, others.text]).toEqual([404, none.text])
    }
    const { json, text } = await act(stage, bob, '/get-api-key')
    expect(json['keys']).toEqual([expect.objectContaining({ id: own.id })])
    expect(text).not.toContain('Laptop')
    expect((await ask(stage.url, { headers: bearer(secret), body: initializeMessage(1) })).status).toBe(200)
    expect(at((await act(stage, ann, '/get-api-key')).json, 'keys')).toHaveLength(1)
  })

  test('learns nothing of keys at /reverse-lookup, whether they are some, were some, or never were', async () => {
    const [server, nosy] = [await holder(), await holder()]
    const { stage, ann, secret } = await scene({ trusted: [testWallet(CURVES_SECRET).did, { id: server.did, scopes: ['introspect'] }, nosy.did] })
    const stranger = await holder()
    const never = `sk_${'a'.repeat(43)}`
    for (const by of [nosy, stranger, undefined]) {
      const [one, other] = [await lookup(stage, secret, by), await lookup(stage, never, by)]
      expect(one.status).toBe(401)
      expect(whole(one)).toEqual(whole(other))
    }
    await act(stage, ann, '/revoke-api-key')
    expect((await lookup(stage, secret, server)).text).toBe((await lookup(stage, never, server)).text)
    for (const key of ['', 'sk_', secret.slice(0, -1), `${secret}a`, `SK_${secret.slice(3)}`]) expect((await lookup(stage, key, server)).status).toBe(404)
  })
})

test('a key in a URL, a cookie or a body is none', async () => {
  const { stage, secret } = await scene()
  for (const [url, headers] of [
    [`${stage.url.href}?api_key=${secret}`, {}],
    [`${stage.url.href}?access_token=${secret}`, {}],
    [stage.url.href, { cookie: `api_key=${secret}` }],
    [stage.url.href, { authorization: secret }],
    [stage.url.href, { authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` }],
    [stage.url.href, { authorization: `Bearer ${secret}`, 'x-api-key': secret }],
    [stage.url.href, { authorization: `Bearer ${secret.toUpperCase()}` }],
    [stage.url.href, { authorization: `Bearer ${secret}=` }],
  ] as const) {
    expect([400, 401]).toContain((await ask(new URL(url), { headers, body: initializeMessage(1) })).status)
  }
  expect(stage.reached()).toEqual([])
})
