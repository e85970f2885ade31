// The envelope: who writes to whom, and what is signed. What is in it stays closed here (specification §9.1).
import { isVid, type Vid } from '../identity/vid.ts'
import { DASH, DATA, GROUP, NOTHING, text } from './cesr.ts'
import {
  cursorOver,
  expectEnd,
  isData,
  isGroup,
  malformed,
  readConstant,
  readData,
  readFixed,
  readGroup,
  readSince,
  readTriplet,
  type Cursor,
} from './cesr-read.ts'
import { writeData, writeFixed, writeGroup } from './cesr-write.ts'
import { TspRefusal } from './refusal.ts'
import { olderRevisionOf } from './revision.ts'

/**
 * The version that is written: a major and two characters of minor. Of what is read the major decides, and never the minor
 * (§9.1); a version 1.0 may be announced as `BAA`.
 */
const VERSION_WRITTEN = 'AAC'
const MAJORS_READ: readonly string[] = ['A']

export const MOST_MESSAGE_BYTES = 4 * 1024 * 1024
/** The longest DID that openmcp reads: a long form of did:peer:4. */
const MOST_VID_BYTES = 4096

const YTSP = text('YTSP')
const PROTOCOL_WRITTEN = text(`YTSP-${VERSION_WRITTEN}`)
/** One signature of one key: attachments, in them signatures, in them Ed25519 by the key of index 0. */
const SIGNATURE = { code: Buffer.concat([text('-CAX'), text('-KAW'), Buffer.from('0400', 'hex')]), length: 64 }

export interface ReadOptions {
  majors?: readonly string[]
  mostBytes?: number
}

/** How what is in a message is kept from others; `none` is signed and readable by everybody. */
type Protected = 'hpke-base' | 'sealed-box' | 'none'

/** A message whose form is right, and of which nothing is proven yet. */
export interface Frame {
  /** As it was written: of a did:peer:4 the long or the short form. */
  readonly sender: Vid
  /** Nobody in particular, when there is none. */
  readonly receiver: Vid | undefined
  readonly protectedBy: Protected
  /** What was sealed, or a payload that can be read. */
  readonly body: Buffer
  /** Version and VIDs, to which a sealed body and the digests are bound. */
  readonly prefix: Buffer
  readonly signed: Buffer
  readonly signature: Buffer
}

/** Throws a TspRefusal for anything but exactly one signed message. */
export function readFrame(bytes: Buffer, { majors = MAJORS_READ, mostBytes = MOST_MESSAGE_BYTES }: ReadOptions = {}): Frame {
  if (bytes.length > mostBytes) throw new TspRefusal('too_large', `the message has more than ${mostBytes} bytes`)
  try {
    return frameIn(cursorOver(bytes), majors)
  } catch (thrown) {
    const older = olderRevisionOf(bytes)
    // Its frame counts otherwise, which would be told as a mistake of the sender.
    if (older !== undefined && thrown instanceof TspRefusal && thrown.reason === 'malformed') throw new TspRefusal('revision', `the message is of ${older}`)
    throw thrown
  }
}

/** Version and VIDs: what a body is sealed with, and where the input of a digest begins. */
export function writePrefix(sender: Vid, receiver: Vid | undefined): Buffer {
  return Buffer.concat([PROTOCOL_WRITTEN, writeVid(sender), receiver === undefined ? NOTHING : writeVid(receiver)])
}

/** A message but for its signature, which is over all of it. */
export function writeFrame(prefix: Buffer, body: Buffer): Buffer {
  return writeGroup(GROUP.frame, prefix, body)
}

export function writeSignature(signature: Uint8Array): Buffer {
  return writeFixed(SIGNATURE, signature)
}

/** Further signatures, and those of other keys than the first, are refused: nobody would verify them. */
export function readSignature(cursor: Cursor): Buffer {
  return readFixed(cursor, SIGNATURE, 'the one signature of Ed25519')
}

export function writeVid(vid: Vid): Buffer {
  return writeData(DATA.bytes, Buffer.from(vid, 'latin1'))
}

/** Undefined for the empty VID. */
export function readVid(cursor: Cursor, what: string): Vid | undefined {
  const bytes = readData(cursor, DATA.bytes, what)
  if (bytes.length === 0) return undefined
  if (bytes.length > MOST_VID_BYTES) throw new TspRefusal('vid', `${what} is too long`)
  // A DID is ASCII: any other byte becomes a character that it may not have.
  const vid = bytes.toString('latin1')
  if (!isVid(vid)) throw new TspRefusal('vid', `${what} is not a DID as openmcp reads it`)
  return vid
}

function frameIn(message: Cursor, majors: readonly string[]): Frame {
  const { bytes } = message
  const frame = readGroup(message, GROUP.frame, 'the frame')
  const signed = readSince(message, 0)
  const start = frame.at
  readVersion(frame, majors)
  const sender = readVid(frame, 'the sender')
  if (sender === undefined) throw new TspRefusal('vid', 'nobody is the sender')
  const receiver = readVid(frame, 'the receiver')
  const prefix = bytes.subarray(start, frame.at)
  const { protectedBy, body } = readBody(frame)
  expectEnd(frame, 'the payload')
  const signature = readSignature(message)
  expectEnd(message, 'the signature')
  return { sender, receiver, protectedBy, body, prefix, signed, signature }
}

function readVersion(frame: Cursor, majors: readonly string[]): void {
  readConstant(frame, YTSP, 'the protocol')
  const start = frame.at
  const code = readTriplet(frame, 'the version')
  if (code >>> 18 !== DASH) throw malformed('the version is not where it must be')
  const version = readSince(frame, start).toString('base64url')
  if (!majors.includes(version.charAt(1))) throw new TspRefusal('revision', `the message is of an unknown version (YTSP${version})`)
}

function readBody(frame: Cursor): Pick<Frame, 'protectedBy' | 'body'> {
  if (isData(frame, DATA.hpkeBase)) return { protectedBy: 'hpke-base', body: readData(frame, DATA.hpkeBase, 'the ciphertext') }
  if (isData(frame, DATA.sealedBox)) return { protectedBy: 'sealed-box', body: readData(frame, DATA.sealedBox, 'the ciphertext') }
  if (!isGroup(frame, GROUP.payload)) throw malformed('there is neither a ciphertext nor a payload')
  const start = frame.at
  readGroup(frame, GROUP.payload, 'the payload')
  return { protectedBy: 'none', body: readSince(frame, start) }
}
