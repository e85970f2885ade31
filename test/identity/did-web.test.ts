// did:web from real servers on loopback, and what the resolver remembers of them.
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { deactivateIdentity, exportIdentity, rotateIdentity } from '../../src/identity/own-identities.ts'
import { newOkpPair } from '../../src/identity/okp.ts'
import { createTspIdentity, openTspIdentity } from '../../src/identity/tsp/own.ts'
import { tspDocumentOf } from '../../src/identity/tsp/web-document.ts'
import { createGuardedFetch } from '../../src/identity/guarded-fetch.ts'
import { createResolver, type ResolverOptions } from '../../src/identity/resolver.ts'
import type { Resolver } from '../../src/identity/shapes.ts'
import { parseVid, type Vid } from '../../src/identity/vid.ts'
import { DID_KEYS, DID_PEER_4, DID_PEER_4_SHORT } from './vectors.ts'
import { until } from '../support/until.ts'

type Answer = (response: ServerResponse) => void

interface Web {
  resolver: Resolver
  vid: Vid
  paths: string[]
  says(answer: Answer | object): void
  pass(seconds: number): void
}

/** A host of did:web documents, and a resolver whose clock stands still. */
async function web({ path = '', timeoutMs = 3000, ...options }: Partial<ResolverOptions> & { path?: string; timeoutMs?: number } = {}): Promise<Web> {
  const paths: string[] = []
  let answer: Answer = (response) => response.writeHead(404).end()
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a server that listens on TCP has one
  const { fetch, close } = createGuardedFetch({ trustLoopback: true, timeoutMs })
  onTestFinished(() => {
    close()
    server.closeAllConnections()
    server.close()
  })
  let nowMs = 1_000_000
  return {
    resolver: createResolver({ fetch, now: () => nowMs, trustLoopback: true, ...options }),
    vid: parseVid(`did:web:127.0.0.1%3A${port}${path}`),
    paths,
    says(next) {
      answer = typeof next === 'function' ? (next as Answer) : (response) => void response.end(JSON.stringify(next)) // a function here is an Answer
    },
    pass(seconds) {
      nowMs += seconds * 1000
    },
  }
}

const [ED25519, P256, , SECP256K1] = DID_KEYS
const multibase = (did: string): string => did.slice('did:key:'.length)

function documentOf(vid: Vid, changes: object = {}): object {
  const verificationMethod = [{ id: '#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: ED25519.jwk }]
  return { id: vid, verificationMethod, authentication: ['#k'], ...changes }
}

describe('did:web by TSP', () => {
  const profile = { verifying: newOkpPair('Ed25519').x, sealing: newOkpPair('X25519').x, endpoint: 'tcp://127.0.0.1:13371' }

  test('says with which keys and where it sends and receives', async () => {
    const host = await web()
    host.says(tspDocumentOf(host.vid, profile))
    const found = await host.resolver.resolve(host.vid)
    expect(found).toMatchObject({ state: 'found', vid: host.vid, tsp: profile, authentication: [{ alg: 'EdDSA', jwk: { x: profile.verifying } }] })
  })

  test('as an identity of ours writes it is found with its keys, and after a rotation with the new ones', async () => {
    const host = await web({ path: ':tsp' })
    const dir = join(mkdtempSync(join(tmpdir(), 'openmcp-web-')), 'keys')
    onTestFinished(() => rmSync(join(dir, '..'), { recursive: true, force: true }))
    const domain = host.vid.slice('did:web:'.length)
    const named = { dir, name: 'site', now: () => 0 }
    const made = await createTspIdentity({ ...named, method: 'web', domain, endpoint: profile.endpoint })
    const published = async (): Promise<unknown> => {
      host.says((await exportIdentity(dir, 'site')).didDocument ?? {})
      host.pass(61)
      const found = await host.resolver.resolve(host.vid)
      return found.state === 'found' ? found.tsp : found
    }
    expect(await published()).toEqual(made.profile)
    await rotateIdentity(named)
    const rotated = await openTspIdentity(dir, 'site')
    expect(await published()).toEqual(rotated.profile)
    expect(rotated.profile).not.toEqual(made.profile)
    await deactivateIdentity(named)
    expect(await published()).toBeUndefined()
  })

  test('says nothing of it in the document of another', async () => {
    const host = await web()
    host.says(tspDocumentOf(parseVid('did:web:example.com'), profile))
    expect(await host.resolver.resolve(host.vid)).toMatchObject({ state: 'invalid' })
  })
})

describe('did:web', () => {
  test('is found at /.well-known/did.json, relative ids made absolute', async () => {
    const host = await web()
    host.says(documentOf(host.vid))
    const authentication = [{ id: `${host.vid}#k`, alg: 'EdDSA', jwk: ED25519.jwk }]
    await expect(host.resolver.resolve(host.vid)).resolves.toEqual({ state: 'found', vid: host.vid, authentication, resolvedAtMs: 1_000_000 })
    expect(host.paths).toEqual(['/.well-known/did.json'])
  })

  test('with a path is found at its path', async () => {
    const host = await web({ path: ':user:alice' })
    host.says(documentOf(host.vid))
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'found' })
    expect(host.paths).toEqual(['/user/alice/did.json'])
  })

  test('of this machine is not fetched where loopback is not trusted', async () => {
    const host = await web({ trustLoopback: false, fetch: createGuardedFetch({ trustLoopback: false }).fetch })
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'invalid' })
    expect(host.paths).toEqual([])
  })

  test('lets every type of key log in that is for it', async () => {
    const host = await web()
    const { vid } = host
    const embedded = [
      { id: '#1', type: 'JsonWebKey', controller: vid, publicKeyJwk: P256.jwk },
      { id: `${vid}#2`, type: 'Multikey', controller: vid, publicKeyMultibase: multibase(SECP256K1.did) },
      { id: '#3', type: 'Ed25519VerificationKey2020', controller: vid, publicKeyMultibase: multibase(ED25519.did) },
      { id: '#4', type: 'Ed25519VerificationKey2018', controller: vid, publicKeyBase58: '4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS' },
      { id: '#5', type: 'EcdsaSecp256k1VerificationKey2019', controller: vid, publicKeyJwk: SECP256K1.jwk },
    ]
    host.says({ id: vid, authentication: embedded })
    const found = await host.resolver.resolve(vid)
    expect(found.state === 'found' && found.authentication.map(({ id, alg, jwk }) => [id, alg, jwk])).toEqual([
      [`${vid}#1`, 'ES256', P256.jwk],
      [`${vid}#2`, 'ES256K', SECP256K1.jwk],
      [`${vid}#3`, 'EdDSA', ED25519.jwk],
      [`${vid}#4`, 'EdDSA', ED25519.jwk],
      [`${vid}#5`, 'ES256K', SECP256K1.jwk],
    ])
  })

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })

  test.each<[string, (vid: Vid) => object]>([
    ['without authentication', (vid) => documentOf(vid, { authentication: undefined })],
    ['for key agreement and assertions alone', (vid) => documentOf(vid, { authentication: [], keyAgreement: ['#k'], assertionMethod: ['#k'] })],
    [
      'controlled by another',
      (vid) => ({ id: vid, authentication: [{ id: '#k', type: 'JsonWebKey2020', controller: 'did:web:evil.example', publicKeyJwk: ED25519.jwk }] }),
    ],
    ['controlled by nobody', (vid) => ({ id: vid, authentication: [{ id: '#k', type: 'JsonWebKey2020', publicKeyJwk: ED25519.jwk }] })],
    ['of another document', (vid) => documentOf(vid, { authentication: ['did:web:evil.example#k'] })],
    [
      'with an id under another DID',
      (vid) => ({ id: vid, authentication: [{ id: 'did:web:evil.example#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: ED25519.jwk }] }),
    ],
    ['that is not there', (vid) => documentOf(vid, { authentication: ['#other'] })],
    ['of an unknown type', (vid) => ({ id: vid, authentication: [{ id: '#k', type: 'constructor', controller: vid, publicKeyJwk: ED25519.jwk }] })],
    ['for RSA', (vid) => ({ id: vid, authentication: [{ id: '#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: rsa }] })],
    [
      'for encryption',
      (vid) => ({ id: vid, authentication: [{ id: '#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: { ...P256.jwk, use: 'enc' } }] }),
    ],
  ])('lets no key log in that is %s', async (_what, documentFor) => {
    const host = await web()
    host.says(documentFor(host.vid))
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'found', authentication: [] })
  })

  test.each<[string, (vid: Vid) => object]>([
    ['of another DID', (vid) => ({ ...documentOf(vid), id: 'did:web:example.com' })],
    ['of nobody', (vid) => ({ ...documentOf(vid), id: undefined })],
    ['that is a list', () => []],
    [
      'with two keys of one id',
      (vid) => documentOf(vid, { authentication: [{ id: `${vid}#k`, type: 'JsonWebKey2020', controller: vid, publicKeyJwk: P256.jwk }] }),
    ],
    ['with methods that are no list', (vid) => documentOf(vid, { verificationMethod: { length: 1 } })],
    ['with a method that is a text', (vid) => documentOf(vid, { verificationMethod: ['#k'] })],
    ['with a method without an id', (vid) => documentOf(vid, { verificationMethod: [{ type: 'JsonWebKey2020' }] })],
    ['with an id that is endless', (vid) => documentOf(vid, { authentication: [`#${'k'.repeat(2000)}`] })],
    ['with 33 methods', (vid) => documentOf(vid, { authentication: Array.from({ length: 33 }, (_, index) => `#${index}`) })],
    ['with a number for a reference', (vid) => documentOf(vid, { authentication: [7] })],
    [
      'with a private key',
      (vid) =>
        documentOf(vid, { verificationMethod: [{ id: '#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: { ...ED25519.jwk, d: ED25519.jwk.x } }] }),
    ],
    [
      'with a key of small order',
      (vid) =>
        documentOf(vid, { verificationMethod: [{ id: '#k', type: 'JsonWebKey2020', controller: vid, publicKeyJwk: { ...ED25519.jwk, x: 'A'.repeat(43) } }] }),
    ],
    [
      'with a key that is not of its type',
      (vid) =>
        documentOf(vid, { verificationMethod: [{ id: '#k', type: 'Ed25519VerificationKey2020', controller: vid, publicKeyMultibase: multibase(P256.did) }] }),
    ],
    ['that is too deep', () => JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) as object],
  ])('refuses a document %s', async (_what, documentFor) => {
    const host = await web()
    host.says(documentFor(host.vid))
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'invalid' })
  })

  test.each<[string, string, Answer]>([
    ['not there', 'not_found', (response) => response.writeHead(404).end()],
    ['gone', 'not_found', (response) => response.writeHead(410).end()],
    ['no JSON', 'invalid', (response) => response.end('<html>')],
    ['empty', 'invalid', (response) => response.end()],
    ['a failure', 'failed', (response) => response.writeHead(500).end()],
    ['a redirect', 'failed', (response) => response.writeHead(302, { location: 'https://example.com/did.json' }).end()],
    ['megabytes', 'failed', (response) => response.end(Buffer.alloc(5_000_000, 32))],
    ['nothing, for ever', 'failed', () => {}],
    ['cut off', 'failed', (response) => void response.writeHead(200, { 'content-length': '10' }).write('{', () => response.destroy())],
  ])('whose document is %s is %s', async (_what, state, answer) => {
    const host = await web({ timeoutMs: 500 })
    host.says(answer)
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state })
  })
})

describe('what was resolved', () => {
  test('is remembered for a minute, and then asked for again', async () => {
    const host = await web()
    host.says(documentOf(host.vid))
    const first = await host.resolver.resolve(host.vid)
    host.pass(59)
    await expect(host.resolver.resolve(host.vid)).resolves.toBe(first)
    expect(host.paths).toHaveLength(1)
    host.pass(1)
    host.says((response) => response.writeHead(404).end())
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'not_found' })
  })

  test.each<[string, number, Answer]>([
    ['not there', 30, (response) => response.writeHead(404).end()],
    ['not valid', 30, (response) => response.end('[]')],
    ['not reachable', 5, (response) => response.writeHead(503).end()],
  ])('as %s is remembered for %i s', async (_what, seconds, answer) => {
    const host = await web()
    host.says(answer)
    const first = await host.resolver.resolve(host.vid)
    host.says(documentOf(host.vid))
    host.pass(seconds - 1)
    await expect(host.resolver.resolve(host.vid)).resolves.toBe(first)
    host.pass(1)
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'found' })
    expect(host.paths).toHaveLength(2)
  })

  test('is asked for again by one who wants it younger', async () => {
    const host = await web()
    host.says(documentOf(host.vid))
    await host.resolver.resolve(host.vid)
    host.pass(6)
    await host.resolver.resolve(host.vid, { maxAgeMs: 6000 })
    expect(host.paths).toHaveLength(1)
    host.pass(1)
    await host.resolver.resolve(host.vid, { maxAgeMs: 6000 })
    expect(host.paths).toHaveLength(2)
  })

  test('is not forgotten because its host cannot be reached by one who wants it younger', async () => {
    const host = await web()
    host.says(documentOf(host.vid))
    const first = await host.resolver.resolve(host.vid)
    host.pass(10)
    host.says((response) => response.writeHead(503).end())
    await expect(host.resolver.resolve(host.vid, { maxAgeMs: 5000 })).resolves.toMatchObject({ state: 'failed' })
    await expect(host.resolver.resolve(host.vid)).resolves.toBe(first)
  })

  test('by many at once is asked for once', async () => {
    const host = await web()
    const waiting: ServerResponse[] = []
    host.says((response) => void waiting.push(response))
    const all = Promise.all(Array.from({ length: 20 }, () => host.resolver.resolve(host.vid)))
    await until('it was asked for', () => waiting.length === 1)
    waiting[0]?.end(JSON.stringify(documentOf(host.vid)))
    expect(new Set(await all).size).toBe(1)
    expect(host.paths).toHaveLength(1)
  })

  test('is forgotten when there is too much of it, the longest unused first', async () => {
    const host = await web({ mostEntries: 2 })
    host.says(documentOf(host.vid))
    const [first, second] = DID_KEYS
    await host.resolver.resolve(host.vid)
    const key = await host.resolver.resolve(parseVid(first.did))
    await host.resolver.resolve(host.vid)
    await host.resolver.resolve(parseVid(second.did))
    await host.resolver.resolve(host.vid)
    expect(host.paths).toHaveLength(1)
    await expect(host.resolver.resolve(parseVid(first.did))).resolves.not.toBe(key)
  })

  test('of a DID that carries its keys never ages', async () => {
    const host = await web()
    const vid = parseVid(DID_KEYS[0].did)
    const first = await host.resolver.resolve(vid)
    host.pass(1e9)
    await expect(host.resolver.resolve(vid, { maxAgeMs: 0 })).resolves.toBe(first)
  })

  test('as a short form that was unknown is known as soon as its long form is', async () => {
    const host = await web()
    const short = parseVid(DID_PEER_4_SHORT)
    await expect(host.resolver.resolve(short)).resolves.toMatchObject({ state: 'not_found' })
    await host.resolver.resolve(parseVid(DID_PEER_4))
    await expect(host.resolver.resolve(short)).resolves.toMatchObject({ state: 'found' })
  })

  test('of a bug of ours is a failure, told to the log', async () => {
    const lines: string[] = []
    const note = (message: string): void => void lines.push(message)
    const log = { error: note, warn: note, info: note, debug: () => {}, debugging: false }
    const host = await web({
      log,
      fetch: async () => {
        throw new TypeError('a bug')
      },
    })
    await expect(host.resolver.resolve(host.vid)).resolves.toMatchObject({ state: 'failed', why: 'an internal error of openmcp' })
    expect(lines).toEqual(['a DID could not be resolved'])
  })
})
