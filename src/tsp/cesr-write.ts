// Writes CESR primitives, each in the one way in which it is read.
import { DASH, LONG_DATA, MOST_LONG_DATA, MOST_LONG_GROUP, MOST_SHORT, SHORT_DATA } from './cesr.ts'
import { TspRefusal } from './refusal.ts'

/** A group around what it counts. */
export function writeGroup(code: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0)
  const count = length / 3
  if (!Number.isInteger(count)) throw new TypeError('a group holds whole triplets')
  if (count > MOST_LONG_GROUP) throw tooLong()
  return Buffer.concat([count <= MOST_SHORT ? short(DASH, code, count) : long((DASH * 64 + DASH) * 64 + code, 30, count), ...content])
}

export function writeData(code: number, data: Uint8Array): Buffer {
  const lead = (3 - (data.length % 3)) % 3
  const count = (lead + data.length) / 3
  if (count > MOST_LONG_DATA) throw tooLong()
  // A long code has its letter behind two A, which are zeros.
  const head = count <= MOST_SHORT ? short(SHORT_DATA + lead, code, count) : long((LONG_DATA + lead) * 64 ** 3 + code, 24, count)
  return Buffer.concat([head, Buffer.alloc(lead), data])
}

export function writeFixed({ code, length }: { code: Uint8Array; length: number }, data: Uint8Array): Buffer {
  if (data.length !== length) throw new TypeError(`this primitive has ${length} bytes`)
  return Buffer.concat([code, data])
}

function short(selector: number, code: number, count: number): Buffer {
  const head = Buffer.alloc(3)
  head.writeUIntBE((selector * 64 + code) * 64 ** 2 + count, 0, 3)
  return head
}

function long(code: number, bits: 24 | 30, count: number): Buffer {
  const head = Buffer.alloc(6)
  head.writeUIntBE(code * 2 ** bits + count, 0, 6)
  return head
}

function tooLong(): TspRefusal {
  return new TspRefusal('too_large', 'there is no code for so many bytes')
}
