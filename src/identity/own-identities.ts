// Identities of our own, each in a file of DIR/identities: made, shown, carried elsewhere, signed with, and put out of use.
import { createPrivateKey, sign as signBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'

import { OpenMcpError } from '../errors.ts'
import type { PublicJwk } from './document.ts'
import { membersOf } from './json.ts'
import {
  algorithmOf,
  isNamed,
  nameOf,
  newPair,
  pairOf,
  parseIdentityFile,
  textOf,
  type Curve,
  type IdentityFile,
  type IdentityKey,
  type Method,
} from './own-identity-file.ts'
import { checkPrivateDirectory, createPrivateFile, makePrivateDirectory, readPrivateFile, removeLeftovers, replacePrivateFile } from './private-files.ts'
import type { IdentitySigner, OwnIdentity } from './shapes.ts'
import { methodOf, parseVid } from './vid.ts'

export interface CreateIdentityOptions {
  dir: string
  name: string
  method: Method
  curve: Curve
  /** For `web`: what follows `did:web:`, as HOST, HOST%3APORT or either with :PATH. */
  domain?: string
  now: () => number
}

interface NamedIdentity {
  dir: string
  name: string
  now: () => number
}

export interface ExportedIdentity {
  readonly vid: string
  readonly kid: string
  /** Of a did:web: what to publish as did.json. */
  readonly didDocument?: object
  readonly privateJwk?: PublicJwk & { readonly d: string }
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
const platform = process.platform

/** Fails with `usage` when there is one of that name, or when the domain makes no did:web. */
export async function createIdentity({ dir, name, method, curve, domain, now }: CreateIdentityOptions): Promise<OwnIdentity> {
  const path = pathOf(dir, name)
  if ((method === 'web') !== (domain !== undefined)) {
    throw new OpenMcpError('usage', method === 'web' ? 'a did:web needs its domain' : `a did:${method} has no domain`, {
      hint: 'did:web:example.com is made of the domain example.com',
    })
  }
  const pair = newPair(curve)
  const { vid, kid } = await nameOf(method, pair.jwk, domain)
  const createdAt = new Date(now()).toISOString()
  return add(dir, path, name, { vid, createdAt, keys: [{ kid, createdAt, ...pair }] }, now)
}

/** In the order of their names; none when there is no such directory. */
export async function listIdentities(dir: string): Promise<OwnIdentity[]> {
  const directory = join(dir, 'identities')
  const names = await readdir(directory).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return []
    throw new OpenMcpError('keys_unsafe', `${directory} cannot be read`, { cause: thrown })
  })
  const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).toSorted()
  return Promise.all(files.map((file) => file.slice(0, -'.json'.length)).map(async (name) => identityOf(name, await read(dir, name))))
}

/** Every signature looks at the file: a deactivated identity signs no more, and a rotated one with its new key. */
export async function openIdentity(dir: string, name: string): Promise<IdentitySigner> {
  const identity = identityOf(name, active(name, await read(dir, name)))
  return {
    identity,
    async sign(claims, typ) {
      const { kid, jwk, d } = signingKey(name, active(name, await read(dir, name)))
      const input = `${part({ alg: algorithmOf(jwk), kid, typ })}.${part(claims)}`
      return `${input}.${signature(Buffer.from(input), jwk, d).toString('base64url')}`
    },
  }
}

/** With `withPrivateKey` what comes out is the identity itself: whoever has it is it. */
export async function exportIdentity(dir: string, name: string, { withPrivateKey = false }: { withPrivateKey?: boolean } = {}): Promise<ExportedIdentity> {
  const file = await read(dir, name)
  const { kid, jwk, d } = signingKey(name, file)
  return {
    vid: file.vid,
    kid,
    ...(methodOf(file.vid) === 'web' && { didDocument: documentOf(file) }),
    ...(withPrivateKey && { privateJwk: { ...jwk, d } }),
  }
}

/** What exportIdentity gave with its private key. Fails with `identity_invalid` when the key is not the one that the DID names. */
export async function importIdentity({ dir, name, exported, now }: NamedIdentity & { exported: unknown }): Promise<OwnIdentity> {
  const path = pathOf(dir, name)
  const members = membersOf(exported)
  const [vid, kid, privateJwk] = [parseVid(members?.get('vid')), members?.get('kid'), membersOf(members?.get('privateJwk'))]
  if (typeof kid !== 'string' || !privateJwk) {
    throw new OpenMcpError('identity_invalid', 'an identity to import has vid, kid and privateJwk', { hint: 'export it with its private key' })
  }
  const pair = pairFrom(privateJwk)
  const key: IdentityKey = { kid, createdAt: new Date(now()).toISOString(), ...pair }
  if (!(await isNamed(vid, key))) {
    throw new OpenMcpError('identity_invalid', 'the private key is not the one that the DID names', {
      hint: 'identities of did:key, did:jwk and did:web can be imported',
    })
  }
  return add(dir, path, name, { vid, createdAt: key.createdAt, keys: [key] }, now)
}

/** A new key for a did:web, signing from now on: its document has to be published again. The old one stays in it until the next time. */
export async function rotateIdentity({ dir, name, now }: NamedIdentity): Promise<OwnIdentity> {
  const file = active(name, await read(dir, name))
  const old = signingKey(name, file)
  if (methodOf(file.vid) !== 'web') {
    throw new OpenMcpError('usage', `${name} is a did:${methodOf(file.vid)}, which is its key and cannot have another`, {
      hint: 'create another identity, have it trusted, and deactivate this one',
    })
  }
  const pair = newPair(old.jwk.crv)
  const kid = `${file.vid}#${await calculateJwkThumbprint({ ...pair.jwk })}`
  const { kid: oldKid, createdAt: oldCreatedAt, jwk: oldJwk } = old
  const keys = [
    { kid, createdAt: new Date(now()).toISOString(), ...pair },
    { kid: oldKid, createdAt: oldCreatedAt, jwk: oldJwk },
  ]
  return replace(dir, name, { ...file, keys })
}

/** Kept, and never signs again. */
export async function deactivateIdentity({ dir, name, now }: NamedIdentity): Promise<OwnIdentity> {
  const file = await read(dir, name)
  return replace(dir, name, { ...file, deactivatedAt: file.deactivatedAt ?? new Date(now()).toISOString() })
}

async function add(dir: string, path: string, name: string, file: IdentityFile, now: () => number): Promise<OwnIdentity> {
  await makePrivateDirectory(dir, platform)
  await makePrivateDirectory(join(dir, 'identities'), platform)
  await removeLeftovers(join(dir, 'identities'), now())
  if (await createPrivateFile(path, textOf(file))) return identityOf(name, file)
  throw new OpenMcpError('usage', `there is an identity ${name} already`, { hint: 'give this one another name' })
}

async function replace(dir: string, name: string, file: IdentityFile): Promise<OwnIdentity> {
  await replacePrivateFile(pathOf(dir, name), textOf(file))
  return identityOf(name, file)
}

async function read(dir: string, name: string): Promise<IdentityFile> {
  const path = pathOf(dir, name)
  for (const directory of [dir, join(dir, 'identities')]) await checkPrivateDirectory(directory, platform).catch(rethrowUnlessMissing(name))
  return parseIdentityFile(await readPrivateFile(path, platform).catch(rethrowUnlessMissing(name)), path)
}

function rethrowUnlessMissing(name: string): (thrown: unknown) => never {
  return (thrown) => {
    const cause = thrown instanceof Error ? thrown.cause : undefined
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw thrown
    throw new OpenMcpError('usage', `there is no identity ${name}`, { hint: 'openmcp id list says which there are, openmcp id create makes one' })
  }
}

function pathOf(dir: string, name: string): string {
  if (NAME.test(name)) return join(dir, 'identities', `${name}.json`)
  throw new OpenMcpError('usage', 'the name of an identity is up to 64 of a-z, 0-9, dot, hyphen and underscore, and begins with a letter or a digit')
}

function identityOf(name: string, file: IdentityFile): OwnIdentity {
  const { kid, jwk } = signingKey(name, file)
  return { name, vid: file.vid, kid, alg: algorithmOf(jwk), createdAtMs: Date.parse(file.createdAt), deactivated: file.deactivatedAt !== undefined }
}

function active(name: string, file: IdentityFile): IdentityFile {
  if (file.deactivatedAt === undefined) return file
  throw new OpenMcpError('usage', `the identity ${name} is deactivated`, { hint: 'openmcp id create makes another' })
}

function signingKey(name: string, { keys: [first] }: IdentityFile): IdentityKey & { d: string } {
  if (first?.d === undefined) throw new OpenMcpError('keys_unsafe', `the identity ${name} has no key to sign with`)
  return { ...first, d: first.d }
}

function pairFrom(privateJwk: ReadonlyMap<string, unknown>): { jwk: PublicJwk; d: string } {
  try {
    return pairOf(privateJwk)
  } catch (thrown) {
    if (thrown instanceof OpenMcpError) throw thrown
    // Without its cause: what the library says may hold the key.
    throw new OpenMcpError('identity_invalid', 'privateJwk is no private key')
  }
}

/** A deactivated did:web is published with no key in it. */
function documentOf({ vid, keys, deactivatedAt }: IdentityFile): object {
  const listed = deactivatedAt === undefined ? keys : []
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/suites/jws-2020/v1'],
    id: vid,
    verificationMethod: listed.map(({ kid, jwk }) => ({ id: kid, type: 'JsonWebKey2020', controller: vid, publicKeyJwk: jwk })),
    authentication: listed.map(({ kid }) => kid),
    assertionMethod: listed.map(({ kid }) => kid),
  }
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** With node:crypto for all three algorithms: jose has no ES256K. */
function signature(input: Buffer, jwk: PublicJwk, d: string): Buffer {
  const key = createPrivateKey({ key: { ...jwk, d }, format: 'jwk' })
  const bytes = signBytes(jwk.crv === 'Ed25519' ? null : 'sha256', input, { key, dsaEncoding: 'ieee-p1363' })
  return jwk.crv === 'secp256k1' ? withLowS(bytes) : bytes
}

/** Of the two signatures that s and -s make, many verifiers of secp256k1 take only the one with the lower s. */
function withLowS(bytes: Buffer): Buffer {
  const s = BigInt(`0x${bytes.toString('hex', 32)}`)
  if (s <= SECP256K1_ORDER / 2n) return bytes
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from((SECP256K1_ORDER - s).toString(16).padStart(64, '0'), 'hex')])
}
