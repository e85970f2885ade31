// Identities that tests hold: a DID, its key, and what they sign with it.
import { createHash, randomUUID } from 'node:crypto'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'

import type { Json } from './json.ts'

export interface Holder {
  did: string
  kid: string
  alg: 'EdDSA' | 'ES256'
  privateKey: CryptoKey
  publicJwk: JWK
  sign(claims: Json, header?: Json): Promise<string>
}

/** did:jwk of a fresh key: its document can be written by hand in one line. */
export async function holder(alg: Holder['alg'] = 'EdDSA'): Promise<Holder> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const publicJwk = await exportJWK(publicKey)
  const did = `did:jwk:${Buffer.from(JSON.stringify(publicJwk)).toString('base64url')}`
  return holderOf(did, `${did}#0`, alg, privateKey, publicJwk)
}

/** The same for a key and a DID that are there already. */
export function holderOf(did: string, kid: string, alg: Holder['alg'], privateKey: CryptoKey, publicJwk: JWK): Holder {
  const sign = (claims: Json, header: Json = {}): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT', ...header }).sign(privateKey)
  return { did, kid, alg, privateKey, publicJwk, sign }
}

/** Seconds since 1970. */
export function secondsNow(): number {
  return Math.floor(Date.now() / 1000)
}

/** What a DID signs to ask for a token; members that are undefined are left out. */
export function assertionClaims(did: string, audience: string, changes: Json = {}): Json {
  const claims = { iss: did, sub: did, aud: audience, iat: secondsNow(), exp: secondsNow() + 120, jti: randomUUID(), ...changes }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

export interface ProofKey {
  jkt: string
  proof(request: { method: string; url: string; token?: string; nonce?: string }, changes?: Json, header?: Json): Promise<string>
}

/** A key for RFC 9449 proofs. */
export async function proofKey(alg: Holder['alg'] = 'ES256'): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    jkt: await calculateJwkThumbprint(jwk),
    proof({ method, url, token, nonce }, changes = {}, header = {}) {
      const claims = {
        jti: randomUUID(),
        htm: method,
        htu: url,
        iat: secondsNow(),
        ...(token !== undefined && { ath: createHash('sha256').update(token).digest('base64url') }),
        ...(nonce !== undefined && { nonce }),
        ...changes,
      }
      return new SignJWT(claims).setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header }).sign(privateKey)
    },
  }
}
