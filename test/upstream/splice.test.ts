import { type Arbitrary, array, assert, boolean, constantFrom, dictionary, integer, maxSafeInteger, nat, oneof, property, string, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcId } from '../../src/protocol/message.ts'
import { answerIdAtEdge, withId } from '../../src/upstream/splice.ts'

const EDGE_BYTES = 256

// ---- answers full of what looks like the edge of an answer

const lookAlike = constantFrom(
  '"jsonrpc":"2.0","id":5}',
  ',"jsonrpc":"2.0","id":5}',
  '},"jsonrpc":"2.0","id":5}',
  '{"jsonrpc":"2.0","id":5,"result":',
  '{"result":',
  '"',
  '\\',
  '\\"',
  '{',
  '}',
  ',',
  '5',
  '\u2028',
  'é',
  '😀',
)
const text = oneof(
  array(lookAlike, { maxLength: 6 }).map((parts) => parts.join('')),
  string({ unit: 'binary', maxLength: 8 }),
  nat(400).map((size) => 'x'.repeat(size)),
)
const id: Arbitrary<JsonRpcId> = oneof(constantFrom(5, 0, -1, '5', ''), maxSafeInteger(), text)
const inside = constantFrom<object>(
  { jsonrpc: '2.0', id: 5 },
  { a: 1, jsonrpc: '2.0', id: 5 },
  { jsonrpc: '2.0', id: 5, result: {} },
  { result: { jsonrpc: '2.0', id: 5 } },
)
const value = oneof(
  text,
  integer(),
  boolean(),
  constantFrom(null, [], {}),
  inside,
  array(oneof(text, inside), { maxLength: 3 }),
  dictionary(text, oneof(text, inside), { maxKeys: 3 }),
)
const extra = dictionary(
  text.map((name) => `x${name}`),
  value,
  { maxKeys: 2 },
)

interface Answer {
  order: string
  text: string
}

const answer: Arbitrary<Answer> = tuple(
  constantFrom('first', 'last', 'id first', 'extra last', 'extra first', 'spaced'),
  id,
  constantFrom('result', 'error'),
  value,
  extra,
).map(([order, ownId, kind, payload, more]) => {
  const envelope = { jsonrpc: '2.0', id: ownId }
  const body = { [kind]: payload }
  const members = {
    first: { ...envelope, ...body, ...more },
    last: { ...body, ...envelope },
    'id first': { id: ownId, jsonrpc: '2.0', ...body },
    'extra last': { ...body, ...envelope, ...more },
    'extra first': { ...more, ...body, ...envelope },
    spaced: { ...envelope, ...body },
  }[order]
  return { order, text: order === 'spaced' ? JSON.stringify(members, null, 1).replaceAll('\n', ' ') : JSON.stringify(members) }
})

describe('an answer', () => {
  test('with another id is the same answer, or cannot be had', () => {
    const done = { first: 0, last: 0 }
    const holds = property(answer, id, ({ order, text: line }, outer) => {
      const parsed = JSON.parse(line) as { id: JsonRpcId } // it was written so above
      const spliced = withId(line, parsed.id, outer)
      const pieces = withId(Buffer.from(line), parsed.id, outer)
      for (const got of [spliced, pieces === undefined ? undefined : textIn(pieces)]) {
        if (got === undefined) continue
        expect(JSON.parse(got)).toEqual({ ...parsed, id: outer })
        if (order === 'first' || order === 'last') done[order]++
      }
      const isCommon = order === 'first' || order === 'last'
      expect(isCommon && [spliced, pieces].includes(undefined)).toBe(false)
    })
    expect(() => assert(holds, { numRuns: 3000 })).not.toThrow()
    expect(Math.min(done.first, done.last)).toBeGreaterThan(100)
  })

  test('is never taken for that of another request', () => {
    const named = { first: 0, last: 0 }
    const holds = property(answer, ({ order, text: line }) => {
      const bytes = Buffer.from(line)
      const own = (JSON.parse(line) as { id: JsonRpcId }).id // it was written so above
      for (const read of [answerIdAtEdge(bytes, bytes), answerIdAtEdge(bytes.subarray(0, EDGE_BYTES), bytes.subarray(-EDGE_BYTES))]) {
        if (read === undefined) continue
        expect(read).toBe(own)
        if (order === 'first' || order === 'last') named[order]++
      }
    })
    expect(() => assert(holds, { numRuns: 3000 })).not.toThrow()
    expect(Math.min(named.first, named.last)).toBeGreaterThan(100)
  })

  test.each<[string, JsonRpcId | undefined]>([
    ['{"jsonrpc":"2.0","id":5,"result":{}}', 5],
    ['{"jsonrpc":"2.0","id":"a\\"b","error":{}}', 'a"b'],
    ['{"result":{},"jsonrpc":"2.0","id":5}', 5],
    ['{"result":"a","jsonrpc":"2.0","id":-7}', -7],
    ['{"result":null,"jsonrpc":"2.0","id":"x"}', 'x'],
    ['{"result":1,"jsonrpc":"2.0","id":9007199254740993}', undefined],
    ['{"jsonrpc":"2.0","id":5,"method":"ping"}', undefined],
    ['{"jsonrpc":"2.0","id":null,"result":{}}', undefined],
    ['{"jsonrpc":"2.0","id":1.5,"result":{}}', undefined],
    ['{"jsonrpc":"2.0", "id":5,"result":{}}', undefined],
    ['{"method":"x","params":{},"jsonrpc":"2.0","id":5}', undefined],
    ['{"result":{"a":1,"jsonrpc":"2.0","id":5}}', undefined],
    ['{"result":[{"a":1,"jsonrpc":"2.0","id":5}]}', undefined],
    ['{"result":"},\\"jsonrpc\\":\\"2.0\\",\\"id\\":5}"}', undefined],
    ['[{"result":{},"jsonrpc":"2.0","id":5}]', undefined],
    [`{"jsonrpc":"2.0","id":"${'x'.repeat(EDGE_BYTES)}","result":{}}`, undefined],
    ['', undefined],
  ])('%s has at its edge the id %s', (line, own) => {
    expect(answerIdAtEdge(Buffer.from(line), Buffer.from(line))).toBe(own)
  })

  test('that has another id than was thought is left alone', () => {
    for (const line of ['{"jsonrpc":"2.0","id":5,"result":{}}', '{"result":{},"jsonrpc":"2.0","id":5}']) {
      expect(withId(line, 6, 1)).toBeUndefined()
      expect(withId(line, '5', 1)).toBeUndefined()
      expect(withId(Buffer.from(line), 6, 1)).toBeUndefined()
      expect(withId(line, 5, undefined)).toBeUndefined()
    }
  })

  test('of many bytes is not copied, and not passed on with a raw carriage return', () => {
    const line = Buffer.from(`{"jsonrpc":"2.0","id":5,"result":"${'x'.repeat(1000)}"}`)
    const spliced = withId(line, 5, 'outer')
    expect(Array.isArray(spliced) && spliced.some((piece) => Buffer.isBuffer(piece) && piece.buffer === line.buffer)).toBe(true)
    expect(withId(Buffer.from('{"jsonrpc":"2.0","id":5,"result":{\r}}'), 5, 1)).toBeUndefined()
    expect(withId(Buffer.from('{"result":{\r},"jsonrpc":"2.0","id":5}'), 5, 1)).toBeUndefined()
  })
})

function textIn(pieces: string | readonly Buffer[]): string {
  return typeof pieces === 'string' ? pieces : Buffer.concat(pieces).toString()
}
