import { isDeepStrictEqual } from 'node:util'
import {
  type Arbitrary,
  array,
  assert,
  boolean,
  constant,
  constantFrom,
  double,
  integer,
  letrec,
  nat,
  oneof,
  property,
  string,
  tuple,
  uint8Array,
} from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { bodyOf, idOfRefusal, parsePost, textOf, type Post } from '../../src/protocol/message.ts'

const DEPTH = 40

// ---- any JSON, as somebody else may have written it

const space = constantFrom('', '', '', ' ', '\n', '\r\n', '\t ')
/** A JSON string literal: each UTF-16 unit as it is or escaped. A lone surrogate has no UTF-8 form and comes escaped. */
const literal: Arbitrary<string> = array(
  tuple(oneof(integer({ min: 0, max: 0xffff }), integer({ min: 0x20, max: 0x7e }), constantFrom(0xd83d, 0xde00, 0x2028, 0)), boolean()),
  {
    maxLength: 12,
  },
).map(
  (units) =>
    `"${units.map(([unit, escaped]) => (escaped || mustEscape(unit) ? `\\u${unit.toString(16).padStart(4, '0')}` : String.fromCharCode(unit))).join('')}"`,
)
const memberName = oneof(literal, constantFrom('"__proto__"', '"constructor"', '"toString"', '"\\u005f_proto__"', '"id"', '"jsonrpc"', '"method"', '"a"', '""'))
/** Numbers that every reader of doubles reads alike, written in any way. */
const anyNumber = oneof(
  double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  integer().map(String),
  constantFrom(
    '-0',
    '0.0',
    '1e3',
    '1E+3',
    '12.50',
    '9007199254740991',
    '-9007199254740991',
    '5e-324',
    '1.7976931348623157e308',
    '0.1000000000000000055',
    '100000000000000000000',
  ),
)
const scalar = oneof(literal, anyNumber, constantFrom('true', 'false', 'null'))
const json: Arbitrary<string> = letrec<{ value: string }>((tie) => ({
  value: oneof(
    { depthSize: 'small' },
    scalar,
    array(tuple(space, tie('value')), { maxLength: 4 }).map((items) => `[${items.map(([before, item]) => before + item).join(',')}]`),
    array(tuple(space, memberName, space, tie('value')), { maxLength: 4 }).map(objectOf),
  ),
})).value

/** A message that may be one: each of its members is mostly right, and may come twice, late or not at all. */
const message = array(
  oneof(
    { weight: 4, arbitrary: tuple(space, constant('"jsonrpc"'), space, constant('"2.0"')) },
    { weight: 3, arbitrary: tuple(space, constant('"method"'), space, literal) },
    { weight: 3, arbitrary: tuple(space, constant('"id"'), space, oneof(literal, nat().map(String), anyNumber)) },
    { weight: 2, arbitrary: tuple(space, constantFrom('"params"', '"result"', '"error"'), space, json) },
    { weight: 1, arbitrary: tuple(space, memberName, space, json) },
  ),
  { minLength: 1, maxLength: 7 },
).map((members) => objectOf([['', '"jsonrpc"', '', '"2.0"'], ...members]))
const post = oneof(
  { weight: 4, arbitrary: message },
  array(message, { maxLength: 4 }).map((messages) => `[${messages.join(',')}]`),
  json,
)

function objectOf(members: [string, string, string, string][]): string {
  return `{${members.map(([before, name, between, value]) => `${before}${name}${between}:${value}`).join(',')}}`
}

function mustEscape(unit: number): boolean {
  return unit < 0x20 || unit === 0x22 || unit === 0x5c || (unit >= 0xd800 && unit <= 0xdfff)
}

describe('what a client sends', () => {
  test('goes through with the same meaning or is refused as a failure with a name', () => {
    let passed = 0
    const holds = property(post, (text) => {
      const parsed = parsedOrRefused(Buffer.from(text))
      if (parsed === undefined) return
      passed++
      const sent = textOf(parsed)
      expect(sent).not.toMatch(/[\r\n]/)
      expect(isDeepStrictEqual(meaningOf(sent), meaningOf(text))).toBe(true)
    })
    expect(() => assert(holds, { numRuns: 1500 })).not.toThrow()
    expect(passed).toBeGreaterThan(200)
  })

  test('is never anything but parsed or refused, whatever the bytes', () => {
    const bytes = oneof(
      uint8Array({ maxLength: 200 }),
      tuple(post, array(tuple(nat(), nat(255)), { maxLength: 3 })).map(([text, edits]) => {
        const mutated = Buffer.from(text)
        for (const [at, byte] of edits) mutated[at % mutated.length] = byte
        return mutated
      }),
      tuple(post, nat(100)).map(([text, percent]) => Buffer.from(text).subarray(0, (text.length * percent) / 100)),
      string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    )
    expect(() =>
      assert(
        property(bytes, (any) => void parsedOrRefused(Buffer.from(any))),
        { numRuns: 1500 },
      ),
    ).not.toThrow()
  })

  test('keeps every code unit of its strings, lone surrogates too', () => {
    const text = '{"jsonrpc":"2.0","id":"\\ud800","method":"\\udfff\\u0000","params":{"\\ud83d\\ude00":"\\ud83d"}}'
    expect(JSON.parse(textOf(parsePost(Buffer.from(text), DEPTH)))).toEqual(JSON.parse(text))
  })

  test('keeps members that are called like those every object has', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"a":1},"constructor":{"prototype":2}},"__proto__":null}'
    const parsed = parsePost(Buffer.from(text), DEPTH)
    expect(textOf(parsed)).toBe(text)
    expect(({} as Record<string, unknown>)['a']).toBeUndefined()
  })

  test('takes none of its members from a prototype', () => {
    expect(refusalOf('{"__proto__":{"jsonrpc":"2.0","id":1,"method":"x"}}').code).toBe('invalid_request')
    expect(refusalOf('{"jsonrpc":"2.0","id":1,"__proto__":{"method":"x"}}').code).toBe('invalid_request')
  })

  test('has one member of a name afterwards, the one that was checked', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","id":2}'
    const parsed = parsePost(Buffer.from(text), DEPTH)
    expect(parsed.messages[0]).toMatchObject({ id: 2, method: 'tools/call' })
    expect(textOf(parsed)).toBe('{"jsonrpc":"2.0","id":2,"method":"tools/call"}')
  })

  // A regular expression over strings keeps one place to go back to for each character: from some 8 million on V8 has no
  // room for them and throws `RangeError: Maximum call stack size exceeded`. stdio takes 64 MiB.
  test('may hold a long string beside a number that is refused', { timeout: 60_000 }, () => {
    const text = `{"jsonrpc":"2.0","id":1,"method":"x","params":["${'x'.repeat(32 * 1024 * 1024)}",12345678901234567891]}`
    expect(refusalOf(text).code).toBe('invalid_request')
  })
})

describe('a large message', () => {
  const PAD = 'p'.repeat(64 * 1024)
  const members = array(tuple(space, memberName, space, json), { maxLength: 6 }).map(objectOf)

  test('leaves as it came only when no name in one of its objects occurs twice, and always with the same meaning', () => {
    const seen = { asItCame: 0, rewritten: 0 }
    const holds = property(members, (params) => {
      const text = `{"jsonrpc":"2.0","method":"x","params":${params},"pad":"${PAD}"}`
      const parsed = parsedOrRefused(Buffer.from(text))
      if (parsed === undefined) return
      const sent = bodyOf(parsed).toString()
      expect(isDeepStrictEqual(meaningOf(sent), meaningOf(text))).toBe(true)
      seen[sent === text ? 'asItCame' : 'rewritten']++
      // Whether a reader takes the first of a name or the last, it is the one that was checked.
      expect(namesIn(sent)).toBe(membersOf(JSON.parse(sent)))
    })
    expect(() => assert(holds, { numRuns: 200 })).not.toThrow()
    expect(Math.min(seen.asItCame, seen.rewritten)).toBeGreaterThan(20)
  })

  test.each([
    ['"method":"ping","method":"tools/call"', false],
    ['"method":"ping","m\\u0065thod":"tools/call"', false],
    ['"method":"ping","params":{"name":"a","name" \n: "b"}', false],
    ['"method":"ping","params":{"a":[{"__proto__":1},{"__proto__":1,"__proto__":2}]}', false],
    ['"method":"ping","params":{"a\\\\":1,"b\\"":2,"b\\"":3}', false],
    ['"method":"ping","params":{"a":"\\"a\\":1"}', true],
    ['"method":"ping","params":{"a":{"a":{"a":1}}}', true],
    ['"method":"ping" , "params" : {"a\\\\" : "\\\\"}', true],
  ])('with %s leaves as it came: %s', (inside, asItCame) => {
    const text = `{"jsonrpc":"2.0","pad":"${PAD}",${inside}}`
    const sent = bodyOf(parsePost(Buffer.from(text), DEPTH)).toString()
    expect(sent === text).toBe(asItCame)
    expect(JSON.parse(sent)).toEqual(JSON.parse(text))
  })
})

describe('a number', () => {
  test.each(['0', '-1', '9007199254740991', '-9007199254740991', '0.1', '1e3', '1e21', '100000000000000000000', '-0.0', '2.50'])('%s is carried', (token) => {
    const sent = textOf(parsePost(Buffer.from(`{"jsonrpc":"2.0","method":"x","params":[${token}]}`), DEPTH))
    expect(meaningOf(sent)).toEqual(meaningOf(`{"jsonrpc":"2.0","method":"x","params":[${token}]}`))
  })

  test.each(['9007199254740993', '-9007199254740993', '12345678901234567891', `1${'0'.repeat(308)}1`, '1e309', '-1e309', '9'.repeat(5000)])(
    '%s would be rounded on the way and is refused',
    (token) => {
      const error = refusalOf(`{"jsonrpc":"2.0","method":"x","params":{"deep":[{"n":${token}}]}}`)
      expect(error.code).toBe('invalid_request')
    },
  )

  test('that would be rounded is text inside a string and is carried', () => {
    const text = '{"jsonrpc":"2.0","method":"12345678901234567891","params":["1e999","\\\\\\"9007199254740993"],"x":1e20}'
    expect(meaningOf(textOf(parsePost(Buffer.from(text), DEPTH)))).toEqual(meaningOf(text))
  })

  // These are doubles, but JSON.stringify writes only as many digits as tell a double from its neighbours: 2 ** 63 would
  // leave as 9223372036854776000, another integer to a reader that has integers of 64 bits or more (Python, Java, Go).
  test.each(['9223372036854775808', '18446744073709551616', '-9223372036854775808', '12345678901234567168'])(
    '%s leaves as the same integer or is refused',
    (token) => {
      const text = `{"jsonrpc":"2.0","method":"x","params":[${token}]}`
      const parsed = parsedOrRefused(Buffer.from(text))
      expect(parsed === undefined ? undefined : meaningOf(textOf(parsed))).toEqual(parsed === undefined ? undefined : meaningOf(text))
    },
  )

  // No doubles, but the nearest one is written with the same digits: what came is what leaves.
  test.each(['1732178400123456800', '38859638066738250'])('%s, as a JavaScript client writes it, is carried', (token) => {
    const text = `{"jsonrpc":"2.0","method":"x","params":[${token}]}`
    expect(parsedOrRefused(Buffer.from(text))).toBeDefined()
  })
})

describe('a message', () => {
  test.each<[string, object]>([
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', { kind: 'request', id: 1, method: 'ping' }],
    ['{"jsonrpc":"2.0","id":"1","method":"ping"}', { kind: 'request', id: '1', method: 'ping' }],
    ['{"jsonrpc":"2.0","id":"","method":""}', { kind: 'request', id: '', method: '' }],
    ['{"jsonrpc":"2.0","id":0,"method":"x/y"}', { kind: 'request', id: 0 }],
    ['{"jsonrpc":"2.0","id":-9007199254740991,"method":"x"}', { kind: 'request', id: -9007199254740991 }],
    ['{"jsonrpc":"2.0","method":"ping"}', { kind: 'notification', method: 'ping' }],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', { kind: 'response', id: 1 }],
    ['{"jsonrpc":"2.0","id":"a","result":null}', { kind: 'response', id: 'a' }],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}', { kind: 'response', id: 1 }],
    ['{"jsonrpc":"2.0","id":1,"method":"x","result":{},"later":[]}', { kind: 'request', id: 1, method: 'x' }],
  ])('%s is one', (text, what) => {
    expect(parsePost(Buffer.from(text), DEPTH)).toMatchObject({ batch: false, messages: [what] })
  })

  test.each<[string, string | number | undefined]>([
    ['{"id":7,"method":"x"}', 7],
    ['{"jsonrpc":"1.0","id":7,"method":"x"}', 7],
    ['{"jsonrpc":2.0,"id":"q","method":"x"}', 'q'],
    ['{"jsonrpc":"2.0","id":7,"method":3}', 7],
    ['{"jsonrpc":"2.0","id":7,"method":null}', 7],
    ['{"jsonrpc":"2.0","id":7}', 7],
    ['{"jsonrpc":"2.0","id":null,"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":1.5,"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":1e20,"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":9007199254740992,"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":true,"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":[1],"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","id":{"a":1},"method":"x"}', undefined],
    ['{"jsonrpc":"2.0","result":{}}', undefined],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}', undefined],
    ['"text"', undefined],
    ['12', undefined],
    ['null', undefined],
  ])('%s is none, and the refusal names the request it answers where that can be read', (text, id) => {
    const error = refusalOf(text)
    expect(error.code).toBe('invalid_request')
    expect(idOfRefusal(error)).toBe(id)
  })

  test.each(['', ' ', '{', '{"jsonrpc":"2.0",}', 'undefined', "{'a':1}", '[1', '{"a":01}', '"\n"', '\ufeff{"jsonrpc":"2.0","method":"x"}', '{}{}'])(
    '%j is no JSON',
    (text) => {
      expect(refusalOf(text).code).toBe('parse')
    },
  )

  test.each([
    ['a byte that no UTF-8 has', [0xff]],
    ['a lone continuation', [0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a character cut off', [0xe2, 0x82]],
    ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ])('with %s in a string is not UTF-8 and refused', (_what, bytes) => {
    const error = refusalOf(Buffer.concat([Buffer.from('{"jsonrpc":"2.0","method":"'), Buffer.from(bytes), Buffer.from('"}')]))
    expect(error.code).toBe('parse')
  })
})

describe('nesting', () => {
  const nested = (levels: number, open: string, close: string, inside: string): string =>
    `{"jsonrpc":"2.0","method":"x","params":${open.repeat(levels)}${inside}${close.repeat(levels)}}`

  test.each([
    ['[', ']', ''],
    ['{"a":', '}', '{}'],
    ['[{"a":', '}]', '[]'],
  ])('of %s is carried up to the limit and refused beyond it', (open, close, inside) => {
    const levelsOf = (text: string): number => {
      let most = 0
      let level = 0
      for (const c of text) {
        if (c === '{' || c === '[') most = Math.max(most, ++level)
        else if (c === '}' || c === ']') level--
      }
      return most
    }
    for (let times = 1; times <= 2 * DEPTH; times++) {
      const text = nested(times, open, close, inside)
      // The message itself is level 0.
      const carried = levelsOf(text) - 1 <= DEPTH
      expect(parsedOrRefused(Buffer.from(text)) !== undefined, `${levelsOf(text)} levels`).toBe(carried)
    }
  })

  test('is the same whatever lies at the bottom', () => {
    const carried = ['"text"', 'true', '1', 'null'].map((inside) => parsedOrRefused(Buffer.from(nested(DEPTH, '[', ']', inside))) !== undefined)
    expect(new Set(carried).size).toBe(1)
  })

  test.each([
    ['arrays', '['.repeat(400_000) + ']'.repeat(400_000)],
    ['objects', nested(200_000, '{"a":', '}', '1')],
    ['arrays that never close', '['.repeat(1_000_000)],
  ])('of %s by the million is refused like any other', (_what, text) => {
    expect(['parse', 'invalid_request']).toContain(refusalOf(text).code)
  })
})

describe('a batch', () => {
  const batchOf = (count: number): string => `[${Array.from({ length: count }, (_, id) => `{"jsonrpc":"2.0","id":${id},"method":"x"}`).join(',')}]`

  test.each([1, 2, 100])('of %i messages is a post that leaves as a batch', (count) => {
    const parsed = parsePost(Buffer.from(batchOf(count)), DEPTH)
    expect(parsed.batch).toBe(true)
    expect(parsed.messages).toHaveLength(count)
    expect(textOf(parsed)).toBe(batchOf(count))
  })

  test.each([0, 101, 5000])('of %i messages is refused', (count) => {
    expect(refusalOf(batchOf(count)).code).toBe('invalid_request')
  })

  test.each(['[1]', '[[{"jsonrpc":"2.0","method":"x"}]]', '[{"jsonrpc":"2.0","method":"x"},{}]', '[null]'])(
    'with something else in it is refused as a whole: %s',
    (text) => {
      expect(refusalOf(text).code).toBe('invalid_request')
    },
  )
})

function parsedOrRefused(bytes: Buffer): Post | undefined {
  try {
    return parsePost(bytes, DEPTH)
  } catch (error) {
    if (error instanceof OpenMcpError && (error.code === 'parse' || error.code === 'invalid_request')) return undefined
    throw error
  }
}

function refusalOf(what: string | Buffer): OpenMcpError {
  try {
    parsePost(Buffer.from(what as string), DEPTH) // Buffer.from takes either, its overloads do not
  } catch (error) {
    if (error instanceof OpenMcpError) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** What a JSON text says: integers to the last digit, other numbers as doubles, of equal members the last (RFC 8259 §4, §6). */
function meaningOf(text: string): unknown {
  return JSON.parse(text.replaceAll(TOKEN, (token) => (token.startsWith('"') ? token : `{"number":"${exact(token)}"}`)))
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs

function exact(number: string): string {
  const isInteger = /^-?\d+$/.test(number)
  const [digits = '', exponent] = (isInteger ? BigInt(number).toString() : String(Number(number))).split('e+')
  if (exponent === undefined) return digits
  const [whole = '', fraction = ''] = digits.split('.')
  return whole + fraction.padEnd(Number(exponent), '0')
}

function namesIn(text: string): number {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/gs)].filter(([, colon]) => colon !== undefined).length
}

function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const held: unknown[] = Object.values(value)
  return held.reduce<number>((sum, member) => sum + membersOf(member), Array.isArray(value) ? 0 : held.length)
}
