import { array, assert, constantFrom, integer, nat, oneof, property, string, tuple, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLineReader } from '../../src/protocol/lines.ts'

const MAX = 1024
const EDGE = 256

type Said = { line: string } | { head: string; tail: string }

const line = oneof(
  string({ maxLength: 20 }),
  constantFrom('', '\r', '{"a":1}'),
  integer({ min: MAX - 3, max: MAX + 3 }).map(numbered),
  nat(4 * MAX).map(numbered),
)
const text = array(tuple(line, constantFrom('\n', '\n', '\r\n')), { maxLength: 12 }).map((lines) => Buffer.from(lines.flat().join('')))
const bytes = oneof(
  { weight: 4, arbitrary: text },
  uint8Array({ maxLength: 60 }).map((some) => Buffer.from(some)),
)
const cuts = array(nat(), { maxLength: 20 })

describe('lines', () => {
  test('are the same in one piece, in many and byte by byte, and a line too long costs no other', () => {
    let tooLong = 0
    const holds = property(bytes, cuts, (all, at) => {
      const expected = linesIn(all)
      expect(readIn(pieces(all, at))).toEqual(expected)
      expect(readIn([...all].map((byte) => Buffer.of(byte)))).toEqual(expected)
      if (expected.some((said) => 'head' in said)) tooLong++
    })
    expect(() => assert(holds, { numRuns: 200 })).not.toThrow()
    expect(tooLong).toBeGreaterThan(20)
  })

  test('end with a line feed or with both, and empty ones are none', () => {
    expect(readIn([Buffer.from('a\n\r\n\nb\r\n\n\rc\n')])).toEqual([{ line: 'a' }, { line: 'b' }, { line: '\rc' }])
  })

  test('of exactly the limit are read, of one byte more are told of by their ends', () => {
    const fits = numbered(MAX)
    const over = numbered(MAX + 1)
    expect(readIn([Buffer.from(`${fits}\n${over}\nnext\n`)])).toEqual([
      { line: fits },
      { head: over.slice(0, EDGE), tail: over.slice(-EDGE) },
      { line: 'next' },
    ])
  })

  test('that are far too long are passed over, and reading goes on at the next', () => {
    const over = numbered(100 * MAX)
    const said = readIn([...pieces(Buffer.from(over), [1, 5000, 70_000]), Buffer.from('\nnext\n')])
    expect(said).toEqual([{ head: over.slice(0, EDGE), tail: over.slice(-EDGE) }, { line: 'next' }])
  })

  test('may lack their break at the end of the stream', () => {
    expect(readIn([Buffer.from('a\nb')], 'end')).toEqual([{ line: 'a' }, { line: 'b' }])
    expect(readIn([Buffer.from(numbered(MAX + 1))], 'end')).toMatchObject([{ tail: numbered(MAX + 1).slice(-EDGE) }])
    expect(readIn([Buffer.from('a\n')], 'end')).toEqual([{ line: 'a' }])
  })

  test('keep bytes that are no text', () => {
    expect(readIn([Buffer.from([0xff, 0x00, 0x0a])])).toEqual([{ line: Buffer.from([0xff, 0x00]).toString('latin1') }])
  })

  // The id of an answer is looked for right before the end.
  test('that are too long end without their carriage return too', () => {
    const over = numbered(MAX + 10)
    expect(readIn([Buffer.from(`${over}\r\n`)])).toMatchObject([{ tail: over.slice(-EDGE) }])
  })
})

/** A line of this many bytes in which every place is known by its neighbours. */
function numbered(size: number): string {
  return Array.from({ length: Math.ceil(size / 6) }, (_, index) => String(index).padStart(6, '-'))
    .join('')
    .slice(0, size)
}

function pieces(all: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((cut) => cut % (all.length + 1)).toSorted((a, b) => a - b), all.length]
  return edges.slice(1).map((edge, index) => all.subarray(edges[index], edge))
}

function readIn(chunks: readonly Buffer[], end?: 'end'): Said[] {
  const said: Said[] = []
  const reader = createLineReader(MAX, {
    line: (one) => said.push({ line: one.toString('latin1') }),
    tooLong: (head, tail) => said.push({ head: head.toString('latin1'), tail: tail.toString('latin1') }),
  })
  for (const chunk of chunks) reader.feed(chunk)
  if (end) reader.end()
  return said
}

/** The same over the whole, in the plainest way. */
function linesIn(all: Buffer): Said[] {
  const lines = all.toString('latin1').split('\n')
  lines.pop()
  return lines.flatMap((one): Said[] => {
    const bare = one.replace(/\r$/, '')
    if (one.length > MAX) return [{ head: one.slice(0, EDGE), tail: bare.slice(-EDGE) }]
    return bare === '' ? [] : [{ line: bare }]
  })
}
