// A public key as a peer wrote it, checked to be a point that only the holder of its secret can sign for.
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'

import { OpenMcpError } from '../errors.ts'
import { fromBase58, toBase58 } from './base58.ts'
import type { PublicJwk, SignatureAlgorithm } from './document.ts'

/** A key, before it has a name. */
export interface PublicKey {
  alg: SignatureAlgorithm
  jwk: PublicJwk
}

/** 33 bytes of a point and two of its kind are 48 characters; a key of another kind may be longer, and is then left unread. */
const MOST_MULTIBASE = 256

/** The kinds in multicodec's table, as the varint before the key. */
const ED25519 = 'ed01'
const SECP256K1 = 'e701'
const P256 = '8024'

/** Undefined: a key of a kind that nobody logs in with. Throws `identity_invalid` for one that is no key. */
export function publicKeyOfMultibase(text: unknown): PublicKey | undefined {
  if (typeof text !== 'string' || !text.startsWith('z')) throw invalid('a multibase key is z and base58')
  if (text.length > MOST_MULTIBASE) return undefined
  const bytes = fromBase58(text.slice(1), MOST_MULTIBASE)
  if (!bytes || bytes.length < 2) throw invalid('a multibase key is z and base58')
  const point = bytes.subarray(2)
  switch (Buffer.from(bytes.subarray(0, 2)).toString('hex')) {
    case ED25519:
      return ed25519KeyOf(point)
    case SECP256K1:
      return ecKeyOf('secp256k1', compressed(point))
    case P256:
      return ecKeyOf('P-256', compressed(point))
    default:
      return undefined
  }
}

/** The one multibase text of a key: another text that reads as the same key is not its name. */
export function multibaseOf({ jwk }: PublicKey): string {
  if (jwk.kty === 'OKP') return `z${toBase58(Buffer.concat([Buffer.from(ED25519, 'hex'), Buffer.from(jwk.x, 'base64url')]))}`
  const y = Buffer.from(jwk.y, 'base64url')
  const sign = Buffer.from([2 + ((y.at(-1) ?? 0) & 1)])
  return `z${toBase58(Buffer.concat([Buffer.from(jwk.crv === 'P-256' ? P256 : SECP256K1, 'hex'), sign, Buffer.from(jwk.x, 'base64url')]))}`
}

/** publicKeyBase58, as verification methods of 2018 and 2019 write the bare point. */
export function publicKeyOfBase58(text: unknown, curve: 'Ed25519' | 'secp256k1'): PublicKey {
  const point = typeof text === 'string' ? fromBase58(text, MOST_MULTIBASE) : undefined
  if (!point) throw invalid('publicKeyBase58 is no base58')
  return curve === 'Ed25519' ? ed25519KeyOf(point) : ecKeyOf('secp256k1', compressed(point))
}

/** Undefined: a key of a kind that nobody logs in with, or one that is not for signatures. Throws `identity_invalid` for one that is no key. */
export function publicKeyOfJwk(jwk: unknown): PublicKey | undefined {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw invalid('a JWK is an object')
  // Object.entries leaves out what a prototype would lend.
  const member = new Map<string, unknown>(Object.entries(jwk))
  if (['d', 'p', 'q', 'k'].some((name) => member.has(name))) throw invalid('the JWK holds a private key')
  if (!mayVerify(member)) return undefined
  const kind = `${String(member.get('kty'))} ${String(member.get('crv'))}`
  switch (kind) {
    case 'OKP Ed25519':
      return isOneOf(member.get('alg'), ['EdDSA', 'Ed25519']) ? ed25519KeyOf(coordinate(member.get('x'))) : undefined
    case 'EC P-256':
      return isOneOf(member.get('alg'), ['ES256']) ? ecKeyOf('P-256', uncompressed(member.get('x'), member.get('y'))) : undefined
    case 'EC secp256k1':
      return isOneOf(member.get('alg'), ['ES256K']) ? ecKeyOf('secp256k1', uncompressed(member.get('x'), member.get('y'))) : undefined
    default:
      return undefined
  }
}

function mayVerify(member: ReadonlyMap<string, unknown>): boolean {
  const operations = member.get('key_ops')
  return isOneOf(member.get('use'), ['sig']) && (operations === undefined || (Array.isArray(operations) && operations.includes('verify')))
}

function isOneOf(value: unknown, names: readonly string[]): boolean {
  return value === undefined || (typeof value === 'string' && names.includes(value))
}

function ed25519KeyOf(bytes: Uint8Array): PublicKey {
  const point = pointOf(() => ed25519.Point.fromBytes(bytes, false))
  // Of these eight points anybody can make signatures that some verifiers take for good.
  if (point.isSmallOrder()) throw invalid('the Ed25519 key is a point of small order')
  return { alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x: base64url(bytes) } }
}

function ecKeyOf(crv: 'P-256' | 'secp256k1', bytes: Uint8Array): PublicKey {
  const { Point } = crv === 'P-256' ? p256 : secp256k1
  const affine = pointOf(() => {
    const point = Point.fromBytes(bytes)
    point.assertValidity()
    return point.toBytes(false)
  })
  const [x, y] = [affine.subarray(1, 33), affine.subarray(33)]
  return { alg: crv === 'P-256' ? 'ES256' : 'ES256K', jwk: { kty: 'EC', crv, x: base64url(x), y: base64url(y) } }
}

function pointOf<T>(decode: () => T): T {
  try {
    return decode()
  } catch {
    throw invalid('the key is not a point of its curve')
  }
}

function compressed(point: Uint8Array): Uint8Array {
  if (point.length !== 33) throw invalid('the point is not compressed')
  return point
}

function uncompressed(x: unknown, y: unknown): Uint8Array {
  return Buffer.concat([Buffer.from([4]), coordinate(x), coordinate(y)])
}

/** 32 bytes, in the one base64url text that they have. */
function coordinate(text: unknown): Uint8Array {
  const bytes = typeof text === 'string' && text.length === 43 ? Buffer.from(text, 'base64url') : undefined
  if (bytes?.length !== 32 || base64url(bytes) !== text) throw invalid('a coordinate of the key is not 32 bytes of base64url')
  return bytes
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function invalid(message: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', message)
}
