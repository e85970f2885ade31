// The digest of an invite or an accept, by which both ends know the relationship: over the message's own words, its place in them
// filled with a dummy (specification §7.2.1).
import { blake2b } from '@noble/hashes/blake2.js'
import { createHash } from 'node:crypto'

import { FIXED } from './cesr.ts'
import { isFixed, readFixed, readSince, malformed, type Cursor } from './cesr-read.ts'
import { writeFixed } from './cesr-write.ts'

/** The primitive in hexadecimal, its code included: ordered as its bytes are, which a race between two invites asks for. */
export type Digest = string & { readonly __digest: unique symbol } // only readDigest, digestOver and parseDigest make one

export type DigestKind = 'sha256' | 'blake2b256'

/** As long as a digest with its code. */
export const DUMMY = Buffer.alloc(33, 0x23)

export function digestOver(kind: DigestKind, ...parts: readonly Uint8Array[]): Digest {
  const input = Buffer.concat(parts)
  const hash = kind === 'sha256' ? createHash('sha256').update(input).digest() : blake2b(input, { dkLen: 32 })
  return named(writeFixed(FIXED[kind], hash))
}

export function readDigest(cursor: Cursor, what: string): Digest {
  const start = cursor.at
  const kind = isFixed(cursor, FIXED.sha256) ? FIXED.sha256 : FIXED.blake2b256
  readFixed(cursor, kind, what)
  return named(readSince(cursor, start))
}

export function writeDigest(digest: Digest): Buffer {
  return Buffer.from(digest, 'hex')
}

/** Undefined for what is no digest as it is kept. */
export function parseDigest(text: unknown): Digest | undefined {
  if (typeof text !== 'string' || !/^(?:20|14)[0-9a-f]{64}$/.test(text)) return undefined
  // What the brand promises was looked at.
  return text as Digest
}

/** With which hash a digest was made, as its code says. */
export function kindOf(digest: Digest): DigestKind {
  if (digest.startsWith(FIXED.sha256.code.toString('hex'))) return 'sha256'
  if (digest.startsWith(FIXED.blake2b256.code.toString('hex'))) return 'blake2b256'
  throw malformed('the digest is of no known kind')
}

function named(primitive: Buffer): Digest {
  // Written by us or read as a digest: what the brand promises.
  return primitive.toString('hex') as Digest
}
