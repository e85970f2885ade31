// did:webvh: logs that the library writes, and what becomes of them when somebody touches one.
import { createPublicKey, sign, verify } from 'node:crypto'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createDID,
  deactivateDID,
  multibaseEncode,
  prepareDataForSigning,
  signWitnessProofEntries,
  updateDID,
  type Entry,
  type Signer,
  type Verifier,
} from 'didwebvh-ts'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import type { Resolution } from '../../src/identity/document.ts'
import { createGuardedFetch } from '../../src/identity/guarded-fetch.ts'
import { newPrivateKey } from '../../src/identity/new-key.ts'
import { newOkpPair } from '../../src/identity/okp.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { parseVid } from '../../src/identity/vid.ts'

// Under NODE_ENV=test the library writes every log into the working directory. It looks once, when it is loaded.
vi.hoisted(() => {
  process.env['NODE_ENV'] = 'production'
})

interface Key {
  multibase: string
  signer: Signer
}

const verifier: Verifier = {
  async verify(signature, message, publicKey) {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' })
    return verify(null, message, key, signature)
  },
}

function newKey(): Key {
  const privateKey = newPrivateKey('Ed25519')
  const bytes = Buffer.from(privateKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  const multibase = multibaseEncode(Buffer.concat([Buffer.from('ed01', 'hex'), bytes]), 'z')
  const signer: Signer = {
    getVerificationMethodId: () => `did:key:${multibase}#${multibase}`,
    sign: async ({ document, proof }) => ({ proofValue: multibaseEncode(sign(null, await prepareDataForSigning(document, proof), privateKey), 'z') }),
  }
  return { multibase, signer }
}

interface Host {
  address: string
  paths: string[]
  files: Map<string, string>
  resolve(did: string): Promise<Resolution>
}

async function webHost(): Promise<Host> {
  const paths: string[] = []
  const files = new Map<string, string>()
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    const file = files.get(request.url ?? '')
    response.writeHead(file === undefined ? 404 : 200).end(file)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a server that listens on TCP has one
  const { fetch, close } = createGuardedFetch({
    trustLoopback: true,
    lookup: (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
  })
  onTestFinished(() => {
    close()
    server.closeAllConnections()
    server.close()
  })
  return {
    address: `localhost%3A${port}`,
    paths,
    files,
    // A resolver for each question: nothing is remembered.
    resolve: (did) => createResolver({ fetch, now: () => 0, trustLoopback: true }).resolve(parseVid(did)),
  }
}

const LOG = '/.well-known/did.jsonl'
const jsonl = (log: readonly object[]): string => `${log.map((entry) => JSON.stringify(entry)).join('\n')}\n`

function methodsOf(key: Key): object[] {
  return [{ type: 'Multikey', publicKeyMultibase: key.multibase, purpose: 'authentication' }]
}

interface Subject {
  host: Host
  key: Key
  did: string
  log: Entry[]
}

async function created(options: { witness?: object; portable?: boolean; verificationMethods?: object[]; services?: object[] } = {}): Promise<Subject> {
  const [host, key] = [await webHost(), newKey()]
  const { did, log } = await createDID({
    address: host.address,
    signer: key.signer,
    updateKeys: [key.multibase],
    verificationMethods: methodsOf(key),
    verifier,
    created: '2025-01-01T00:00:00Z',
    ...options,
  })
  host.files.set(LOG, jsonl(log))
  return { host, key, did, log }
}

describe('did:webvh by TSP', () => {
  const keys = { verifying: newOkpPair('Ed25519').x, sealing: newOkpPair('X25519').x }
  const method = (id: string, crv: string, use: string, x: string, purpose: string): object => ({
    id,
    type: 'JsonWebKey2020',
    publicKeyJwk: { kty: 'OKP', crv, use, x },
    purpose,
  })
  const forTsp = ({ verifying, sealing }: typeof keys, endpoint: string): { verificationMethods: object[]; services: object[] } => ({
    verificationMethods: [
      method('#verification-key', 'Ed25519', 'sig', verifying, 'authentication'),
      method('#encryption-key', 'X25519', 'enc', sealing, 'keyAgreement'),
    ],
    services: [{ id: '#tsp-transport', type: 'TSPTransport', serviceEndpoint: endpoint }],
  })
  const endpoint = 'https://example.com/tsp'

  test('says in the last entry of its log with which keys and where it sends and receives', async () => {
    const { host, key, did, log } = await created(forTsp(keys, endpoint))
    expect(await host.resolve(did)).toMatchObject({ state: 'found', vid: did, tsp: { ...keys, endpoint }, authentication: [{ jwk: { x: keys.verifying } }] })
    const next = { verifying: newOkpPair('Ed25519').x, sealing: newOkpPair('X25519').x }
    const updated = await updateDID({ log, signer: key.signer, updateKeys: [key.multibase], verifier, ...forTsp(next, 'tcp://127.0.0.1:13371') })
    host.files.set(LOG, jsonl(updated.log))
    expect(await host.resolve(did)).toMatchObject({ state: 'found', tsp: { ...next, endpoint: 'tcp://127.0.0.1:13371' } })
  })

  test('whose log somebody gave another endpoint is not believed', async () => {
    const { host, did, log } = await created(forTsp(keys, endpoint))
    host.files.set(LOG, jsonl(log).replace(endpoint, 'https://eve.example/tsp'))
    expect(await host.resolve(did)).toMatchObject({ state: 'invalid' })
  })

  test('that is deactivated has nothing by which it is reached', async () => {
    const { host, key, did, log } = await created(forTsp(keys, endpoint))
    const ended = await deactivateDID({ log, signer: key.signer, updateKeys: [key.multibase], verifier })
    host.files.set(LOG, jsonl(ended.log))
    expect(await host.resolve(did)).toEqual(expect.not.objectContaining({ tsp: expect.anything() }))
  })

  test('without a service of TSP is good for logging in alone', async () => {
    const { host, did } = await created({ ...forTsp(keys, endpoint), services: [{ id: '#a', type: 'LinkedDomains', serviceEndpoint: 'https://example.com/' }] })
    const found = await host.resolve(did)
    expect(found).toMatchObject({ state: 'found', authentication: [{ jwk: { x: keys.verifying } }] })
    expect(found).not.toHaveProperty('tsp')
  })
})

describe('did:webvh', () => {
  test('is found by its log, and its key may log in', async () => {
    const { host, did } = await created()
    const found = await host.resolve(did)
    expect(found).toMatchObject({ state: 'found', vid: did })
    expect(found.state === 'found' && found.authentication.map(({ alg }) => alg)).toEqual(['EdDSA'])
    expect(host.paths).toEqual([LOG])
  })

  test('that was rotated has its new key and not the old one', async () => {
    const { host, did, log, key } = await created()
    const next = newKey()
    const before = await host.resolve(did)
    const updated = await updateDID({ log, signer: key.signer, verifier, updateKeys: [next.multibase], verificationMethods: methodsOf(next) })
    host.files.set(LOG, jsonl(updated.log))
    const after = await host.resolve(did)
    expect(after.state === 'found' && after.authentication).toHaveLength(1)
    expect(after.state === 'found' && before.state === 'found' && after.authentication[0]?.jwk).not.toEqual(
      before.state === 'found' && before.authentication[0]?.jwk,
    )
  })

  test('that is deactivated is told so', async () => {
    const { host, did, log, key } = await created()
    const ended = await deactivateDID({ log, signer: key.signer, verifier })
    host.files.set(LOG, jsonl(ended.log))
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'deactivated' })
  })

  test('without a log is not there', async () => {
    const { host, did } = await created()
    host.files.clear()
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'not_found' })
  })

  test('with the log of another identity is refused', async () => {
    const { host, did } = await created()
    const thief = newKey()
    const stolen = await createDID({
      address: host.address,
      signer: thief.signer,
      updateKeys: [thief.multibase],
      verificationMethods: methodsOf(thief),
      verifier,
    })
    host.files.set(LOG, jsonl(stolen.log))
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })

  test('that moved away is no longer found by its old name', async () => {
    const { host, did, log, key } = await created({ portable: true })
    const moved = await updateDID({
      log,
      signer: key.signer,
      verifier,
      updateKeys: [key.multibase],
      verificationMethods: methodsOf(key),
      address: 'elsewhere.example',
    })
    expect(moved.did).not.toBe(did)
    host.files.set(LOG, jsonl(moved.log))
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })
})

type Tampering = (log: Entry[], subject: Subject) => string | readonly object[] | Promise<string | readonly object[]>

const [first, second] = [(log: Entry[]): Entry => log[0] ?? fail(), (log: Entry[]): Entry => log[1] ?? fail()]

function fail(): never {
  throw new Error('the log is shorter than the test thinks')
}

describe('a log of did:webvh', () => {
  const tampered: readonly [string, Tampering][] = [
    ['a document that was changed', (log) => [first(log), { ...second(log), state: { ...second(log).state, alsoKnownAs: ['did:web:evil.example'] } }]],
    ['a first document that was changed', (log) => [{ ...first(log), state: { ...first(log).state, alsoKnownAs: ['did:web:evil.example'] } }, second(log)]],
    ['other update keys', (log) => [{ ...first(log), parameters: { ...first(log).parameters, updateKeys: [newKey().multibase] } }, second(log)]],
    ['no proof', (log) => [first(log), { ...second(log), proof: undefined }]],
    ['an empty list of proofs', (log) => [first(log), { ...second(log), proof: [] }]],
    ['a proof of another entry', (log) => [first(log), { ...second(log), proof: first(log).proof }]],
    ['a proof that is none', (log) => [first(log), { ...second(log), proof: [{ ...second(log).proof?.[0], proofValue: `z${'2'.repeat(88)}` }] }]],
    ['a proof by a key that may not', async (log) => [first(log), { ...second(log), proof: [await strangersProof(second(log))] }]],
    ['its first entry missing', (log) => [second(log)]],
    ['its entries in another order', (log) => [second(log), first(log)]],
    ['an entry twice', (log) => [first(log), second(log), second(log)]],
    ['a time in the future', (log) => [first(log), { ...second(log), versionTime: '2999-01-01T00:00:00Z' }]],
    ['another version of the method', (log) => [{ ...first(log), parameters: { ...first(log).parameters, method: 'did:webvh:0.5' } }, second(log)]],
    ['no method', (log) => [{ ...first(log), parameters: { ...first(log).parameters, method: undefined } }, second(log)]],
    ['an entry that is a text', (log) => [first(log), ['x']]],
    ['an entry without parameters', (log) => [first(log), { ...second(log), parameters: undefined }]],
    ['a line that is no JSON', (log) => `${jsonl([first(log)])}{"versionId"`],
    [
      'a threshold that is no number',
      (log) => [first(log), { ...second(log), parameters: { witness: { threshold: 'none', witnesses: [{ id: 'did:key:z6Mk' }] } } }],
    ],
    ['witnesses where drafts had them', (log) => [first(log), { ...second(log), parameters: { witnesses: [], witnessThreshold: 0 } }]],
    ['nothing in it', () => ''],
    ['a prototype in it', (log) => `${jsonl([first(log)])}{"__proto__":{"deactivated":false},"parameters":{},"state":{}}`],
    [
      'a proof value of many characters',
      (log) => [first(log), { ...second(log), proof: [{ ...second(log).proof?.[0], proofValue: `z${'2'.repeat(20_000)}` }] }],
    ],
    ['proofs without end', (log) => [first(log), { ...second(log), proof: Array.from({ length: 65 }, () => second(log).proof?.[0]) }]],
    ['entries without end', () => '{"parameters":{},"state":{}}\n'.repeat(129)],
    ['more bytes than anybody reads', (log) => jsonl(log) + '\n'.repeat(70_000)],
  ]

  test.each(tampered)('with %s lets nobody in', async (_what, tamper) => {
    const subject = await created()
    const { host, did, log, key } = subject
    const updated = await updateDID({ log, signer: key.signer, verifier, updateKeys: [key.multibase], verificationMethods: methodsOf(key) })
    host.files.set(LOG, jsonl(updated.log))
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'found' })
    const changed = await tamper(structuredClone(updated.log), subject)
    host.files.set(LOG, typeof changed === 'string' ? changed : jsonl(changed))
    expect(['invalid', 'failed']).toContain((await host.resolve(did)).state)
  })

  async function strangersProof(entry: Entry): Promise<object> {
    const stranger = newKey()
    const { proof: proofs, ...document } = entry
    const proof = { ...proofs?.[0], verificationMethod: stranger.signer.getVerificationMethodId(), proofValue: undefined }
    return {
      ...proof,
      ...(await stranger.signer.sign({ document, proof: Object.fromEntries(Object.entries(proof).filter(([, value]) => value !== undefined)) })),
    }
  }
})

test('an entry with right hashes and no proof lets nobody in: whoever has the host can work out hashes', async () => {
  const { host, did, log, key } = await created()
  const thief = newKey()
  const updated = await updateDID({ log, signer: key.signer, verifier, updateKeys: [key.multibase], verificationMethods: methodsOf(thief) })
  // didwebvh-ts 2.8 takes an empty list of proofs for one in which no proof is wrong.
  host.files.set(LOG, jsonl([first(updated.log), { ...second(updated.log), proof: [] }]))
  await expect(host.resolve(did)).resolves.toMatchObject({ state: 'invalid', why: 'an entry of the log is not signed' })
})

describe('witnesses of did:webvh', () => {
  const PROOFS = '/.well-known/did-witness.json'
  const witness = newKey()
  const witnessDid = `did:key:${witness.multibase}`
  const parameter = { threshold: 1, witnesses: [{ id: witnessDid }] }

  test('have approved what is found', async () => {
    const { host, did, log } = await created({ witness: parameter })
    const proofs = await signWitnessProofEntries([first(log).versionId], parameter.witnesses, { [witnessDid]: witness.signer })
    host.files.set(PROOFS, JSON.stringify(proofs))
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'found' })
    expect(host.paths).toEqual([LOG, PROOFS])
  })

  test.each<[string, (log: Entry[]) => Promise<string | undefined>]>([
    ['said nothing', async () => undefined],
    ['said nothing in a list', async () => '[]'],
    ['said what is no list', async () => '{}'],
    ['said what is no proof', async () => '[{"versionId":"1-a","proof":7}]'],
    [
      'approved another version',
      async () => JSON.stringify(await signWitnessProofEntries(['1-QmNothing'], parameter.witnesses, { [witnessDid]: witness.signer })),
    ],
    [
      'were not the ones',
      async (log) => {
        const stranger = newKey()
        const id = `did:key:${stranger.multibase}`
        return JSON.stringify(await signWitnessProofEntries([first(log).versionId], [{ id }], { [id]: stranger.signer }))
      },
    ],
  ])('that %s let nobody in', async (_what, proofsFor) => {
    const { host, did, log } = await created({ witness: parameter })
    const proofs = await proofsFor(log)
    if (proofs !== undefined) host.files.set(PROOFS, proofs)
    await expect(host.resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  })
})

test('what a peer wrote into a witness proof is not printed', async () => {
  const printed = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error'), vi.spyOn(console, 'log')]
  onTestFinished(() => void vi.restoreAllMocks())
  const witness = newKey()
  const id = `did:key:${witness.multibase}`
  const { host, did, log } = await created({ witness: { threshold: 1, witnesses: [{ id }] } })
  const [good] = await signWitnessProofEntries([first(log).versionId], [{ id }], { [id]: witness.signer })
  const bad = [
    { type: '\u001b[2Jcanary' },
    { ...good?.proof[0], proofValue: `z${'2'.repeat(88)}` },
    { ...good?.proof[0], verificationMethod: `${id}#\u001b[2Jcanary` },
    { ...good?.proof[0], proofValue: 7 },
    7,
  ]
  host.files.set('/.well-known/did-witness.json', JSON.stringify([{ versionId: good?.versionId, proof: [...bad, ...(good?.proof ?? [])] }]))
  await expect(host.resolve(did)).resolves.toMatchObject({ state: 'found' })
  host.files.set('/.well-known/did-witness.json', JSON.stringify([{ versionId: good?.versionId, proof: bad }]))
  await expect(host.resolve(did)).resolves.toMatchObject({ state: 'invalid' })
  for (const spy of printed) expect(spy).not.toHaveBeenCalled()
})

test('resolving a log writes nothing into the working directory', async () => {
  const { host, did } = await created()
  await host.resolve(did)
  expect(existsSync(`./test/logs/${did.replaceAll(/[^a-zA-Z0-9]+/g, '_')}.jsonl`)).toBe(false)
})
