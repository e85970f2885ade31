// Identities of our own, each in a file of DIR/identities: made, shown, carried elsewhere, signed with, and put out of use.
import { createPrivateKey, sign as signBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'

import { OpenMcpError } from '../errors.ts'
import type { PublicJwk } from './document.ts'
import { membersOf } from './json.ts'
import { newOkpPair } from './okp.ts'
import {
  algorithmOf,
  formsOf,
  isNamed,
  nameOf,
  newPair,
  pairOf,
  tspOf,
  type Curve,
  type IdentityFile,
  type IdentityKey,
  type IdentityTsp,
  type Method,
} from './own-identity-file.ts'
import { active, addIdentityFile, identityOf, pathOf, readIdentityFile, replaceIdentityFile, signingKey, type NamedIdentity } from './own-identity-files.ts'
import type { IdentitySigner, OwnIdentity } from './shapes.ts'
import { tspDocumentOf } from './tsp/web-document.ts'
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

export interface ExportedIdentity {
  readonly vid: string
  readonly kid: string
  /** Of a did:peer:4: what introduces it to whoever has not seen it. */
  readonly long?: string
  /** Of one that messages can be sealed to. */
  readonly endpoint?: string
  /** Of a did:web: what to publish as did.json. */
  readonly didDocument?: object
  readonly privateJwk?: PublicJwk & { readonly d: string }
  readonly tsp?: IdentityTsp
}

/** Fails with `usage` when there is one of that name, or when the domain makes no did:web. */
export async function createIdentity({ dir, name, method, curve, domain, now }: CreateIdentityOptions): Promise<OwnIdentity> {
  pathOf(dir, name)
  if ((method === 'web') !== (domain !== undefined)) {
    throw new OpenMcpError('usage', method === 'web' ? 'a did:web needs its domain' : `a did:${method} has no domain`, {
      hint: 'did:web:example.com is made of the domain example.com',
    })
  }
  const pair = newPair(curve)
  const { vid, kid } = await nameOf(method, pair.jwk, domain)
  const createdAt = new Date(now()).toISOString()
  return addIdentityFile({ dir, name, now }, { vid, createdAt, keys: [{ kid, createdAt, ...pair }] })
}

/** In the order of their names; none when there is no such directory. */
export async function listIdentities(dir: string): Promise<OwnIdentity[]> {
  const directory = join(dir, 'identities')
  const names = await readdir(directory).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return []
    throw new OpenMcpError('keys_unsafe', `${directory} cannot be read`, { cause: thrown })
  })
  const files = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).toSorted()
  return Promise.all(files.map((file) => file.slice(0, -'.json'.length)).map(async (name) => identityOf(name, await readIdentityFile(dir, name))))
}

/** Every signature looks at the file: a deactivated identity signs no more, and a rotated one with its new key. */
export async function openIdentity(dir: string, name: string): Promise<IdentitySigner> {
  const identity = identityOf(name, active(name, await readIdentityFile(dir, name)))
  return {
    identity,
    async sign(claims, typ) {
      const { kid, jwk, d } = signingKey(name, active(name, await readIdentityFile(dir, name)))
      const input = `${part({ alg: algorithmOf(jwk), kid, typ })}.${part(claims)}`
      return `${input}.${signature(Buffer.from(input), jwk, d).toString('base64url')}`
    },
  }
}

/** With `withPrivateKey` what comes out is the identity itself: whoever has it is it. */
export async function exportIdentity(dir: string, name: string, { withPrivateKey = false }: { withPrivateKey?: boolean } = {}): Promise<ExportedIdentity> {
  const file = await readIdentityFile(dir, name)
  const { kid, jwk, d } = signingKey(name, file)
  const { tsp } = file
  return {
    vid: file.vid,
    kid,
    ...(tsp && methodOf(file.vid) === 'peer' && { long: formsOf(jwk.x, tsp).long }),
    ...(tsp && { endpoint: tsp.endpoint }),
    ...(methodOf(file.vid) === 'web' && { didDocument: documentOf(file) }),
    ...(withPrivateKey && { privateJwk: { ...jwk, d } }),
    ...(withPrivateKey && tsp && { tsp }),
  }
}

/** What exportIdentity gave with its private key. Fails with `identity_invalid` when the key is not the one that the DID names. */
export async function importIdentity({ dir, name, exported, now }: NamedIdentity & { exported: unknown }): Promise<OwnIdentity> {
  pathOf(dir, name)
  const members = membersOf(exported)
  const [vid, kid, privateJwk] = [parseVid(members?.get('vid')), members?.get('kid'), membersOf(members?.get('privateJwk'))]
  if (typeof kid !== 'string' || !privateJwk) {
    throw new OpenMcpError('identity_invalid', 'an identity to import has vid, kid and privateJwk', { hint: 'export it with its private key' })
  }
  const pair = pairFrom(privateJwk)
  const key: IdentityKey = { kid, createdAt: new Date(now()).toISOString(), ...pair }
  const tsp = members?.has('tsp') ? tspOf(members.get('tsp')) : undefined
  if (!(await isNamed(vid, key, tsp))) {
    throw new OpenMcpError('identity_invalid', 'the private key is not the one that the DID names', {
      hint: 'identities of did:key, did:jwk, did:web and did:peer:4 can be imported',
    })
  }
  return addIdentityFile({ dir, name, now }, { vid, createdAt: key.createdAt, keys: [key], ...(tsp && { tsp }) })
}

/**
 * A new key for a did:web, signing from now on: its document has to be published again. The old one stays in it until the next time.
 * What is sealed to it by TSP is sealed to a new key as well, and the old one opens nothing any more.
 */
export async function rotateIdentity({ dir, name, now }: NamedIdentity): Promise<OwnIdentity> {
  const file = active(name, await readIdentityFile(dir, name))
  const old = signingKey(name, file)
  const method = methodOf(file.vid)
  if (method === 'webvh')
    throw new OpenMcpError('usage', `${name} is a did:webvh, whose log is kept elsewhere`, { hint: 'rotate it there, and import it anew' })
  if (method !== 'web') {
    throw new OpenMcpError('usage', `${name} is a did:${method}, which is its key and cannot have another`, {
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
  return replaceIdentityFile({ dir, name }, { ...file, keys, ...(file.tsp && { tsp: { ...file.tsp, sealing: newOkpPair('X25519') } }) })
}

/** Kept, and never signs again. */
export async function deactivateIdentity({ dir, name, now }: NamedIdentity): Promise<OwnIdentity> {
  const file = await readIdentityFile(dir, name)
  return replaceIdentityFile({ dir, name }, { ...file, deactivatedAt: file.deactivatedAt ?? new Date(now()).toISOString() })
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
function documentOf({ vid, keys, deactivatedAt, tsp }: IdentityFile): object {
  const listed = deactivatedAt === undefined ? keys : []
  const [first] = listed
  if (tsp && first) {
    const profile = { verifying: first.jwk.x, sealing: tsp.sealing.x, endpoint: tsp.endpoint }
    return tspDocumentOf(
      vid,
      profile,
      listed.map(({ kid, jwk }) => ({ kid, x: jwk.x })),
    )
  }
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
