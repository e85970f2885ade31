import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { isVid, methodOf, parseVid, shortFormOf } from '../../src/identity/vid.ts'
import { DID_JWK_P256, DID_KEYS, DID_PEER_2, DID_PEER_4, DID_PEER_4_SHORT } from './vectors.ts'

const SCID = 'QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ'

describe('a DID', () => {
  test.each([
    ...DID_KEYS.map(({ did }) => did),
    DID_JWK_P256.did,
    DID_PEER_2,
    DID_PEER_4,
    DID_PEER_4_SHORT,
    'did:web:example.com',
    'did:web:example.com%3A3000:user:alice',
    'did:web:127.0.0.1%3A3000',
    `did:webvh:${SCID}:example.com:dids:issuer`,
    'did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a',
    'did:example:a::b',
  ])('is read as it is written: %s', (text) => {
    expect(parseVid(text)).toBe(text)
    expect(isVid(text)).toBe(true)
  })

  test('tells its method', () => {
    expect(methodOf(parseVid('did:web:example.com'))).toBe('web')
  })

  test.each<[string, unknown]>([
    ['no text', 17],
    ['nothing', undefined],
    ['an empty text', ''],
    ['not a DID', 'https://example.com'],
    ['without an identifier', 'did:web:'],
    ['ending with a colon', 'did:example:a:'],
    ['a method in capitals', 'did:KEY:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'],
    ['a method that is a prototype', 'did:__proto__:x'],
    ['a scheme in capitals', 'DID:web:example.com'],
    ['a path', 'did:web:example.com/a'],
    ['a query', 'did:web:example.com?versionId=1'],
    ['a fragment', 'did:web:example.com#key'],
    ['a control character', 'did:web:example.com\u0000'],
    ['a line break at the end', 'did:web:example.com\n'],
    ['a letter of another alphabet', 'did:web:exаmple.com'],
    ['a space', ' did:web:example.com'],
    ['percent-encoding that is cut', 'did:example:%4'],
    ['percent-encoding in lower case', 'did:web:example.com%3a80'],
    ['did:key in another base', 'did:key:f6d6b'],
    ['did:key of a letter that base58 has not', 'did:key:z6Mk0'],
    ['a host in capitals', 'did:web:Example.com'],
    ['the default port', 'did:web:example.com%3A443'],
    ['a port with a zero in front', 'did:web:example.com%3A080'],
    ['a port that is none', 'did:web:example.com%3A70000'],
    ['a number as an address', 'did:web:2130706433'],
    ['a short address', 'did:web:127.1'],
    ['a hexadecimal address', 'did:web:0x7f.0.0.1'],
    ['a dot at the end of a host', 'did:web:example.com.'],
    ['userinfo', 'did:web:user%40example.com'],
    ['a path upwards', 'did:web:example.com:..:secret'],
    ['a path with a slash in it', 'did:web:example.com:a%2Fb'],
    ['an empty part of a path', 'did:web:example.com::b'],
    ['did:webvh without a SCID', 'did:webvh:example.com'],
    ['did:peer of a form that is not read', 'did:peer:0z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'],
    ['a wallet of another chain', 'did:pkh:solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ:CKg5d12Jhpej1JqtmxLJgaFqqeYjxgPqToJ4LBdvG9Ev'],
    ['a wallet with a wrong checksum', 'did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed'],
  ])('is refused: %s', (_what, text) => {
    expect(() => parseVid(text)).toThrow(expect.objectContaining({ code: 'identity_invalid' }))
    expect(isVid(text)).toBe(false)
  })

  test.each([
    ['key', 512],
    ['web', 512],
    ['webvh', 512],
    ['pkh', 512],
    ['unknown', 512],
    ['jwk', 1024],
    ['peer', 4096],
  ])('of did:%s has at most %i characters, and is not looked at beyond', (method, most) => {
    const long = `did:${method}:z`.padEnd(most + 1, '1')
    expect(() => parseVid(long)).toThrow(/too long/)
  })

  test('of a wallet is one identity, with the checksum of EIP-55 and without', () => {
    const plain = 'did:pkh:eip155:1:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'
    const checksummed = 'did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    expect(parseVid(checksummed)).toBe(plain)
    expect(parseVid(plain)).toBe(plain)
    expect(isVid(checksummed)).toBe(false)
  })

  test('of did:peer:4 has a short form, every other is its own', () => {
    expect(shortFormOf(parseVid(DID_PEER_4))).toBe(DID_PEER_4_SHORT)
    expect(shortFormOf(parseVid(DID_PEER_4_SHORT))).toBe(DID_PEER_4_SHORT)
    expect(shortFormOf(parseVid(DID_PEER_2))).toBe(DID_PEER_2)
  })

  test('is the only thing that is not refused, and by one code', () => {
    const texts = fc.oneof(
      fc.anything(),
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.constantFrom('key', 'jwk', 'web', 'webvh', 'peer', 'pkh', 'constructor'), fc.string()).map(([method, rest]) => `did:${method}:${rest}`),
    )
    fc.assert(
      fc.property(texts, (text) => {
        expect(outcomeOf(text)).toMatch(/^(identity_invalid|the same again)$/)
      }),
      { numRuns: 2000 },
    )
  })
})

function outcomeOf(text: unknown): unknown {
  try {
    const vid = parseVid(text)
    return parseVid(vid) === vid ? 'the same again' : vid
  } catch (thrown) {
    return thrown instanceof OpenMcpError ? thrown.code : thrown
  }
}
