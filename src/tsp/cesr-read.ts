// Reads CESR primitives as strictly as they are written: nothing is copied, and nothing is believed about a length before it was seen to fit.
import { DASH, LONG_DATA, MOST_SHORT, SHORT_DATA } from './cesr.ts'
import { TspRefusal } from './refusal.ts'

/** Where reading stands in some bytes, and where they end. */
export interface Cursor {
  readonly bytes: Buffer
  at: number
  readonly end: number
}

export function cursorOver(bytes: Buffer): Cursor {
  return { bytes, at: 0, end: bytes.length }
}

/** What was read since `start`, as it stood. */
export function readSince({ bytes, at }: Cursor, start: number): Buffer {
  return bytes.subarray(start, at)
}

export function isAtEnd({ at, end }: Cursor): boolean {
  return at === end
}

/** Digests and signatures are over bytes: whatever follows what was expected is a mistake or a trick. */
export function expectEnd(cursor: Cursor, what: string): void {
  if (!isAtEnd(cursor)) throw malformed(`something follows ${what}`)
}

export function isGroup(cursor: Cursor, code: number): boolean {
  return headOf(cursor)?.group === code
}

export function isData(cursor: Cursor, code: number): boolean {
  return headOf(cursor)?.data === code
}

/** A cursor over what a group counts; the given one stands behind it. */
export function readGroup(cursor: Cursor, code: number, what: string): Cursor {
  const head = headOf(cursor)
  if (head?.group !== code) throw malformed(`${what} is not where it must be`)
  const start = take(cursor, head.length, head.count * 3, what)
  return { bytes: cursor.bytes, at: start, end: cursor.at }
}

export function readData(cursor: Cursor, code: number, what: string): Buffer {
  const head = headOf(cursor)
  if (head?.data !== code) throw malformed(`${what} is not where it must be`)
  const start = take(cursor, head.length, head.count * 3, what)
  if (start + head.lead > cursor.at) throw malformed(`${what} is shorter than its code says`)
  // Other bytes than zeros here would make two messages of one meaning, and of two digests (§3.7).
  for (let at = start; at < start + head.lead; at++) if (cursor.bytes[at] !== 0) throw malformed(`${what} has a lead byte that is not zero`)
  return cursor.bytes.subarray(start + head.lead, cursor.at)
}

export function isFixed({ bytes, at, end }: Cursor, { code, length }: { code: Buffer; length: number }): boolean {
  return at + code.length + length <= end && bytes.compare(code, 0, code.length, at, at + code.length) === 0
}

export function readFixed(cursor: Cursor, kind: { code: Buffer; length: number }, what: string): Buffer {
  if (!isFixed(cursor, kind)) throw malformed(`${what} is not where it must be`)
  const start = take(cursor, kind.code.length, kind.length, what)
  return cursor.bytes.subarray(start, cursor.at)
}

/** Bytes that can be no others. */
export function readConstant(cursor: Cursor, expected: Buffer, what: string): void {
  readFixed(cursor, { code: expected, length: 0 }, what)
}

/** Three bytes: the code of a payload's type, or of a version. */
export function readTriplet(cursor: Cursor, what: string): number {
  const start = take(cursor, 0, 3, what)
  return cursor.bytes.readUIntBE(start, 3)
}

/** All that is left. */
export function readRest(cursor: Cursor): Buffer {
  const start = cursor.at
  cursor.at = cursor.end
  return cursor.bytes.subarray(start, cursor.end)
}

export function malformed(why: string): TspRefusal {
  return new TspRefusal('malformed', why)
}

interface Head {
  /** The letter of a group or of data; -1 when it is not of that kind. */
  readonly group: number
  readonly data: number
  readonly lead: number
  /** Of the code itself, in bytes. */
  readonly length: 3 | 6
  /** Of what follows, in triplets. */
  readonly count: number
}

/** Undefined for what is neither a group nor data of any length, and for a long code where a short one would do. */
function headOf({ bytes, at, end }: Cursor): Head | undefined {
  if (end - at < 3) return undefined
  const code = bytes.readUIntBE(at, 3)
  const selector = code >>> 18
  const second = (code >>> 12) & 63
  const count = code & MOST_SHORT
  if (selector === DASH) {
    if (second !== DASH) return { group: second, data: -1, lead: 0, length: 3, count }
    return longHead(bytes, at, end, 30, (long) => ({ group: long & 63, data: -1, lead: 0 }))
  }
  if (selector >= SHORT_DATA && selector < SHORT_DATA + 3) return { group: -1, data: second, lead: selector - SHORT_DATA, length: 3, count }
  if (selector < LONG_DATA || selector >= LONG_DATA + 3) return undefined
  // Two A, then the letter.
  if (second !== 0 || count >>> 6 !== 0) return undefined
  return longHead(bytes, at, end, 24, (long) => ({ group: -1, data: long & 63, lead: selector - LONG_DATA }))
}

function longHead(bytes: Buffer, at: number, end: number, bits: 24 | 30, of: (code: number) => Omit<Head, 'length' | 'count'>): Head | undefined {
  if (end - at < 6) return undefined
  const long = bytes.readUIntBE(at, 6)
  const count = long % 2 ** bits
  if (count <= MOST_SHORT) return undefined
  return { ...of(Math.floor(long / 2 ** bits)), length: 6, count }
}

/** Steps over a code and what it counts; where the latter starts. */
function take(cursor: Cursor, codeLength: number, length: number, what: string): number {
  const start = cursor.at + codeLength
  if (start + length > cursor.end) throw malformed(`${what} is longer than what holds it`)
  cursor.at = start + length
  return start
}
