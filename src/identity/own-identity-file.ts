// One of our own identities as it stands in its file: its DID and the keys it has had.
import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'

import { OpenMcpError } from '../errors.ts'
import type { PublicJwk, SignatureAlgorithm } from './document.ts'
import { membersOf } from './json.ts'
import { newPrivateKey } from './new-key.ts'
import { isOkpKey, privateKeyOf, publicTextOf } from './okp.ts'
import { peerFourOf } from './peer-four.ts'
import { multibaseOf, publicKeyOfJwk } from './public-key.ts'
import { checkedEndpoint } from './tsp/endpoint-url.ts'
import { methodOf, parseVid, type Vid } from './vid.ts'

export type Curve = PublicJwk['crv']
export type Method = 'key' | 'jwk' | 'web'

export interface IdentityFile {
  readonly vid: Vid
  readonly createdAt: string
  readonly deactivatedAt?: string
  /** The first one signs; the second, if there is one, is what did sign before, and its secret is gone. */
  readonly keys: readonly IdentityKey[]
  /** What makes it one that messages can be sealed to, and where they go. */
  readonly tsp?: IdentityTsp
}

export interface IdentityTsp {
  /** Of X25519, 32 bytes of base64url each. */
  readonly sealing: { readonly x: string; readonly d: string }
  readonly endpoint: string
}

export interface IdentityKey {
  /** The DID URL. */
  readonly kid: string
  readonly createdAt: string
  readonly jwk: PublicJwk
  readonly d?: string
}

const VERSION = 1
const ALGORITHMS: Readonly<Record<Curve, SignatureAlgorithm>> = { Ed25519: 'EdDSA', 'P-256': 'ES256', secp256k1: 'ES256K' }

/** As OpenSSL calls them. */
const NODE_CURVES = { 'P-256': 'prime256v1', secp256k1: 'secp256k1' } as const

export function algorithmOf(jwk: PublicJwk): SignatureAlgorithm {
  return ALGORITHMS[jwk.crv]
}

export function newPair(curve: Curve): { jwk: PublicJwk; d: string } {
  return pairOf(membersOf(newPrivateKey(curve).export({ format: 'jwk' })) ?? new Map())
}

/** Throws when the members are no private key of the three curves, or a private key beside another's public one. */
export function pairOf(members: ReadonlyMap<string, unknown>): { jwk: PublicJwk; d: string } {
  const { d, ...bare } = Object.fromEntries(members)
  const found = publicKeyOfJwk(bare)
  if (!found || typeof d !== 'string') throw new OpenMcpError('identity_invalid', 'this is no private key of Ed25519, P-256 or secp256k1')
  const { jwk } = found
  if (publicPointOf(jwk.crv, d) !== pointOf(jwk)) throw new OpenMcpError('identity_invalid', 'the private key does not belong to the public one')
  return { jwk, d }
}

/** Computed from the secret: of an EC key node:crypto believes the x and y that stand beside it. */
function publicPointOf(crv: Curve, d: string): string {
  if (crv !== 'Ed25519') {
    const pair = createECDH(NODE_CURVES[crv])
    pair.setPrivateKey(d, 'base64url')
    return pair.getPublicKey('hex', 'uncompressed')
  }
  const { x = '' } = createPublicKey(createPrivateKey({ key: { kty: 'OKP', crv, x: '', d }, format: 'jwk' })).export({ format: 'jwk' })
  return Buffer.from(x, 'base64url').toString('hex')
}

function pointOf(jwk: PublicJwk): string {
  const x = Buffer.from(jwk.x, 'base64url').toString('hex')
  return jwk.kty === 'OKP' ? x : `04${x}${Buffer.from(jwk.y, 'base64url').toString('hex')}`
}

/** The DID that is this key, or the name that a domain gives it; and the DID URL of the key, as resolvers give it. */
export async function nameOf(method: Method, jwk: PublicJwk, domain: string | undefined): Promise<{ vid: Vid; kid: string }> {
  if (method === 'web') {
    const vid = parseVid(`did:web:${domain ?? ''}`)
    return { vid, kid: `${vid}#${await calculateJwkThumbprint({ ...jwk })}` }
  }
  if (method === 'jwk') {
    const vid = parseVid(`did:jwk:${Buffer.from(JSON.stringify(jwk)).toString('base64url')}`)
    return { vid, kid: `${vid}#0` }
  }
  const multibase = multibaseOf({ alg: algorithmOf(jwk), jwk })
  const vid = parseVid(`did:key:${multibase}`)
  return { vid, kid: `${vid}#${multibase}` }
}

/** Whether a key is the one that the DID and its URL name. Of a did:web the document says so, and nobody else can. */
export async function isNamed(vid: Vid, { kid, jwk }: Pick<IdentityKey, 'kid' | 'jwk'>, tsp?: IdentityTsp): Promise<boolean> {
  const method = methodOf(vid)
  if (method === 'web' || (method === 'webvh' && tsp))
    return kid.startsWith(`${vid}#`) && /^[\w.-]{1,128}$/.test(kid.slice(vid.length + 1)) && (!tsp || jwk.crv === 'Ed25519')
  if (method === 'peer') return jwk.crv === 'Ed25519' && tsp !== undefined && kid === peerKid(vid) && formsOf(jwk.x, tsp).short === vid
  if (tsp || (method !== 'key' && method !== 'jwk')) return false
  const named = await nameOf(method, jwk, undefined)
  // Another writer of did:jwk may order the members of the key in another way.
  if (method === 'jwk') return kid === `${vid}#0` && didJwkKey(vid) === JSON.stringify(jwk)
  return named.vid === vid && named.kid === kid
}

/** Both forms of the did:peer:4 that is made of these keys. */
export function formsOf(verifying: string, { sealing, endpoint }: IdentityTsp): { short: Vid; long: Vid } {
  return peerFourOf({ verifying, sealing: sealing.x, endpoint })
}

/** The DID URL of the key with which a did:peer:4 signs. */
export function peerKid(short: Vid): string {
  return `${short}#key-1`
}

export function textOf(file: IdentityFile): string {
  const { vid, createdAt, deactivatedAt, keys, tsp } = file
  const written = keys.map(({ kid, createdAt: from, jwk, d }) => ({ kid, createdAt: from, jwk: { ...jwk, d } }))
  return `${JSON.stringify({ version: VERSION, vid, createdAt, deactivatedAt, keys: written, tsp }, null, 2)}\n`
}

/** Fails with `keys_unsafe`, naming the path and nothing of the key. */
export async function parseIdentityFile(text: string, path: string): Promise<IdentityFile> {
  const file = await read(text).catch(() => undefined)
  if (file) return file
  throw new OpenMcpError('keys_unsafe', `${path} is not an identity as openmcp writes it`, { hint: 'put a copy back, or move it out of the directory' })
}

async function read(text: string): Promise<IdentityFile | undefined> {
  const members = membersOf(JSON.parse(text))
  if (!members || !hasOnly(members, ['version', 'vid', 'createdAt', 'deactivatedAt', 'keys', 'tsp']) || members.get('version') !== VERSION) return undefined
  const [vid, createdAt, deactivatedAt, listed] = [parseVid(members.get('vid')), members.get('createdAt'), members.get('deactivatedAt'), members.get('keys')]
  if (!isMoment(createdAt) || !(deactivatedAt === undefined || isMoment(deactivatedAt))) return undefined
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > 2) return undefined
  const keys = listed.map(readKey)
  const tsp = members.has('tsp') ? tspOf(members.get('tsp')) : undefined
  const named = await Promise.all(keys.map((key) => isNamed(vid, key, tsp)))
  if (named.includes(false) || keys[0]?.d === undefined) return undefined
  return { vid, createdAt, ...(deactivatedAt !== undefined && { deactivatedAt }), keys, ...(tsp && { tsp }) }
}

/** Throws when it is not what a file or an export holds of TSP. */
export function tspOf(value: unknown): IdentityTsp {
  const members = membersOf(value)
  const sealing = membersOf(members?.get('sealing'))
  const [endpoint, x, d] = [members?.get('endpoint'), sealing?.get('x'), sealing?.get('d')]
  if (!members || !sealing || !hasOnly(members, ['sealing', 'endpoint']) || !hasOnly(sealing, ['x', 'd']) || !isOkpKey(d)) {
    throw new OpenMcpError('identity_invalid', 'what is said of TSP is sealing, with x and d, and endpoint')
  }
  if (publicTextOf(privateKeyOf('X25519', d)) !== x)
    throw new OpenMcpError('identity_invalid', 'the private key to open with does not belong to the public one')
  return { sealing: { x, d }, endpoint: checkedEndpoint(endpoint) }
}

function readKey(value: unknown): IdentityKey {
  const members = membersOf(value)
  const [kid, createdAt, jwk] = [members?.get('kid'), members?.get('createdAt'), membersOf(members?.get('jwk'))]
  if (!members || !hasOnly(members, ['kid', 'createdAt', 'jwk']) || typeof kid !== 'string' || !isMoment(createdAt) || !jwk) throw new TypeError('no key')
  if (jwk.has('d')) return { kid, createdAt, ...pairOf(jwk) }
  const found = publicKeyOfJwk(Object.fromEntries(jwk))
  if (!found) throw new TypeError('no key')
  return { kid, createdAt, jwk: found.jwk }
}

function didJwkKey(vid: Vid): string | undefined {
  const found = publicKeyOfJwk(JSON.parse(Buffer.from(vid.slice('did:jwk:'.length), 'base64url').toString('utf8')))
  return found && JSON.stringify(found.jwk)
}

function hasOnly(members: ReadonlyMap<string, unknown>, names: readonly string[]): boolean {
  return [...members.keys()].every((name) => names.includes(name))
}

function isMoment(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 32 && Number.isFinite(Date.parse(value))
}
