// Identities that tests hold: a DID, its key, and what they sign with it.
import { createHash, createPublicKey, randomUUID, sign as signBytes, type KeyObject } from 'node:crypto'
import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'

import { toBase58 } from '../../src/identity/base58.ts'
import { newPrivateKey } from '../../src/identity/new-key.ts'
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
  publicJwk: JWK
  privateJwk: JWK
  proof(request: { method: string; url: string; token?: string; nonce?: string }, changes?: Json, header?: Json): Promise<string>
}

/** A key for RFC 9449 proofs. */
export async function proofKey(alg: Holder['alg'] = 'ES256'): Promise<ProofKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    jkt: await calculateJwkThumbprint(jwk),
    publicJwk: jwk,
    privateJwk: await exportJWK(privateKey),
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

/** What `token` of a stage asks of whoever logs in. */
export type Signer = Pick<Holder, 'did' | 'kid' | 'sign'>

const CURVES = {
  EdDSA: { codec: [0xed, 0x01], curve: 'Ed25519' },
  ES256: { codec: [0x80, 0x24], curve: 'P-256' },
  ES256K: { codec: [0xe7, 0x01], curve: 'secp256k1' },
} as const

export interface NodeKey {
  alg: keyof typeof CURVES
  privateKey: KeyObject
  publicJwk: JWK
  /** As did:key and did:peer write it. */
  multibase: string
}

/** A key of any algorithm that a DID may have; WebCrypto has no secp256k1. */
export function nodeKey(alg: NodeKey['alg']): NodeKey {
  const { codec, curve } = CURVES[alg]
  const privateKey = newPrivateKey(curve)
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK // node's type of it is another
  const x = Buffer.from(publicJwk.x ?? '', 'base64url')
  const y = Buffer.from(publicJwk.y ?? '', 'base64url')
  const point = alg === 'EdDSA' ? x : Buffer.concat([Buffer.from([2 + ((y.at(-1) ?? 0) & 1)]), x])
  return { alg, privateKey, publicJwk, multibase: `z${toBase58(Buffer.concat([Buffer.from(codec), point]))}` }
}

/** Signs as `did` with a key of node's. */
export function signerOf(did: string, kid: string, { alg, privateKey }: Pick<NodeKey, 'alg' | 'privateKey'>): Signer {
  return { did, kid, sign: async (claims, header = {}) => compactJwt({ alg, kid, typ: 'JWT', ...header }, claims, privateKey) }
}

/** A JWT with any header; `undefined` members are left out. */
export function compactJwt(header: Json, claims: Json, key: KeyObject | undefined): string {
  const part = (value: Json): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part(header)}.${part(claims)}`
  if (!key) return `${input}.`
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return `${input}.${signBytes(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

export function keyHolder(alg: NodeKey['alg'] = 'EdDSA'): Signer {
  const key = nodeKey(alg)
  return signerOf(`did:key:${key.multibase}`, `did:key:${key.multibase}#${key.multibase}`, key)
}

/** did:peer:2 with one key to log in. */
export function peerHolder(): Signer {
  const key = nodeKey('EdDSA')
  const did = `did:peer:2.V${key.multibase}`
  return signerOf(did, `${did}#key-1`, key)
}
