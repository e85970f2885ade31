import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { VerificationKey } from '../../src/identity/document.ts'
import {
  createIdentity,
  deactivateIdentity,
  exportIdentity,
  importIdentity,
  listIdentities,
  openIdentity,
  rotateIdentity,
} from '../../src/identity/own-identities.ts'
import { newPair, type Curve } from '../../src/identity/own-identity-file.ts'
import { authenticationKeysOf } from '../../src/identity/read-document.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { verifySignature } from '../../src/identity/signature.ts'
import { parseVid } from '../../src/identity/vid.ts'

const NOW = Date.parse('2026-06-01T12:00:00Z')
const now = () => NOW
const CURVES: readonly Curve[] = ['Ed25519', 'P-256', 'secp256k1']

let dir: string
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'openmcp-ids-')), 'keys')
})
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }))

const pathOf = (name: string) => join(dir, 'identities', `${name}.json`)
const partOf = (jwt: string, index: number): unknown => JSON.parse(Buffer.from(jwt.split('.')[index] ?? '', 'base64url').toString())
async function isSignedBy(keys: readonly VerificationKey[], jwt: string): Promise<boolean> {
  const [header = '', payload = '', signature = ''] = jwt.split('.')
  const named = partOf(jwt, 0)
  const key = keys.find(({ id }) => typeof named === 'object' && named !== null && 'kid' in named && named.kid === id)
  return key !== undefined && verifySignature(key, Buffer.from(`${header}.${payload}`), Buffer.from(signature, 'base64url'))
}

describe.each(CURVES)('an identity with a key of %s', (curve) => {
  test.each(['key', 'jwk'] as const)('as did:%s signs what anybody verifies by resolving it', async (method) => {
    const identity = await createIdentity({ dir, name: 'alice', method, curve, now })
    expect(identity).toMatchObject({ name: 'alice', createdAtMs: NOW, deactivated: false, vid: expect.stringMatching(`^did:${method}:`) })
    const fetch = () => Promise.reject(new Error('nothing is fetched'))
    const found = await createResolver({ fetch, now, trustLoopback: false }).resolve(identity.vid)
    const keys = found.state === 'found' ? found.authentication : []
    expect(keys.map(({ id, alg }) => ({ id, alg }))).toEqual([{ id: identity.kid, alg: identity.alg }])
    const signer = await openIdentity(dir, 'alice')
    // Half of all signatures of secp256k1 would have the upper s.
    for (let n = 0; n < 8; n++) {
      const jwt = await signer.sign({ iss: identity.vid, n }, 'JWT')
      expect(partOf(jwt, 0)).toEqual({ alg: identity.alg, kid: identity.kid, typ: 'JWT' })
      expect(partOf(jwt, 1)).toEqual({ iss: identity.vid, n })
      expect(await isSignedBy(keys, jwt)).toBe(true)
    }
  })

  test('as did:web gives a document to publish, and signs what it verifies', async () => {
    const identity = await createIdentity({ dir, name: 'site', method: 'web', curve, domain: 'example.com%3A8443:users:a', now })
    expect(identity.vid).toBe('did:web:example.com%3A8443:users:a')
    expect(identity.kid).toMatch(/^did:web:example\.com%3A8443:users:a#[\w-]{43}$/)
    const { didDocument } = await exportIdentity(dir, 'site')
    const keys = authenticationKeysOf(didDocument, parseVid(identity.vid))
    const jwt = await (await openIdentity(dir, 'site')).sign({ a: 1 }, 'JWT')
    expect(await isSignedBy(keys, jwt)).toBe(true)
    expect(JSON.stringify(didDocument)).not.toContain('"d"')
  })

  test.each(['key', 'jwk', 'web'] as const)('as did:%s comes out with its key only when asked, and goes in elsewhere as the same', async (method) => {
    const identity = await createIdentity({ dir, name: 'alice', method, curve, ...(method === 'web' && { domain: 'example.com' }), now })
    expect(await exportIdentity(dir, 'alice')).not.toHaveProperty('privateJwk')
    const exported: unknown = JSON.parse(JSON.stringify(await exportIdentity(dir, 'alice', { withPrivateKey: true })))
    const elsewhere = join(dir, 'elsewhere')
    expect(await importIdentity({ dir: elsewhere, name: 'bob', exported, now })).toEqual({ ...identity, name: 'bob' })
    expect(partOf(await (await openIdentity(elsewhere, 'bob')).sign({}, 'JWT'), 0)).toEqual({ alg: identity.alg, kid: identity.kid, typ: 'JWT' })
  })

  test('is not imported when the key is another one', async () => {
    await createIdentity({ dir, name: 'alice', method: 'key', curve, now })
    const exported = await exportIdentity(dir, 'alice', { withPrivateKey: true })
    const other = newPair(curve)
    for (const privateJwk of [
      { ...other.jwk, d: other.d },
      { ...exported.privateJwk, d: other.d },
      { ...other.jwk, d: exported.privateJwk?.d },
      { ...exported.privateJwk, d: 'x' },
    ]) {
      const refusal: unknown = await importIdentity({ dir, name: 'bob', exported: { ...exported, privateJwk }, now }).catch((thrown: unknown) => thrown)
      expect(refusal).toMatchObject({ code: 'identity_invalid' })
      expect(JSON.stringify([refusal, String(refusal)])).not.toContain(other.d)
    }
    expect(readdirSync(join(dir, 'identities'))).toEqual(['alice.json'])
  })
})

test('files are for nobody else to read, and are listed by name', async () => {
  for (const name of ['b', 'a.b-c_d', '0']) await createIdentity({ dir, name, method: 'key', curve: 'Ed25519', now })
  expect([dir, join(dir, 'identities'), pathOf('b')].map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual(['700', '700', '600'])
  expect((await listIdentities(dir)).map(({ name }) => name)).toEqual(['0', 'a.b-c_d', 'b'])
})

test('without a directory there are no identities', async () => {
  expect(await listIdentities(dir)).toEqual([])
  await expect(openIdentity(dir, 'alice')).rejects.toMatchObject({ code: 'usage', message: 'there is no identity alice' })
})

test('a name is given once: of many that create it, one does', async () => {
  const made = await Promise.allSettled(Array.from({ length: 8 }, () => createIdentity({ dir, name: 'alice', method: 'key', curve: 'Ed25519', now })))
  const [winner] = made.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect((await openIdentity(dir, 'alice')).identity).toEqual(winner)
  await expect(createIdentity({ dir, name: 'alice', method: 'key', curve: 'P-256', now })).rejects.toMatchObject({ code: 'usage' })
})

test.each(['', 'A', '.a', '-a', '../a', 'a/b', 'a\0', 'a'.repeat(65), 'ä'])('%j is no name', async (name) => {
  await expect(createIdentity({ dir, name, method: 'key', curve: 'Ed25519', now })).rejects.toMatchObject({ code: 'usage' })
  await expect(openIdentity(dir, name)).rejects.toMatchObject({ code: 'usage' })
})

test.each([undefined, '', 'EXAMPLE.com', 'example.com/a', 'https://example.com', 'a b', 'example.com:..', '127.1'])(
  '%j is no domain for a did:web',
  async (domain) => {
    const made = createIdentity({ dir, name: 'site', method: 'web', curve: 'Ed25519', ...(domain !== undefined && { domain }), now })
    await expect(made).rejects.toMatchObject({ code: expect.stringMatching(/^(usage|identity_invalid)$/) })
    expect(await listIdentities(dir)).toEqual([])
  },
)

test('a did:key with a domain is refused', async () => {
  await expect(createIdentity({ dir, name: 'a', method: 'key', curve: 'Ed25519', domain: 'example.com', now })).rejects.toMatchObject({ code: 'usage' })
})

describe('a rotation', () => {
  test('of a did:web signs with a new key at once, keeps the old one in the document once, and forgets its secret', async () => {
    const first = await createIdentity({ dir, name: 'site', method: 'web', curve: 'Ed25519', domain: 'example.com', now })
    const signer = await openIdentity(dir, 'site')
    const before = await signer.sign({}, 'JWT')
    const { privateJwk } = await exportIdentity(dir, 'site', { withPrivateKey: true })
    const second = await rotateIdentity({ dir, name: 'site', now })
    expect(second.kid).not.toBe(first.kid)
    expect(readFileSync(pathOf('site'), 'utf8')).not.toContain(privateJwk?.d)
    const keys = authenticationKeysOf((await exportIdentity(dir, 'site')).didDocument, first.vid)
    expect(keys.map(({ id }) => id)).toEqual([second.kid, first.kid])
    expect([await isSignedBy(keys, before), await isSignedBy(keys, await signer.sign({}, 'JWT'))]).toEqual([true, true])
    const third = await rotateIdentity({ dir, name: 'site', now })
    expect(authenticationKeysOf((await exportIdentity(dir, 'site')).didDocument, first.vid).map(({ id }) => id)).toEqual([third.kid, second.kid])
    expect((statSync(pathOf('site')).mode & 0o777).toString(8)).toBe('600')
  })

  test.each(['key', 'jwk'] as const)('of a did:%s is refused: it is its key', async (method) => {
    const before = await createIdentity({ dir, name: 'alice', method, curve: 'P-256', now })
    await expect(rotateIdentity({ dir, name: 'alice', now })).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('create another') })
    expect((await openIdentity(dir, 'alice')).identity).toEqual(before)
  })
})

test('a deactivated identity is kept, and signs no more, not even where it is in use', async () => {
  const { vid } = await createIdentity({ dir, name: 'site', method: 'web', curve: 'Ed25519', domain: 'example.com', now })
  const signer = await openIdentity(dir, 'site')
  expect(await deactivateIdentity({ dir, name: 'site', now })).toMatchObject({ deactivated: true })
  await expect(signer.sign({}, 'JWT')).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('deactivated') })
  await expect(openIdentity(dir, 'site')).rejects.toMatchObject({ code: 'usage' })
  await expect(rotateIdentity({ dir, name: 'site', now })).rejects.toMatchObject({ code: 'usage' })
  expect(await listIdentities(dir)).toMatchObject([{ vid, deactivated: true }])
  expect((await exportIdentity(dir, 'site')).didDocument).toMatchObject({ id: vid, verificationMethod: [], authentication: [] })
})

describe('refused is', () => {
  test('a file or a directory that others can read', async () => {
    await createIdentity({ dir, name: 'alice', method: 'key', curve: 'Ed25519', now })
    chmodSync(pathOf('alice'), 0o644)
    await expect(openIdentity(dir, 'alice')).rejects.toMatchObject({ code: 'keys_unsafe', hint: `chmod 600 ${pathOf('alice')}` })
    chmodSync(pathOf('alice'), 0o600)
    chmodSync(join(dir, 'identities'), 0o750)
    await expect(listIdentities(dir)).rejects.toMatchObject({ code: 'keys_unsafe', hint: `chmod 700 ${join(dir, 'identities')}` })
  })

  test.each<[string, (file: Record<string, unknown>) => unknown]>([
    ['no JSON', () => undefined],
    ['an unknown member', (file) => ({ ...file, more: 1 })],
    ['a newer version', (file) => ({ ...file, version: 2 })],
    ['the DID of somebody else', (file) => ({ ...file, vid: 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp' })],
    ['no DID', (file) => ({ ...file, vid: 'alice' })],
    ['no keys', (file) => ({ ...file, keys: [] })],
  ])('a file with %s, and it is left as it is', async (_what, change) => {
    await createIdentity({ dir, name: 'alice', method: 'key', curve: 'Ed25519', now })
    const file = JSON.parse(readFileSync(pathOf('alice'), 'utf8')) as Record<string, unknown> // as we wrote it
    const text = JSON.stringify(change(file)) ?? '{'
    writeFileSync(pathOf('alice'), text)
    await expect(openIdentity(dir, 'alice')).rejects.toMatchObject({ code: 'keys_unsafe', message: expect.stringContaining(pathOf('alice')) })
    await expect(createIdentity({ dir, name: 'alice', method: 'key', curve: 'Ed25519', now })).rejects.toMatchObject({ code: 'usage' })
    expect(readFileSync(pathOf('alice'), 'utf8')).toBe(text)
  })
})
