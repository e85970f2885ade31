// A compact JWT taken apart: sizes first, then shape. Nothing here is believed yet.
import { isObject, type JsonObject } from '../protocol/message.ts'

export interface Jwt {
  readonly header: JsonObject
  readonly claims: JsonObject
  readonly signingInput: Buffer
  readonly signature: Buffer
}

/** Longer than any token or assertion of ours, shorter than Node's headers. */
const MAX_CHARACTERS = 8192
const SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Undefined for whatever is not a signed compact JWT: too long, other characters, no JSON objects, or extensions we would have to understand. */
export function parseJwt(text: unknown): Jwt | undefined {
  if (typeof text !== 'string' || text.length > MAX_CHARACTERS || !SHAPE.test(text)) return undefined
  const [head = '', body = '', signature = ''] = text.split('.')
  const header = objectIn(head)
  const claims = objectIn(body)
  // `crit` and `b64` change what a signature means (RFC 7515 §4.1.11, RFC 7797).
  if (!header || !claims || 'crit' in header || 'b64' in header) return undefined
  return { header, claims, signingInput: Buffer.from(text.slice(0, head.length + 1 + body.length)), signature: Buffer.from(signature, 'base64url') }
}

function objectIn(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Seconds by which the clock of somebody else may differ from ours. */
export const SKEW_SECONDS = 60

/** What is wrong with the times of a JWT; undefined: nothing. `exp` must be there. */
export function wrongTimes({ exp, nbf, iat }: JsonObject, nowMs: number, skewSeconds: number): string | undefined {
  const now = nowMs / 1000
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return 'no exp'
  if (exp + skewSeconds <= now) return 'expired'
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf > now + skewSeconds)) return 'not valid yet'
  if (iat !== undefined && (typeof iat !== 'number' || iat > now + skewSeconds)) return 'issued in the future'
  return undefined
}

/** Longer than it may from now on, or from when it says that it was made: an old one is not good because little of its life is left. */
export function livesLonger({ exp, iat }: JsonObject, seconds: number, nowMs: number): boolean {
  const from = Math.min(nowMs / 1000, typeof iat === 'number' ? iat : Infinity)
  return Number(exp) > from + seconds + SKEW_SECONDS
}

/** RFC 7519 §4.1.3: one string or a list of them. An empty list is nobody. */
export function audiencesOf({ aud }: JsonObject): readonly string[] {
  const all: unknown[] = Array.isArray(aud) ? aud : [aud]
  return all.every((one) => typeof one === 'string') ? all : []
}

export function textClaim(claims: JsonObject, name: string, most = 512): string | undefined {
  const value = claims[name]
  return typeof value === 'string' && value !== '' && value.length <= most ? value : undefined
}

/** Who signed is asked of the issuer, never of the token: a key that travels with what it signs proves nothing. */
export function bringsItsKey({ header }: Jwt): boolean {
  return ['jwk', 'jku', 'x5c', 'x5u'].some((name) => name in header)
}

/** `at+jwt` and `application/at+jwt` are one type (RFC 7515 §4.1.9). */
export function typeOf({ header }: Jwt): string {
  const typ = header['typ']
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : ''
}
