import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createKeyServer } from '../../src/api-keys/key-server.ts'
import type { FindKey } from '../../src/api-keys/verify.ts'
import { createIdentity, openIdentity } from '../../src/identity/own-identities.ts'
import type { IdentitySigner } from '../../src/identity/shapes.ts'
import { createLog } from '../../src/observe/log.ts'
import { holder } from '../support/did.ts'
import { at } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { json, upstream, type Received } from '../support/upstream.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, type Answer } from '../support/wire.ts'
import { act, keyOf, lookup, postJson, walletProver } from './stage.ts'

const NEVER_MADE = `sk_${'a'.repeat(43)}`

/** A directory of keys with an identity in it. */
async function identity(): Promise<{ keys: string; id: string; signer: IdentitySigner }> {
  const keys = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(keys, { recursive: true, force: true }))
  await createIdentity({ dir: keys, name: 'proxy', method: 'key', curve: 'Ed25519', now: Date.now })
  return { keys, id: 'proxy', signer: await openIdentity(keys, 'proxy') }
}

async function asking(url: string, { keys, id }: { keys: string; id: string }, options: SecuredOptions = {}): Promise<Secured> {
  return secured({ ...options, security: { keys, keyServer: { url: new URL(url), id } } })
}

function called({ url }: Secured, key: string): Promise<Answer> {
  return ask(url, { headers: bearer(key), body: initializeMessage(1) })
}

/** Something that stands where a key server should. */
async function standIn(answer: (received: Received, res: ServerResponse) => void): Promise<{ origin: string; received: readonly Received[] }> {
  const server = await upstream(answer)
  onTestFinished(server.stop)
  return server
}

describe('a node that asks another server for keys', () => {
  test('lets in who has one there, and is trusted here', async () => {
    const [wallet, me] = [testWallet(), await identity()]
    const who = walletProver(wallet)
    const server = await secured({ trusted: [wallet.did, { id: me.signer.identity.vid, scopes: ['introspect'] }] })
    const [stage, other] = [await asking(server.base, me, { trusted: [wallet.did] }), await asking(server.base, me)]
    const { secret, id } = await keyOf(server, who)
    expect((await called(stage, secret)).status).toBe(200)
    expect((await called(other, secret)).status).toBe(401)
    expect((await called(stage, NEVER_MADE)).status).toBe(401)
    expect(other.reached()).toEqual([])
    expect(at((await act(server, who, '/get-api-key')).json, 'keys', 0, 'last_used_at')).not.toBeNull()
    await act(server, who, '/revoke-api-key', { key_id: id })
    // Both have one time: an assertion of tomorrow would be refused.
    for (const node of [stage, server]) node.pass(61)
    expect((await called(stage, secret)).status).toBe(401)
    await server.stop()
    expect((await called(stage, `sk_${'b'.repeat(43)}`)).status).toBe(503)
  })

  test('gives a key no more than its identity may here, and nothing beyond its end', async () => {
    const [wallet, me] = [testWallet(), await identity()]
    const who = walletProver(wallet)
    const server = await secured({ trusted: [wallet.did, { id: me.signer.identity.vid, scopes: ['introspect'] }] })
    const stage = await asking(server.base, me, { trusted: [{ id: wallet.did, scopes: ['mcp:tools'] }] })
    const { secret } = await keyOf(server, who, { expires_in: 30 })
    expect((await ask(stage.url, { headers: bearer(secret), body: { jsonrpc: '2.0', id: 1, method: 'resources/list' } })).status).toBe(403)
    expect((await called(stage, secret)).status).toBe(200)
    stage.pass(31)
    expect((await called(stage, secret)).status).toBe(401)
  })

  test('makes, shows and changes no keys itself, and says so', async () => {
    const who = walletProver(testWallet())
    const server = await standIn((_received, res) => json(res, 404, { error: 'unknown_key' }))
    const stage = await asking(server.origin, await identity(), { trusted: [who.did], durable: true })
    for (const path of ['/challenge', '/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key', '/reverse-lookup']) {
      const { status, json: answer, text } = await postJson(stage, path, who.asked)
      expect({ status, answer }).toEqual({ status: 404, answer: { error: 'no_keys_here', error_description: expect.stringContaining('another one') } })
      expect(text).not.toContain(server.origin)
    }
    expect(await (await stage.otherProcess()).list('api_keys')).toEqual([])
    expect(server.received).toEqual([])
  })

  test('still takes its own tokens, and the keys of its operator', async () => {
    const server = await standIn((_received, res) => res.destroy())
    const [ann, me] = [await holder(), await identity()]
    const operators = 'QkM3eGp6V1J5dU5tT2FzZGZnaGprbDs4'
    const stage = await secured({
      trusted: [ann.did],
      security: { keys: me.keys, keyServer: { url: new URL(server.origin), id: 'proxy' }, apiKeys: [operators] },
    })
    for (const credential of [await stage.token(ann), operators]) expect((await called(stage, credential)).status).toBe(200)
    expect(server.received).toEqual([])
  })

  test('does not start with an identity that is not there, nor where tokens must be bound', async () => {
    const { keys } = await identity()
    const url = new URL('http://127.0.0.1:1')
    await expect(secured({ security: { keys, keyServer: { url, id: 'nobody' } } })).rejects.toMatchObject({ message: expect.stringContaining('nobody') })
    await expect(secured({ security: { keys, keyServer: { url, id: 'proxy' }, dpop: 'required' } })).rejects.toMatchObject({ code: 'usage' })
  })
})

const KEY = { id: 'abc', did: 'did:web:ann.example', scopes: ['mcp'], created_at: '2026-01-01T00:00:00.000Z', expires_at: null }

describe('a key server that', () => {
  test.each<[string, (res: ServerResponse) => void]>([
    ['refuses us', (res) => json(res, 401, { error: 'invalid_client' })],
    ['has too much to do', (res) => json(res, 429, { error: 'too_many_requests' })],
    ['fails', (res) => json(res, 500, {})],
    ['has no such page', (res) => void res.writeHead(404, { 'content-type': 'text/html' }).end('<html>')],
    ['has nothing to say about keys', (res) => json(res, 404, { error: 'not_found' })],
    ['answers no JSON', (res) => void res.end('<html>')],
    ['answers something else', (res) => json(res, 200, { hex_string: '0x' })],
    ['answers too much', (res) => void res.end('x'.repeat(100_000))],
    ['answers too much of something good', (res) => json(res, 200, { ...KEY, more: 'x'.repeat(100_000) })],
    ['sends us elsewhere', (res) => void res.writeHead(307, { location: '/other' }).end()],
    ['cuts us off', (res) => void res.destroy()],
    ['cuts its answer off', (res) => res.writeHead(200, { 'content-length': '1000' }).write('{', () => res.destroy())],
    ['names no identity', (res) => json(res, 200, { ...KEY, did: 'ann' })],
    ['names everybody', (res) => json(res, 200, { ...KEY, did: 'any' })],
    ['names many', (res) => json(res, 200, { ...KEY, did: 'did:web:*.example' })],
    ['names the operator of this node', (res) => json(res, 200, { ...KEY, did: 'urn:openmcp:api-key' })],
    ['names a scope that is none', (res) => json(res, 200, { ...KEY, scopes: ['root'] })],
    ['names no scopes', (res) => json(res, 200, { ...KEY, scopes: 'mcp' })],
    ['names no end', (res) => json(res, 200, { ...KEY, expires_at: undefined })],
    ['names an end that is no time', (res) => json(res, 200, { ...KEY, expires_at: 'never' })],
    ['names a key that is none', (res) => json(res, 200, { ...KEY, id: '../x' })],
  ])('%s is away: 503 and not 401, once in the log, and nothing behind is reached', async (_what, answer) => {
    const server = await standIn((_received, res) => answer(res))
    const stage = await asking(server.origin, await identity(), { trusted: ['any'] })
    for (const key of [NEVER_MADE, `sk_${'b'.repeat(43)}`]) {
      const { status, headers, json: told, text } = await called(stage, key)
      expect({ status, told }).toMatchObject({ status: 503, told: { jsonrpc: '2.0', error: { code: expect.any(Number) } } })
      expect([headers['retry-after'], headers['www-authenticate']]).toEqual(['5', undefined])
      expect(text).not.toContain(new URL(server.origin).host)
    }
    expect(stage.reached()).toEqual([])
    expect(stage.log.filter((line) => line.includes('the key server does not answer'))).toHaveLength(1)
    expect(stage.log.join('')).not.toContain(NEVER_MADE)
  })

  test('sends us elsewhere is not followed: the key goes nowhere else', async () => {
    const server = await standIn(({ url }, res) => {
      if (url === '/reverse-lookup') res.writeHead(308, { location: '/elsewhere' }).end()
      else json(res, 200, KEY)
    })
    await expect(finder(server.origin, await identity())(NEVER_MADE)).rejects.toMatchObject({ code: 'key_server_away' })
    expect(server.received.map(({ url }) => url)).toEqual(['/reverse-lookup'])
  })

  test('says nothing is not waited for', async () => {
    const waiting: ServerResponse[] = []
    const server = await standIn((_received, res) => void waiting.push(res))
    await expect(finder(server.origin, await identity(), 20)(NEVER_MADE)).rejects.toMatchObject({ code: 'key_server_away' })
    expect(waiting).toHaveLength(1)
  })

  test('stops in the middle of its answer is not waited for', async () => {
    const server = await standIn((_received, res) => void res.writeHead(200).write('{'))
    await expect(finder(server.origin, await identity(), 200)(NEVER_MADE)).rejects.toMatchObject({ code: 'key_server_away' })
  })

  test('is back is told once', async () => {
    let isBack = false
    const server = await standIn((_received, res) => (isBack ? json(res, 200, KEY) : json(res, 500, {})))
    const stage = await asking(server.origin, await identity(), { trusted: [KEY.did] })
    expect((await called(stage, NEVER_MADE)).status).toBe(503)
    isBack = true
    expect((await called(stage, NEVER_MADE)).status).toBe(200)
    expect(stage.log.filter((line) => line.includes('the key server answers again'))).toHaveLength(1)
  })

  test('is asked once for many who show one key at once', async () => {
    const server = await standIn((_received, res) => json(res, 200, KEY))
    const stage = await asking(server.origin, await identity(), { trusted: [KEY.did] })
    const many = await Promise.all(Array.from({ length: 10 }, () => called(stage, NEVER_MADE)))
    expect(many.map(({ status }) => status)).toEqual(many.map(() => 200))
    expect(server.received).toHaveLength(1)
  })

  test('is asked seldom by whoever shows many that are none, and about good ones all the same', async () => {
    let isRevoked = false
    const server = await standIn(({ body }, res) =>
      body['api_key'] === NEVER_MADE && !isRevoked ? json(res, 200, KEY) : json(res, 404, { error: 'unknown_key' }),
    )
    const find = finder(server.origin, await identity())
    expect(await find(NEVER_MADE)).toMatchObject({ identity: KEY.did })
    const guessed = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => find(`sk_${String(index).padStart(43, '0')}`)))
    expect(guessed.slice(49).map((each) => each.status)).toEqual(guessed.slice(49).map(() => 'rejected'))
    expect(server.received).toHaveLength(50)
    expect(await find(NEVER_MADE)).toMatchObject({ identity: KEY.did })
    isRevoked = true
    expect(await find(NEVER_MADE)).toBeUndefined()
    await expect(find(NEVER_MADE)).rejects.toMatchObject({ code: 'busy' })
  })
})

/** Whose clock stands still. */
function finder(origin: string, { signer }: { signer: IdentitySigner }, timeoutMs?: number): FindKey {
  const nowMs = Date.now()
  const log = createLog({ level: 'error', format: 'text', write() {}, now: () => nowMs })
  return createKeyServer({ url: new URL(origin), signer, fetch: globalThis.fetch, log, now: () => nowMs, ...(timeoutMs !== undefined && { timeoutMs }) })
}

test('a server is not counted as a flood for keys that are none', async () => {
  const server = await holder()
  const stage = await secured({ trusted: [{ id: server.did, scopes: ['introspect'] }] })
  for (let times = 0; times < 70; times++) expect((await lookup(stage, NEVER_MADE, server)).status).toBe(404)
})
