// The methods that need no network: what a DID carries is all there is.
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { toBase58 } from '../../src/identity/base58.ts'
import type { Resolution } from '../../src/identity/document.ts'
import { newPrivateKey } from '../../src/identity/new-key.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import type { GuardedFetch, Resolver } from '../../src/identity/shapes.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { DID_JWK_P256, DID_JWK_X25519, DID_KEYS, DID_PEER_2, DID_PEER_4, DID_PEER_4_SHORT, KEY_OF_PEER_2, KEY_OF_PEER_4 } from './vectors.ts'

const noFetch: GuardedFetch = async () => {
  throw new Error('nothing is to be fetched')
}

function offline(): Resolver {
  return createResolver({ fetch: noFetch, now: () => 0 })
}

async function resolve(text: string): Promise<Resolution> {
  return offline().resolve(parseVid(text))
}

function keysOf(resolution: Resolution): unknown[] {
  return resolution.state === 'found' ? resolution.authentication.map(({ jwk }) => jwk) : []
}

function didKey(...bytes: readonly Uint8Array[]): string {
  return `did:key:z${toBase58(Buffer.concat(bytes))}`
}

function didJwk(jwk: object): string {
  return `did:jwk:${Buffer.from(JSON.stringify(jwk)).toString('base64url')}`
}

function peer4(document: unknown): string {
  const encoded = `z${toBase58(Buffer.concat([Buffer.from([0x80, 0x04]), Buffer.from(JSON.stringify(document))]))}`
  const hash = createHash('sha256').update(encoded).digest()
  return `did:peer:4z${toBase58(Buffer.concat([Buffer.from([0x12, 0x20]), hash]))}:${encoded}`
}

const ED25519 = Buffer.from('ed01', 'hex')
const P256 = Buffer.from('8024', 'hex')
const SECP256K1 = Buffer.from('e701', 'hex')

describe('did:key', () => {
  test.each(DID_KEYS)('reads the vector $did', async ({ did, alg, jwk }) => {
    const id = `${did}#${did.slice('did:key:'.length)}`
    await expect(resolve(did)).resolves.toEqual({ state: 'found', vid: did, authentication: [{ id, alg, jwk }], resolvedAtMs: 0 })
  })

  test('reads every P-256 key, those with zeros in front included, which key-did-resolver shortens', async () => {
    for (let seen = 0; seen < 2;) {
      const { x = '', y = '' } = newPrivateKey('P-256').export({ format: 'jwk' })
      const [xBytes, yBytes] = [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]
      if (xBytes[0] !== 0 && yBytes[0] !== 0) continue
      seen++
      const did = didKey(P256, Buffer.from([2 + ((yBytes[31] ?? 0) & 1)]), xBytes)
      expect(keysOf(await resolve(did))).toEqual([{ kty: 'EC', crv: 'P-256', x, y }])
    }
  })

  const p256 = newPrivateKey('P-256').export({ format: 'jwk' })
  const uncompressed = Buffer.concat([Buffer.from(p256.x ?? '', 'base64url'), Buffer.from(p256.y ?? '', 'base64url')])

  test.each<[string, string]>([
    ['Ed25519 of small order: the neutral point', didKey(ED25519, Buffer.from([1, ...new Uint8Array(31)]))],
    ['Ed25519 of small order: zero', didKey(ED25519, Buffer.alloc(32))],
    ['Ed25519 of small order: order 8', didKey(ED25519, Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex'))],
    ['Ed25519 with a coordinate above the prime', didKey(ED25519, Buffer.from(`ee${'ff'.repeat(30)}7f`, 'hex'))],
    ['Ed25519 that is no point', didKey(ED25519, Buffer.from(`02${'00'.repeat(31)}`, 'hex'))],
    ['Ed25519 that is too short', didKey(ED25519, Buffer.alloc(31, 7))],
    ['P-256 that is no point', didKey(P256, Buffer.from([2]), Buffer.alloc(32, 255))],
    ['P-256 that is not compressed, a second name of the same key', didKey(P256, Buffer.from([4]), uncompressed)],
    ['P-256 without its first byte, a third name of the same key', didKey(P256, uncompressed)],
    ['secp256k1 that is no point', didKey(SECP256K1, Buffer.from([2]), Buffer.alloc(32, 255))],
    ['a key for encryption', 'did:key:z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F'],
    ['P-384', 'did:key:z82LkvCwHNreneWpsgPEbV3gu1C6NFJEBg4srfJ5gdxEsMGRJUz2sG9FE42shbn2xkZJh54'],
    ['nothing', 'did:key:z1'],
    ['zeros in front', `did:key:z1${(DID_KEYS[0]?.did ?? '').slice('did:key:z'.length)}`],
  ])('refuses %s', async (_what, did) => {
    await expect(resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })

  test('of 100,000 characters is refused before anything decodes it', async () => {
    // The compiler promises that it was parsed; this one was not.
    const long = `did:key:z6Mk${'1'.repeat(100_000)}` as Vid
    await expect(offline().resolve(long)).resolves.toMatchObject({ state: 'invalid', why: 'it is not a DID as openmcp reads it' })
  })
})

describe('did:jwk', () => {
  test('reads the example of its specification', async () => {
    const key = { id: `${DID_JWK_P256.did}#0`, alg: 'ES256', jwk: DID_JWK_P256.jwk }
    await expect(resolve(DID_JWK_P256.did)).resolves.toMatchObject({ state: 'found', authentication: [key] })
  })

  test('of a key for encryption is an identity that cannot log in', async () => {
    await expect(resolve(DID_JWK_X25519)).resolves.toMatchObject({ state: 'found', authentication: [] })
    await expect(resolve(didJwk({ ...DID_JWK_P256.jwk, use: 'enc' }))).resolves.toMatchObject({ state: 'found', authentication: [] })
  })

  test.each(DID_KEYS)('reads a key for $alg and keeps nothing but its curve', async ({ jwk, alg }) => {
    expect(keysOf(await resolve(didJwk({ ...jwk, alg, use: 'sig', kid: 'mine', key_ops: ['verify'] })))).toEqual([jwk])
  })

  test.each<[string, string]>([
    ['a private key', didJwk({ kty: 'OKP', crv: 'Ed25519', x: DID_KEYS[0].jwk.x, d: DID_KEYS[0].jwk.x })],
    ['a shared secret', didJwk({ kty: 'oct', k: 'c2VjcmV0' })],
    ['RSA', didJwk({ kty: 'RSA', n: 'AQAB', e: 'AQAB' })],
    ['an algorithm of another curve', didJwk({ ...DID_JWK_P256.jwk, alg: 'HS256' })],
    ['a key that only signs', didJwk({ ...DID_JWK_P256.jwk, key_ops: ['sign'] })],
    ['a point that is not on the curve', didJwk({ ...DID_JWK_P256.jwk, y: DID_JWK_P256.jwk.x })],
    ['a coordinate that is too short', didJwk({ ...DID_JWK_P256.jwk, x: 'AQAB' })],
    ['a coordinate that is no text', didJwk({ ...DID_JWK_P256.jwk, x: 7 })],
    ['Ed25519 of small order', didJwk({ kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32).toString('base64url') })],
    ['a list', didJwk([1])],
    ['no JSON', 'did:jwk:AAAA'],
    ['base64url with bits left over', `${didJwk(DID_JWK_P256.jwk).slice(0, -1)}_`],
    ['a prototype', `did:jwk:${Buffer.from(`{"__proto__":{"kty":"OKP"}}`).toString('base64url')}`],
  ])('refuses %s', async (_what, did) => {
    await expect(resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })
})

describe('did:peer:2', () => {
  test('reads the example of its specification: the key for authentication, by its number', async () => {
    const [key] = keysOf(await resolve(KEY_OF_PEER_2))
    await expect(resolve(DID_PEER_2)).resolves.toMatchObject({ state: 'found', authentication: [{ id: `${DID_PEER_2}#key-1`, alg: 'EdDSA', jwk: key }] })
  })

  test('numbers its keys in their order, and lets only V log in', async () => {
    const key = KEY_OF_PEER_2.slice('did:key:'.length)
    const did = `did:peer:2.A${key}.Se30.V${key}`
    await expect(resolve(did)).resolves.toMatchObject({ state: 'found', authentication: [{ id: `${did}#key-2` }] })
  })

  test('of a key that is none, or of too many, is refused', async () => {
    const short = didKey(ED25519, Buffer.alloc(31, 7)).slice('did:key:'.length)
    await expect(resolve(`did:peer:2.V${short}`)).resolves.toMatchObject({ state: 'invalid' })
    const key = KEY_OF_PEER_2.slice('did:key:'.length)
    await expect(resolve(`did:peer:2${`.V${key}`.repeat(33)}`)).resolves.toMatchObject({ state: 'invalid' })
  })
})

describe('did:peer:4', () => {
  test('reads the example of its specification, and names the identity by its short form', async () => {
    const [key] = keysOf(await resolve(KEY_OF_PEER_4))
    const authentication = [{ id: `${DID_PEER_4}#6MkrCD1c`, alg: 'EdDSA', jwk: key }]
    await expect(resolve(DID_PEER_4)).resolves.toEqual({ state: 'found', vid: DID_PEER_4_SHORT, authentication, resolvedAtMs: 0 })
  })

  test('is found by its short form once the long one was seen', async () => {
    const resolver = offline()
    await expect(resolver.resolve(parseVid(DID_PEER_4_SHORT))).resolves.toMatchObject({ state: 'not_found' })
    await resolver.resolve(parseVid(DID_PEER_4))
    const found = await resolver.resolve(parseVid(DID_PEER_4_SHORT))
    expect(found).toMatchObject({ state: 'found', vid: DID_PEER_4_SHORT, authentication: [{ id: `${DID_PEER_4_SHORT}#6MkrCD1c` }] })
  })

  test('with a document that its hash is not of teaches nobody its short form', async () => {
    const resolver = offline()
    const other = peer4({ authentication: [] })
    const forged = `${DID_PEER_4_SHORT}:${other.split(':').at(-1)}`
    await expect(resolver.resolve(parseVid(forged))).resolves.toMatchObject({ state: 'invalid' })
    await expect(resolver.resolve(parseVid(DID_PEER_4_SHORT))).resolves.toMatchObject({ state: 'not_found' })
  })

  test.each<[string, unknown]>([
    ['an id of its own', { id: 'did:example:a' }],
    ['a list', []],
    ['a text', 'text'],
    ['methods that are no list', { verificationMethod: {} }],
    ['methods deeper than anybody needs', JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)],
  ])('refuses a document with %s', async (_what, document) => {
    await expect(resolve(peer4(document))).resolves.toMatchObject({ state: 'invalid' })
  })

  test('carries no JSON and is refused', async () => {
    const encoded = `z${toBase58(Buffer.from('nothing'))}`
    const hash = createHash('sha256').update(encoded).digest()
    const did = `did:peer:4z${toBase58(Buffer.concat([Buffer.from([0x12, 0x20]), hash]))}:${encoded}`
    await expect(resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })
})

describe('did:pkh', () => {
  test('is a name with which nobody logs in', async () => {
    const did = 'did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a'
    await expect(resolve(did)).resolves.toEqual({ state: 'found', vid: did, authentication: [], resolvedAtMs: 0 })
  })
})

describe('any other DID', () => {
  test.each(['did:constructor:x', 'did:tostring:x', 'did:example:123', 'did:ethr:0xb9c5714089478a327f09197987f16f9e5d936e8a'])(
    'is refused with words: %s',
    async (did) => {
      await expect(resolve(did)).resolves.toMatchObject({ state: 'invalid', why: 'its DID method is not one that openmcp reads' })
    },
  )

  test('never makes resolve reject, whatever the text is', async () => {
    const resolver = offline()
    const base58 = fc.string({ unit: fc.constantFrom(...'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'.split('')), maxLength: 80 })
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      base58.map((text) => `did:key:z${text}`),
      base58.map((text) => `did:jwk:${text}`),
      base58.map((text) => `did:peer:2.Vz${text}`),
      fc.json({ maxDepth: 3 }).map((json) => `did:jwk:${Buffer.from(json).toString('base64url')}`),
      fc.json({ maxDepth: 3 }).map((json) => peer4(JSON.parse(json))),
    )
    // The compiler promises that they were parsed; these were not.
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        expect(['found', 'not_found', 'invalid']).toContain((await resolver.resolve(text as Vid)).state)
      }),
      { numRuns: 500 },
    )
  })
})
