// A server's schema is a stranger's: checking arguments by it costs little and ends, whatever it says and whatever they are.
import { expect, test } from 'vitest'

import { createCheck, type Mismatch } from '../../src/openapi/check.ts'
import { schemaAt } from '../../src/openapi/schema.ts'
import { many, repeated } from './hostile.ts'

const checked = (schema: unknown, value: unknown): readonly Mismatch[] | 'unchecked' => createCheck(schemaAt('#', schema))(value)

const random = (length: number): string => {
  let seed = 1
  return repeated(length, () => ((seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) & 65_536 ? 'a' : 'b'))
}

const doubling = (keyword: string): Record<string, unknown> => ({
  $ref: '#/$defs/0',
  $defs: Object.fromEntries(many(40, (at) => [String(at), at === 39 ? { required: ['x'] } : { [keyword]: many(2, () => ({ $ref: `#/$defs/${at + 1}` })) }])),
})

test.each<[string, unknown, unknown]>([
  ['types, many times over', { items: { type: many(10_000, () => 'string') } }, many(10_000, (at) => at)],
  ['lengths, many times over', { allOf: many(300, () => ({ minLength: 1 })) }, '😀'.repeat(1_000_000)],
  ['a pattern of many states on a long text', { pattern: '(?:a|b|ab|ba|aab){900}[xy]' }, random(200_000)],
  ['a pattern of many states on many texts', { items: { pattern: '(?:a|b|ab|ba|aab){900}[xy]' } }, many(2000, () => random(900))],
  ['more patterns than are kept', { patternProperties: Object.fromEntries(many(3000, (at) => [`^a{300}b${at}`, {}])) }, { a: 1 }],
  ['a name of a megabyte, many times over', { allOf: many(2000, () => ({ propertyNames: {}, properties: {} })) }, { ['x'.repeat(1_000_000)]: 1 }],
  ['long names that are missing', { items: { required: many(100, (at) => `${'q'.repeat(10_000)}${at}`) } }, many(4000, () => ({}))],
  ['an enum of many, many times over', { items: { enum: many(10_000, (at) => `v${at}`) } }, many(10_000, () => 'v9999')],
  ['unique long items, many times over', { allOf: many(1000, () => ({ uniqueItems: true })) }, many(400, (at) => `${'x'.repeat(10_000)}${at}`)],
  ['what was not spoken of, many times over', { allOf: many(100, () => ({ items: {}, unevaluatedItems: false })) }, many(4000, (at) => at)],
  ['what does not fit an alternative in many places', { anyOf: [{ items: { type: 'string' } }] }, many(400_000, () => 1)],
  ['chains that double', doubling('allOf'), {}],
  ['alternatives that double', doubling('anyOf'), {}],
  ['a schema that is itself', { $ref: '#' }, 1],
  ['a schema that is itself, by a dynamic reference', { $dynamicAnchor: 'a', anyOf: [{ $dynamicRef: '#a' }, { $dynamicRef: '#a' }] }, 1],
])('is left to the server: %s', (_what, schema, value) => {
  expect(checked(schema, value)).toBe('unchecked')
})

test.each<[string, string]>([
  ['is a megabyte long', '(a|b)*'.repeat(200_000)],
  ['nests deeply', '('.repeat(100_000) + ')'.repeat(100_000)],
  ['repeats what repeats', '((a{100}){100}){100}'],
  ['looks around', '(?=a)b'],
  ['comes back to what it found', '(a+)+\\1'],
  ['is none', '('],
])('by a pattern that %s nothing is refused', (_what, pattern) => {
  expect(checked({ pattern }, 'x')).toEqual([])
})

test('a pattern that makes others go back and forth is matched in one go', () => {
  expect(checked({ pattern: '^(a+)+$' }, `${'a'.repeat(50_000)}b`)).toMatchObject([{ keyword: 'pattern' }])
})

test('what is told is no longer than what can be read, however many places do not fit and whatever they are called', () => {
  for (const found of [
    checked({ additionalProperties: { items: { type: 'string' } } }, { ['x'.repeat(1_000_000)]: many(200, () => 1) }),
    checked({ items: { type: many(20_000, () => 'string') } }, [1]),
    checked(
      { items: { pattern: 'z'.repeat(2000) } },
      many(200, () => 'a'),
    ),
    checked({ required: ['y'.repeat(1_000_000)] }, {}),
  ]) {
    expect(found).toContainEqual(expect.objectContaining({ path: expect.any(String) }))
    expect(JSON.stringify(found).length).toBeLessThan(400_000)
  }
})

test('members that objects have in this language are members like others', () => {
  const schema = JSON.parse('{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}},"required":["__proto__","toString"]}') as unknown
  expect(checked(schema, JSON.parse('{"__proto__":1,"constructor":1}'))).toEqual([
    { path: '/toString', keyword: 'required', message: 'is required' },
    { path: '/__proto__', keyword: 'type', message: 'must be string' },
    { path: '/constructor', keyword: 'type', message: 'must be string' },
  ])
  expect(checked({ additionalProperties: false, properties: {} }, JSON.parse('{"__proto__":1}'))).toMatchObject([{ path: '/__proto__' }])
  expect(checked({ $ref: '#/constructor', $defs: {} }, 1)).toEqual([])
})

test('bounds that are no numbers, or beyond all numbers, are no bounds', () => {
  const schema = JSON.parse(
    '{"minimum":"9","maximum":1e999,"multipleOf":-1,"minLength":{},"maxItems":null,"enum":5,"required":"a","type":[{"toString":1}]}',
  ) as unknown
  for (const value of [5, 'text', [1], {}]) expect(checked(schema, value)).toEqual([])
})
