import { describe, expect, test } from 'vitest'

import { toBase58 } from '../../src/identity/base58.ts'
import type { Resolution } from '../../src/identity/document.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import type { Resolver } from '../../src/identity/shapes.ts'
import { parsePiv, pivOf } from '../../src/identity/tsp/piv.ts'
import { tspProfileOf } from '../../src/identity/tsp/profile.ts'
import { tspDocumentOf } from '../../src/identity/tsp/web-document.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { vids } from '../tsp/vectors.ts'

const { alice, bob } = vids
const profile = { verifying: alice.publicSigkey, sealing: alice.publicEnckey, endpoint: 'https://example.com/tsp' }
const web = parseVid('did:web:example.com:tsp')

describe('a did:peer:4', () => {
  test.each(Object.entries(vids))('of the specification is made again from its keys: %s', (_name, vid) => {
    const made = peerFourOf({ verifying: vid.publicSigkey, sealing: vid.publicEnckey, endpoint: vid.transport })
    expect(made).toEqual({ short: vid.id, long: vid.idLongForm })
  })

  test('says in its long form with which keys and where it sends and receives', async () => {
    expect(tspIn(await offline().resolve(parseVid(alice.idLongForm)))).toEqual({ ...profile, endpoint: 'tsp://' })
  })

  test('says the same in its short form, once its long form was shown', async () => {
    const resolver = offline()
    expect(await resolver.resolve(parseVid(alice.id))).toMatchObject({ state: 'not_found' })
    await resolver.resolve(parseVid(alice.idLongForm))
    expect(await resolver.resolve(parseVid(alice.id))).toMatchObject({ state: 'found', vid: alice.id, tsp: { sealing: alice.publicEnckey } })
  })

  test('may name itself in its endpoint', async () => {
    const { short, long } = peerFourOf({ ...profile, endpoint: 'https://example.com/[vid_placeholder]' })
    expect(tspIn(await offline().resolve(long))).toMatchObject({ endpoint: `https://example.com/${short}` })
  })

  test('with a key of small order to seal to is good for logging in, and not for TSP', async () => {
    const { long } = peerFourOf({ ...profile, sealing: Buffer.alloc(32).toString('base64url') })
    expect(await offline().resolve(long)).toEqual(expect.not.objectContaining({ tsp: expect.anything() }))
    expect(await offline().resolve(long)).toMatchObject({ state: 'found', authentication: [{ alg: 'EdDSA' }] })
  })
})

describe('a did:peer:2 of older TSP', () => {
  const wrongKind = (first: number, key: string): string => `z${toBase58(Buffer.concat([Buffer.from([first, 0x20]), Buffer.from(key, 'base64url')]))}`
  const service = Buffer.from(JSON.stringify({ s: { uri: 'tcp://127.0.0.1:1337' }, t: 'tsp' })).toString('base64url')
  const did = parseVid(`did:peer:2.V${wrongKind(0xed, alice.publicSigkey)}.E${wrongKind(0xec, alice.publicEnckey)}.S${service}`)

  test('is read although its keys are of a wrong kind', async () => {
    expect(tspIn(await offline().resolve(did))).toEqual({ ...profile, endpoint: 'tcp://127.0.0.1:1337' })
  })

  test('whose service cannot be read is good for logging in', async () => {
    const broken = parseVid(`did:peer:2.V${wrongKind(0xed, alice.publicSigkey)}.Sbm90IGpzb24`)
    const found = await offline().resolve(broken)
    expect(found).toMatchObject({ state: 'found', authentication: [{ jwk: { x: alice.publicSigkey } }] })
    expect(tspIn(found)).toBeUndefined()
  })
})

describe('the document of a did:web', () => {
  test('is read as it was written', () => {
    expect(tspProfileOf(tspDocumentOf(web, profile), web)).toEqual(profile)
  })

  test.each<[string, (document: Record<string, unknown>) => void]>([
    ['no service', (document) => delete document['service']],
    ['a service that is no URL', (document) => (document['service'] = [{ type: 'TSPTransport', serviceEndpoint: 'here' }])],
    ['a service of another kind', (document) => (document['service'] = [{ type: 'LinkedDomains', serviceEndpoint: 'https://example.com' }])],
    ['no key to seal to', (document) => delete document['keyAgreement']],
    ['a key to seal to that is for signing', (document) => (document['keyAgreement'] = document['authentication'])],
    ['a key of somebody else', (document) => (document['keyAgreement'] = ['did:web:other.example#encryption-key'])],
  ])('with %s says nothing of TSP', (_what, change) => {
    const document: Record<string, unknown> = { ...tspDocumentOf(web, profile) }
    change(document)
    expect(tspProfileOf(document, web)).toBeUndefined()
  })
})

describe('a piv.json', () => {
  const text = JSON.stringify(alice)

  test('of the specification is taken over, with the long form that introduces it', () => {
    expect(parsePiv(JSON.parse(text))).toMatchObject({ vid: alice.id, long: alice.idLongForm, secrets: { signing: alice.sigkey, opening: alice.enckey } })
  })

  test('is written as it was read', () => {
    const identity = parsePiv(JSON.parse(text))
    expect(parsePiv(JSON.parse(pivOf(identity)))).toEqual(identity)
  })

  test('of a did:web is its own long form', () => {
    expect(parsePiv({ ...alice, id: web })).toMatchObject({ vid: web, long: web })
  })

  test.each<[string, object, string]>([
    ['the secret of another', { sigkey: bob.sigkey }, 'the sigkey of the piv.json does not belong to its publicSigkey'],
    ['another key to seal to', { publicEnckey: bob.publicEnckey }, 'the enckey of the piv.json does not belong to its publicEnckey'],
    ['the name of another', { id: bob.id }, 'the did:peer:4 is not made of these keys and this transport'],
    ['another transport than its name says', { transport: 'tcp://127.0.0.1:1' }, 'the did:peer:4 is not made of these keys and this transport'],
    ['a post-quantum key', { sigKeyType: 'MlDsa65' }, 'the sigKeyType of a piv.json that is read is Ed25519'],
    ['a short secret', { sigkey: 'AAAA' }, 'the sigkey of a piv.json is 32 bytes of base64url'],
    ['no transport', { transport: undefined }, 'the transport of a piv.json is a URL'],
  ])('with %s is refused', (_what, change, message) => {
    expect(() => parsePiv({ ...alice, ...change })).toThrow(message)
  })

  test('that is none is refused', () => {
    for (const piv of [undefined, null, 'text', [], {}]) expect(() => parsePiv(piv)).toThrow(/piv.json|DID/)
  })
})

function offline(): Resolver {
  return createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: () => 0 })
}

function tspIn(resolution: Resolution): unknown {
  return resolution.state === 'found' ? resolution.tsp : resolution
}
