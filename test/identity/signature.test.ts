import { createPublicKey, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import type { PublicJwk, SignatureAlgorithm, VerificationKey } from '../../src/identity/document.ts'
import { newPrivateKey } from '../../src/identity/new-key.ts'
import { keyForKid, verifySignature } from '../../src/identity/signature.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { DID_KEYS, DID_PEER_4, DID_PEER_4_SHORT } from './vectors.ts'

interface Pair {
  key: VerificationKey
  sign(text: string): Buffer
}

function pairFor(alg: SignatureAlgorithm): Pair {
  const curves = { EdDSA: 'Ed25519', ES256: 'P-256', ES256K: 'secp256k1' } as const
  const privateKey = newPrivateKey(curves[alg])
  // Node exports a JWK of the curve it was asked for.
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as unknown as PublicJwk
  return {
    key: { id: 'did:example:a#1', alg, jwk },
    sign: (text) => sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  }
}

/** The order of the curve: s and n − s are both good. */
const ORDERS = {
  ES256: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  ES256K: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
}

describe('a signature', () => {
  test.each(['EdDSA', 'ES256', 'ES256K'] as const)('of %s is good for its text and its key alone', async (alg) => {
    const [pair, other] = [pairFor(alg), pairFor(alg)]
    const signature = pair.sign('text')
    await expect(verifySignature(pair.key, Buffer.from('text'), signature)).resolves.toBe(true)
    await expect(verifySignature(pair.key, Buffer.from('text'), signature)).resolves.toBe(true)
    await expect(verifySignature(pair.key, Buffer.from('texu'), signature)).resolves.toBe(false)
    await expect(verifySignature(other.key, Buffer.from('text'), signature)).resolves.toBe(false)
    for (const wrong of [Buffer.alloc(0), Buffer.alloc(64), signature.subarray(1), Buffer.concat([signature, Buffer.alloc(1)])]) {
      await expect(verifySignature(pair.key, Buffer.from('text'), wrong)).resolves.toBe(false)
    }
  })

  test.each(['ES256', 'ES256K'] as const)('of %s is good with a high and with a low s', async (alg) => {
    const pair = pairFor(alg)
    const signature = pair.sign('text')
    const negated = BigInt(`0x${ORDERS[alg]}`) - BigInt(`0x${signature.subarray(32).toString('hex')}`)
    const other = Buffer.concat([signature.subarray(0, 32), Buffer.from(negated.toString(16).padStart(64, '0'), 'hex')])
    await expect(verifySignature(pair.key, Buffer.from('text'), other)).resolves.toBe(true)
  })

  test.each<[string, SignatureAlgorithm, PublicJwk]>([
    ['a point that is not on its curve', 'ES256', { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' }],
    ['nothing', 'EdDSA', { kty: 'OKP', crv: 'Ed25519', x: '' }],
    ['a key of another curve', 'ES256', pairFor('EdDSA').key.jwk],
  ])('is never good for %s', async (_what, alg, jwk) => {
    await expect(verifySignature({ id: 'did:example:a#1', alg, jwk }, Buffer.from('text'), Buffer.alloc(64, 1))).resolves.toBe(false)
  })
})

describe('the kid of a JWT', () => {
  const web = parseVid('did:web:example.com')
  const keyNamed = (id: string): VerificationKey => ({ id, alg: 'EdDSA', jwk: DID_KEYS[0].jwk })
  const keys = [keyNamed('did:web:example.com#a'), keyNamed('did:web:example.com#b')]

  test.each(['did:web:example.com#b', '#b', 'b'])('names a key as %s', (kid) => {
    expect(keyForKid(keys, web, kid)).toBe(keys[1])
  })

  test.each([
    '',
    '#',
    'c',
    'did:web:example.com',
    'did:web:other.example#b',
    'did:web:example.com#c',
    'did:web:example.com#b#b',
    'https://example.com#b',
    'keys-1',
    '#keys-1',
  ])('names none as %o', (kid) => {
    expect(keyForKid(keys, web, kid)).toBeUndefined()
  })

  test('names the one key of a did:key as MCP-I does, and never one of many', () => {
    const [{ did }] = DID_KEYS
    const key = keyNamed(`${did}#${did.slice('did:key:'.length)}`)
    expect(keyForKid([key], parseVid(did), `${did}#keys-1`)).toBe(key)
    expect(keyForKid([key], parseVid(did), '#keys-1')).toBe(key)
    expect(keyForKid([key, key], parseVid(did), '#keys-1')).toBeUndefined()
    expect(keyForKid([key], parseVid(did), '#keys-2')).toBeUndefined()
  })

  test('names a key of a did:peer:4 by either form of it', () => {
    const key = keyNamed(`${DID_PEER_4}#k`)
    expect(keyForKid([key], parseVid(DID_PEER_4), `${DID_PEER_4_SHORT}#k`)).toBe(key)
    expect(keyForKid([key], parseVid(DID_PEER_4_SHORT), `${DID_PEER_4}#k`)).toBe(key)
  })
})
