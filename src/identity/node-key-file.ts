// One key of the node as it stands in its file. What is not exactly as it was written is refused, with the path and nothing of the key.
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint, importJWK, type CryptoKey } from 'jose'

import { OpenMcpError } from '../errors.ts'
import type { PublicJwk } from './document.ts'
import { membersOf } from './json.ts'
import { newPrivateKey } from './new-key.ts'
import type { NodeKey } from './shapes.ts'

export type Purpose = NodeKey['purpose']

export interface KeyFile {
  readonly purpose: Purpose
  readonly kid: string
  readonly createdAtMs: number
  readonly activeFromMs: number
  readonly material: SigningMaterial | SealingMaterial
}

interface SigningMaterial {
  readonly kind: 'signing'
  readonly publicJwk: PublicJwk
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

interface SealingMaterial {
  readonly kind: 'sealing'
  readonly bytes: Uint8Array
}

const VERSION = 1
const MEMBERS = ['version', 'purpose', 'kid', 'createdAt', 'activeFrom', 'jwk'].toSorted().join()
const SEAL_BYTES = 32

/** The text of a new key's file. */
export async function newKeyFile(purpose: Purpose, times: { createdAtMs: number; activeFromMs: number }): Promise<string> {
  const { kid, jwk } = isSymmetric(purpose) ? newSeal() : await newSigning()
  const [createdAt, activeFrom] = [times.createdAtMs, times.activeFromMs].map((ms) => new Date(ms).toISOString())
  return `${JSON.stringify({ version: VERSION, purpose, kid, createdAt, activeFrom, jwk }, null, 2)}\n`
}

/** Fails with `keys_unsafe`. */
export async function parseKeyFile(text: string, path: string, expected: Purpose): Promise<KeyFile> {
  const file = membersOf(jsonOf(text))
  const [purpose, kid] = [file?.get('purpose'), file?.get('kid')]
  const [createdAtMs, activeFromMs] = [momentOf(file?.get('createdAt')), momentOf(file?.get('activeFrom'))]
  const jwk = membersOf(file?.get('jwk'))
  const isWhole = file && [...file.keys()].toSorted().join() === MEMBERS && file.get('version') === VERSION && purpose === expected
  if (!isWhole || typeof kid !== 'string' || createdAtMs === undefined || activeFromMs === undefined || !jwk) throw broken(path)
  const material = await (isSymmetric(expected) ? sealingOf(jwk) : signingOf(jwk, kid)).catch(() => undefined)
  if (!material) throw broken(path)
  return { purpose: expected, kid, createdAtMs, activeFromMs, material }
}

function isSymmetric(purpose: Purpose): boolean {
  return purpose === 'seal' || purpose === 'api-keys'
}

function newSeal(): { kid: string; jwk: object } {
  return { kid: randomBytes(12).toString('base64url'), jwk: { kty: 'oct', k: randomBytes(SEAL_BYTES).toString('base64url') } }
}

async function newSigning(): Promise<{ kid: string; jwk: object }> {
  const { x = '', d = '' } = newPrivateKey('Ed25519').export({ format: 'jwk' })
  return { kid: await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x }), jwk: { kty: 'OKP', crv: 'Ed25519', x, d } }
}

async function sealingOf(jwk: ReadonlyMap<string, unknown>): Promise<SealingMaterial | undefined> {
  const k = jwk.get('k')
  if (jwk.size !== 2 || jwk.get('kty') !== 'oct' || typeof k !== 'string') return undefined
  const bytes = Buffer.from(k, 'base64url')
  return bytes.length === SEAL_BYTES && bytes.toString('base64url') === k ? { kind: 'sealing', bytes: new Uint8Array(bytes) } : undefined
}

async function signingOf(jwk: ReadonlyMap<string, unknown>, kid: string): Promise<SigningMaterial | undefined> {
  const [x, d] = [jwk.get('x'), jwk.get('d')]
  if (jwk.size !== 4 || jwk.get('kty') !== 'OKP' || jwk.get('crv') !== 'Ed25519' || typeof x !== 'string' || typeof d !== 'string') return undefined
  const publicJwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x }
  // An x that is not of this d would sign with one key and publish another.
  const derived = createPublicKey(createPrivateKey({ key: { ...publicJwk, d }, format: 'jwk' })).export({ format: 'jwk' })
  if (derived.x !== x || (await calculateJwkThumbprint(publicJwk)) !== kid) return undefined
  const [privateKey, publicKey] = await Promise.all([importJWK({ ...publicJwk, d }, 'EdDSA', { extractable: false }), importJWK({ ...publicJwk }, 'EdDSA')])
  if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) return undefined
  return { kind: 'signing', publicJwk, privateKey, publicKey }
}

function momentOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || value.length > 32) return undefined
  const ms = Date.parse(value)
  return Number.isFinite(ms) && new Date(ms).toISOString() === value ? ms : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The words of the parser quote the text, which is a key.
    return undefined
  }
}

function broken(path: string): OpenMcpError {
  return new OpenMcpError('keys_unsafe', `${path} is not a key as openmcp writes it`, { hint: 'put a copy back, or move it out of the directory' })
}
