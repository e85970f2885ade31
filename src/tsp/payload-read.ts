// Reads a payload, in the clear or decrypted: signed by its sender, and still as untrusted as he is.
import type { Vid } from '../identity/vid.ts'
import { DATA, FIXED, GROUP } from './cesr.ts'
import {
  cursorOver,
  expectEnd,
  isAtEnd,
  isGroup,
  malformed,
  readConstant,
  readData,
  readFixed,
  readGroup,
  readRest,
  readSince,
  type Cursor,
} from './cesr-read.ts'
import { digestOver, DUMMY, kindOf, readDigest, type Digest } from './digest.ts'
import { readSignature, readVid, type Frame } from './envelope.ts'
import { TYPE, type Payload, type Referral } from './payload.ts'
import { TspRefusal } from './refusal.ts'

/** Far more than anybody routes through. */
const MOST_HOPS = 32

/** `bytes` is the body of `frame`, opened. Throws a TspRefusal for what is not exactly one payload of this sender. */
export function readPayload(bytes: Buffer, frame: Frame): Payload {
  const whole = cursorOver(bytes)
  const payload = readGroup(whole, GROUP.payload, 'the payload')
  expectEnd(whole, 'the payload')
  const start = payload.at
  const [type, read] = readType(payload)
  const sender = readData(payload, DATA.bytes, 'the sender in the payload')
  // Who opens a sealed box learns nothing of its sender, unless it says so itself and is signed by him (§8.3.2).
  if (sender.length === 0 ? frame.protectedBy === 'sealed-box' : sender.toString('latin1') !== frame.sender) {
    throw new TspRefusal('sender', 'the payload is not of the sender of the message')
  }
  const result = read(payload, { prefix: frame.prefix, head: readSince(payload, start) })
  expectEnd(payload, `the fields of an ${type}`)
  return result
}

interface Around {
  /** Version and VIDs of the envelope. */
  readonly prefix: Buffer
  /** Type and sender of the payload. */
  readonly head: Buffer
}

type Read = (payload: Cursor, around: Around) => Payload

const READS: readonly (readonly [keyof typeof TYPE, Read])[] = [
  ['application', (payload) => ({ kind: 'application', data: readStream(payload) })],
  ['control', (payload) => ({ kind: 'control', data: readStream(payload) })],
  ['covered', readCovered],
  ['padding', readNothing],
  ['invite', readInvite],
  ['accept', readAccept],
  ['cancel', readCancel],
]

function readType(payload: Cursor): readonly [string, Read] {
  const type = readRest({ ...payload, end: Math.min(payload.at + 3, payload.end) })
  const found = READS.find(([name]) => TYPE[name].equals(type))
  if (!found) throw new TspRefusal('unsupported', 'the payload is of an unknown type')
  readConstant(payload, type, 'the type of the payload')
  return found
}

/** One piece of data, which an upper layer may have said to be no CESR (§9.2.9): both are sent. */
function readStream(payload: Cursor): Buffer {
  readPadding(payload)
  const stream = readGroup(payload, GROUP.stream, 'the stream')
  const holder = isGroup(stream, GROUP.foreign) ? readGroup(stream, GROUP.foreign, 'the data') : stream
  const data = readData(holder, DATA.bytes, 'the data')
  expectEnd(holder, 'the data')
  expectEnd(stream, 'the data')
  return data
}

function readCovered(payload: Cursor): Payload {
  const [hop, ...hops] = readVids(payload, 'the hops')
  readPadding(payload)
  const message = readRest(payload)
  if (message.length === 0) throw malformed('there is no message in the message')
  return hop === undefined ? { kind: 'nested', message } : { kind: 'routed', hops: [hop, ...hops], message }
}

function readNothing(payload: Cursor): Payload {
  readFixed(payload, FIXED.nonce, 'the nonce')
  readPadding(payload)
  return { kind: 'padding' }
}

function readInvite(payload: Cursor, { prefix, head }: Around): Payload {
  const digest = readDigest(payload, 'the digest')
  const start = payload.at
  readFixed(payload, FIXED.nonce, 'the nonce')
  const replyPath = readVids(payload, 'the reply path')
  const middle = readSince(payload, start)
  const { referral, covered } = readReferral(payload, Buffer.concat([head, Buffer.from(digest, 'hex'), middle]))
  readPadding(payload)
  expectDigest(digest, [prefix, head, DUMMY, middle, covered])
  return { kind: 'invite', digest, replyPath, ...(referral && { referral }) }
}

/** Of a referral the digest covers the new VID alone, and of none its empty place. */
function readReferral(payload: Cursor, signedBefore: Buffer): { referral?: Referral; covered: Buffer } {
  const start = payload.at
  const group = readGroup(payload, GROUP.vids, 'the referral')
  if (isAtEnd(group)) return { covered: readSince(payload, start) }
  const vidStart = group.at
  const vid = readVid(group, 'the new VID')
  if (vid === undefined) throw new TspRefusal('vid', 'the referral names nobody')
  const covered = readSince(group, vidStart)
  const signature = readSignature(group)
  expectEnd(group, 'the signature of the referral')
  return { covered, referral: { vid, signature, signed: Buffer.concat([signedBefore, covered]) } }
}

function readAccept(payload: Cursor, { prefix, head }: Around): Payload {
  const start = payload.at
  const invite = readDigest(payload, 'the digest of the invite')
  const echoed = readSince(payload, start)
  const digest = readDigest(payload, 'the digest')
  readPadding(payload)
  expectDigest(digest, [prefix, head, echoed, DUMMY])
  return { kind: 'accept', invite, digest }
}

function readCancel(payload: Cursor): Payload {
  const digest = readDigest(payload, 'the digest')
  readPadding(payload)
  return { kind: 'cancel', digest }
}

function expectDigest(digest: Digest, parts: readonly Buffer[]): void {
  if (digestOver(kindOf(digest), ...parts) !== digest) throw new TspRefusal('digest', 'the digest is not of the message that carries it')
}

/** Their count is of bytes. */
function readVids(payload: Cursor, what: string): Vid[] {
  const group = readGroup(payload, GROUP.vids, what)
  const vids: Vid[] = []
  while (!isAtEnd(group)) {
    const vid = readVid(group, what)
    if (vid === undefined) throw new TspRefusal('vid', `${what} names nobody`)
    if (vids.length === MOST_HOPS) throw new TspRefusal('too_large', `${what} has more than ${MOST_HOPS} entries`)
    vids.push(vid)
  }
  return vids
}

function readPadding(payload: Cursor): void {
  readData(payload, DATA.bytes, 'the padding')
}
