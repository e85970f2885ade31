// RFC 9449: a proof that whoever sends a request holds a key, made for this request alone.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

import type { PublicJwk, SignatureAlgorithm, VerificationKey } from '../identity/document.ts'
import { verifySignature } from '../identity/signature.ts'
import { isObject } from '../protocol/message.ts'
import { SKEW_SECONDS, parseJwt, textClaim, typeOf } from './jwt.ts'

export interface ProvedKey {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string
  /** With `jkt` what may be used once, until `expiresAtMs`. */
  readonly jti: string
  readonly expiresAtMs: number
}

type ProofResult = ProvedKey | { readonly rejected: string; readonly nonce?: true }

interface DpopRequest {
  /** The header as it came. RFC 9449 §4.3: exactly one. */
  proof: string | readonly string[] | undefined
  method: string
  /** Without query and fragment. */
  url: string
  /** The token that goes with it; none at `/token`. */
  accessToken?: string
}

export interface Dpop {
  /** Everything but whether it is the first of its `jti`: that is asked when all else is right. */
  check(request: DpopRequest): Promise<ProofResult>
  /** A nonce of ours, good for a few minutes (RFC 9449 §8). */
  nonce(): string
}

export interface DpopOptions {
  /** Keys to make nonces with, the newest first. Asked anew each time. */
  sealing: () => readonly Uint8Array[]
  needsNonce: boolean
  now: () => number
}

export const DPOP_ALGORITHMS = ['EdDSA', 'ES256'] as const
const NONCE_SECONDS = 300
const KEYS_KEPT = 1000

export function createDpop({ sealing, needsNonce, now }: DpopOptions): Dpop {
  /** A client proves again and again with one key: it is imported once. */
  const keys = new Map<string, VerificationKey>()
  const keyOf = (jwk: PublicJwk, alg: SignatureAlgorithm): { key: VerificationKey; jkt: string } => {
    const jkt = thumbprintOf(jwk)
    const known = keys.get(jkt)
    if (known) return { key: known, jkt }
    const [oldest] = keys.keys()
    if (keys.size >= KEYS_KEPT && oldest !== undefined) keys.delete(oldest)
    const key = { id: jkt, alg, jwk }
    keys.set(jkt, key)
    return { key, jkt }
  }
  const seal = (key: Uint8Array, seconds: number): string => {
    const time = seconds.toString(36)
    return `${time}.${createHmac('sha256', key).update(`dpop-nonce ${time}`).digest('base64url')}`
  }
  const isOurs = (nonce: unknown): boolean => {
    if (typeof nonce !== 'string' || nonce.length > 64) return false
    const seconds = Number.parseInt(nonce, 36)
    if (!(seconds > now() / 1000 - NONCE_SECONDS && seconds <= now() / 1000 + 1)) return false
    return sealing().some((key) => isSame(seal(key, seconds), nonce))
  }

  return {
    async check({ proof, method, url, accessToken }) {
      const jwt = typeof proof === 'string' ? parseJwt(proof) : undefined
      if (!jwt || typeOf(jwt) !== 'dpop+jwt') return { rejected: 'no DPoP proof, or more than one' }
      const { header, claims } = jwt
      const jwk = publicJwkOf(header['jwk'])
      const alg = jwk && algorithmOf(jwk)
      // RFC 9864 names EdDSA by its curve; both are one.
      if (!jwk || !alg || alg !== (header['alg'] === 'Ed25519' ? 'EdDSA' : header['alg'])) return { rejected: 'its key or algorithm is none of ours' }
      const { key, jkt } = keyOf(jwk, alg)
      const jti = textClaim(claims, 'jti', 256)
      const iat = claims['iat']
      if (jti === undefined || typeof iat !== 'number') return { rejected: 'no jti or iat' }
      if (claims['htm'] !== method || !isSameUrl(claims['htu'], url)) return { rejected: 'made for another method or URL' }
      if (accessToken !== undefined && claims['ath'] !== createHash('sha256').update(accessToken).digest('base64url')) {
        return { rejected: 'made for another token' }
      }
      if (!(await verifySignature(key, jwt.signingInput, jwt.signature))) return { rejected: 'the signature is wrong' }
      const ownNonce = isOurs(claims['nonce'])
      if (!ownNonce && (needsNonce || claims['nonce'] !== undefined)) return { rejected: 'it lacks a nonce of ours, or has an old one', nonce: true }
      // With a nonce of ours our own clock tells its age; without, the client's must be right.
      if (!ownNonce && Math.abs(now() / 1000 - iat) > SKEW_SECONDS) return { rejected: 'too old, or of the future' }
      // One more, so that there is no moment at which it is forgotten and still good.
      const lifeSeconds = (ownNonce ? NONCE_SECONDS : 2 * SKEW_SECONDS) + 1
      return { jkt, jti, expiresAtMs: now() + lifeSeconds * 1000 }
    },
    nonce: () => seal(sealing()[0] ?? new Uint8Array(), Math.floor(now() / 1000)),
  }
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** RFC 9449 §4.3: compared without query and fragment, after the normalisation of RFC 3986 §6.2. */
function isSameUrl(htu: unknown, url: string): boolean {
  if (htu === url) return true
  if (typeof htu !== 'string' || htu.length > 2048) return false
  const named = URL.parse(htu)
  if (!named) return false
  named.search = ''
  named.hash = ''
  return named.href === new URL(url).href
}

const KEY_TEXT = /^[\w-]{43}$/

/** The public key in a header; undefined for a private one, another curve, or anything that is not exactly 32 bytes a coordinate. */
function publicJwkOf(value: unknown): PublicJwk | undefined {
  if (!isObject(value) || 'd' in value) return undefined
  const { kty, crv, x, y } = value
  if (typeof x !== 'string' || !KEY_TEXT.test(x)) return undefined
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x }
  if (kty === 'EC' && crv === 'P-256' && typeof y === 'string' && KEY_TEXT.test(y)) return { kty, crv, x, y }
  return undefined
}

function algorithmOf({ crv }: PublicJwk): SignatureAlgorithm {
  return crv === 'Ed25519' ? 'EdDSA' : crv === 'P-256' ? 'ES256' : 'ES256K'
}

/** RFC 7638: the required members in the order of the alphabet. */
function thumbprintOf(jwk: PublicJwk): string {
  const { crv, kty, x } = jwk
  const members = jwk.kty === 'EC' ? { crv, kty, x, y: jwk.y } : { crv, kty, x }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}
