import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { VerificationKey } from '../../src/identity/document.ts'
import { createIdentity, deactivateIdentity, exportIdentity, importIdentity, openIdentity } from '../../src/identity/own-identities.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { authenticationKeysOf } from '../../src/identity/read-document.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { keyForKid, verifySignature } from '../../src/identity/signature.ts'
import type { Vid } from '../../src/identity/vid.ts'
import { createTspIdentity, ensureTspIdentity, openTspIdentity } from '../../src/identity/tsp/own.ts'

const now = () => Date.parse('2026-06-01T12:00:00Z')

let dir: string
beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'openmcp-tsp-')), 'keys')
})
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }))

const peer = (endpoint: string, name = 'tsp') => createTspIdentity({ dir, name, method: 'peer', endpoint, now })

describe('an identity for TSP', () => {
  test('as did:peer:4 is made of its keys and its endpoint, and is the same when it is opened', async () => {
    const made = await peer('tcp://127.0.0.1:13371')
    const { short, long } = peerFourOf(made.profile)
    expect(made).toMatchObject({ vid: short, long, profile: { endpoint: 'tcp://127.0.0.1:13371' } })
    expect(await openTspIdentity(dir, 'tsp')).toEqual(made)
  })

  test('as did:web is named by its domain, and is its own long form', async () => {
    const made = await createTspIdentity({ dir, name: 'site', method: 'web', domain: 'example.com', endpoint: 'https://example.com/tsp', now })
    expect(made).toMatchObject({ vid: 'did:web:example.com', long: 'did:web:example.com', profile: { endpoint: 'https://example.com/tsp' } })
    expect(await openTspIdentity(dir, 'site')).toEqual(made)
  })

  test.each(['tcp://127.0.0.1:0', 'tls://127.0.0.1:0', 'tcp://localhost:0'])('at %s has a free port, and keeps it', async (endpoint) => {
    const { profile } = await peer(endpoint)
    expect(profile.endpoint).toMatch(new RegExp(`^${endpoint.slice(0, -1)}[1-9]\\d+$`))
    expect((await openTspIdentity(dir, 'tsp')).profile).toEqual(profile)
  })

  test.each([
    ['tcp://LOCALHOST:13371/', 'tcp://localhost:13371'],
    ['tls://127.1:13372', 'tls://127.0.0.1:13372'],
    ['tcp://[0:0::1]:13371', 'tcp://[::1]:13371'],
    ['https://EXAMPLE.com:443', 'https://example.com/'],
    ['http://example.com/tsp?a=b', 'http://example.com/tsp?a=b'],
  ])('at %s is at %s to everybody', async (endpoint, spelled) => {
    expect((await peer(endpoint)).profile.endpoint).toBe(spelled)
  })

  test.each<[string, string]>([
    ['nowhere', 'a TSP endpoint is a URL'],
    ['tsp://', 'a TSP endpoint is of tcp, tls, http or https, and not of tsp'],
    ['quic://127.0.0.1:1', 'a TSP endpoint is of tcp, tls, http or https, and not of quic'],
    ['ws://127.0.0.1:1', 'a TSP endpoint is of tcp, tls, http or https, and not of ws'],
    ['tcp://127.0.0.1', 'a TSP endpoint of tcp names its port'],
    ['tcp://:1', 'a TSP endpoint is a URL'],
    ['tcp:127.0.0.1:1', 'the TSP endpoint names no host'],
    ['tcp://127.0.0.1:1/path', 'a TSP endpoint of tcp is a host and a port, and nothing behind them'],
    ['tls://127.0.0.1:1?a=b', 'a TSP endpoint of tls is a host and a port, and nothing behind them'],
    ['https://ann:secret@example.com/', 'a TSP endpoint is published: it holds no user and no password'],
    ['https://example.com/#a', 'a TSP endpoint has no fragment'],
    [`https://example.com/${'a'.repeat(2048)}`, 'a TSP endpoint is a URL'],
    ['tcp://example.com:0', 'port 0 is a free port of this machine: this TSP endpoint names its own'],
    ['https://127.0.0.1:0/', 'port 0 is a free port of this machine: this TSP endpoint names its own'],
    ['tcp://0.0.0.0:13371', 'nobody reaches 0.0.0.0: a TSP endpoint is the address that others use'],
    ['http://0/', 'nobody reaches 0.0.0.0: a TSP endpoint is the address that others use'],
    ['tcp://0:13371', 'nobody reaches 0.0.0.0: a TSP endpoint is the address that others use'],
    ['tcp://a%20b:13371', 'the host of the TSP endpoint is neither a name nor an address'],
    ['tls://[::]:0', 'nobody reaches [::]: a TSP endpoint is the address that others use'],
    ['tcp://192.0.2.1:0', '192.0.2.1 is no address of this machine'],
  ])('at %s is not made', async (endpoint, message) => {
    await expect(peer(endpoint)).rejects.toMatchObject({ code: 'identity_invalid', message, hint: expect.stringContaining('tcp://') })
    await expect(openTspIdentity(dir, 'tsp')).rejects.toMatchObject({ code: 'usage' })
  })

  test.each([
    ['web', undefined, 'a did:web needs its domain'],
    ['peer', 'example.com', 'a did:peer has no domain'],
  ] as const)('as did:%s with the domain %s is not made', async (method, domain, message) => {
    const made = createTspIdentity({ dir, name: 'tsp', method, ...(domain !== undefined && { domain }), endpoint: 'tcp://127.0.0.1:1', now })
    await expect(made).rejects.toMatchObject({ code: 'usage', message })
    await expect(openTspIdentity(dir, 'tsp')).rejects.toMatchObject({ code: 'usage', message: 'there is no identity tsp' })
  })

  test('is never a did:key or a did:jwk, whatever its file or its export says of TSP', async () => {
    await peer('tcp://127.0.0.1:1')
    const { tsp } = await exportIdentity(dir, 'tsp', { withPrivateKey: true })
    for (const method of ['key', 'jwk'] as const) {
      await createIdentity({ dir, name: method, method, curve: 'Ed25519', now })
      const exported = await exportIdentity(dir, method, { withPrivateKey: true })
      const refusal = { code: 'identity_invalid', message: 'the private key is not the one that the DID names' }
      await expect(importIdentity({ dir, name: 'ann', exported: { ...exported, tsp }, now })).rejects.toMatchObject(refusal)
      const path = join(dir, 'identities', `${method}.json`)
      writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), tsp }))
      await expect(openTspIdentity(dir, method)).rejects.toMatchObject({ code: 'keys_unsafe' })
    }
  })

  test('is not opened where there is none, where it is not for TSP, and once it is deactivated', async () => {
    await expect(openTspIdentity(dir, 'tsp')).rejects.toMatchObject({ code: 'usage', message: 'there is no identity tsp', hint: expect.any(String) })
    await createIdentity({ dir, name: 'ann', method: 'key', curve: 'Ed25519', now })
    await expect(openTspIdentity(dir, 'ann')).rejects.toMatchObject({ code: 'usage', message: 'the identity ann is a did:key without what TSP needs' })
    await peer('tcp://127.0.0.1:1')
    await deactivateIdentity({ dir, name: 'tsp', now })
    for (const open of [() => openTspIdentity(dir, 'tsp'), () => ensureTspIdentity({ dir, name: 'tsp', now })]) {
      await expect(open()).rejects.toMatchObject({ code: 'usage', message: 'the identity tsp is deactivated', hint: expect.any(String) })
    }
  })

  test('signs JWTs too, which anybody verifies who resolves its long form or its document', async () => {
    const { long, vid } = await peer('tcp://127.0.0.1:1')
    const resolver = createResolver({ fetch: () => Promise.reject(new Error('nothing is fetched')), now })
    const found = await resolver.resolve(long)
    const site = await createTspIdentity({ dir, name: 'site', method: 'web', domain: 'example.com', endpoint: 'https://example.com/tsp', now })
    const { didDocument } = await exportIdentity(dir, 'site')
    const signers: [string, Vid, readonly VerificationKey[]][] = [
      ['tsp', vid, found.state === 'found' ? found.authentication : []],
      ['site', site.vid, authenticationKeysOf(didDocument, site.vid)],
    ]
    for (const [name, by, keys] of signers) {
      const jwt = await (await openIdentity(dir, name)).sign({ iss: by }, 'JWT')
      const [header = '', payload = '', signature = ''] = jwt.split('.')
      const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
      const key = keyForKid(keys, by, kid)
      expect([alg, key?.alg]).toEqual(['EdDSA', 'EdDSA'])
      expect(key && (await verifySignature(key, Buffer.from(`${header}.${payload}`), Buffer.from(signature, 'base64url')))).toBe(true)
    }
  })

  test('is made when it is needed first: of many that need it at once, one makes it and all have it', async () => {
    const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => ensureTspIdentity({ dir, name: 'tsp', now })))
    expect(first?.profile.endpoint).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d+$/)
    for (const other of [...others, await ensureTspIdentity({ dir, name: 'tsp', now })]) expect(other).toEqual(first)
    expect(readdirSync(join(dir, 'identities'))).toEqual(['tsp.json'])
  })

  test('that is there but not for TSP is no reason to make another', async () => {
    await createIdentity({ dir, name: 'tsp', method: 'key', curve: 'Ed25519', now })
    await expect(ensureTspIdentity({ dir, name: 'tsp', now })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('without what TSP needs'),
    })
  })
})

describe('the file of an identity for TSP is refused with', () => {
  const other = 'MqiUK5zsViOi9QxQlyMXvPdraQghVOASyFiAvlFXp4U'
  type File = Record<string, unknown> & { tsp: { sealing: { x: string; d: string }; endpoint: string } }
  test.each<[string, (file: File) => unknown]>([
    ['the endpoint of another', (file) => ({ ...file, tsp: { ...file.tsp, endpoint: 'tcp://127.0.0.1:2' } })],
    ['another key to open with', (file) => ({ ...file, tsp: { ...file.tsp, sealing: { ...file.tsp.sealing, d: other } } })],
    ['no key to open with', (file) => ({ ...file, tsp: { endpoint: file.tsp.endpoint } })],
    ['more than TSP needs', (file) => ({ ...file, tsp: { ...file.tsp, more: 1 } })],
    ['nothing of TSP', (file) => ({ ...file, tsp: undefined })],
    ['the long form for its name', (file) => ({ ...file, vid: peerFourOf({ verifying: other, sealing: other, endpoint: 'tcp://127.0.0.1:1' }).long })],
  ])('%s', async (_what, change) => {
    await peer('tcp://127.0.0.1:1')
    const path = join(dir, 'identities', 'tsp.json')
    writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))))
    await expect(openTspIdentity(dir, 'tsp')).rejects.toMatchObject({ code: 'keys_unsafe', message: `${path} is not an identity as openmcp writes it` })
  })
})
