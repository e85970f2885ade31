// What fits a schema, by the judgement of another implementation; and what a hostile schema costs.
import Ajv2020 from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { createCheck } from '../../src/openapi/check.ts'
import { schemaAt } from '../../src/openapi/schema.ts'
import { HARD_TOOLS } from '../support/hard-schemas.ts'
import { at, type Json } from '../support/json.ts'

const fits = (schema: unknown, value: unknown): boolean => {
  const found = createCheck(schemaAt('#', schema))(value)
  if (found === 'unchecked') throw new Error('it was not checked')
  return found.length === 0
}

/** At this place or in it. */
const literally = (place: string): RegExp => new RegExp(`^${place.replaceAll(/[$/^.*+?()[\]{}|\\]/g, '\\$&')}`)

const byAnother = (schema: object): ((value: unknown) => boolean) =>
  new Ajv2020.default({ strict: false, validateFormats: false, logger: false, ownProperties: true, multipleOfPrecision: 9, validateSchema: false }).compile(
    schema,
  )

describe('a value fits a schema', () => {
  test.each(HARD_TOOLS)('that takes it, and what does not is named by its place: $name', ({ inputSchema, good, bad, place = '' }) => {
    const check = createCheck(schemaAt('#', inputSchema))
    expect(check(good)).toEqual([])
    const found: Iterable<unknown> = bad === undefined ? [{ path: place }] : check(bad)
    expect(Array.from(found, (one) => at(one, 'path'))).toEqual(expect.arrayContaining([expect.stringMatching(literally(place))]))
  })

  const name = fc.constantFrom('a', 'b', 'c', 'd/e')
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(null, true, false, 0, 1, 2, 3.5, '', 'a', 'ab', 'abc'),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3 }),
    ),
  })).value
  const schema = fc.letrec<{ schema: unknown }>((tie) => {
    const one = tie('schema')
    const list = fc.array(one, { minLength: 1, maxLength: 3 })
    const map = fc.dictionary(name, one, { maxKeys: 3 })
    const count = fc.nat(3)
    return {
      schema: fc.oneof(
        { maxDepth: 4 },
        fc.boolean(),
        fc
          .array(
            fc.oneof(
              fc.record({ type: fc.constantFrom('object', 'array', 'string', 'number', 'integer', 'null', 'boolean') }),
              fc.record({ enum: fc.array(value, { minLength: 1, maxLength: 3 }) }),
              fc.record({ const: value }),
              fc.record({ minimum: count }),
              fc.record({ exclusiveMaximum: count }),
              fc.record({ multipleOf: fc.constantFrom(1, 2, 0.5) }),
              fc.record({ minLength: count }),
              fc.record({ maxLength: count }),
              fc.record({ pattern: fc.constantFrom('^a', 'b$', '^[ab]+$', 'c') }),
              fc.record({ minItems: count }),
              fc.record({ maxItems: count }),
              fc.record({ uniqueItems: fc.boolean() }),
              fc.record({ minProperties: count }),
              fc.record({ maxProperties: count }),
              fc.record({ required: fc.uniqueArray(name, { maxLength: 2 }) }),
              fc.record({ properties: map }),
              fc.record({ patternProperties: fc.dictionary(fc.constantFrom('^a', '[bc]'), one, { maxKeys: 2 }) }),
              fc.record({ additionalProperties: one }),
              fc.record({ propertyNames: fc.constantFrom(true, { maxLength: 1 }) }),
              fc.record({ prefixItems: list }),
              fc.record({ items: one }),
              fc.record({ contains: fc.constantFrom({ type: 'string' }, { minimum: 1 }, { const: null }) }),
              fc.record({ allOf: list }),
              fc.record({ anyOf: list }),
              fc.record({ oneOf: list }),
              fc.record({ not: one }),
              // An `if` alone it passes over, annotations and all.
              fc.record({ if: one, then: one, else: one }), // oxlint-disable-line no-thenable -- a word of JSON Schema
              fc.record({ dependentRequired: fc.dictionary(name, fc.uniqueArray(name, { maxLength: 2 }), { maxKeys: 2 }) }),
              fc.record({ dependentSchemas: map }),
              fc.record({ unevaluatedProperties: one }),
              fc.record({ unevaluatedItems: one }),
            ),
            { maxLength: 4 },
          )
          .map((said): unknown => {
            const all: Json = Object.assign({}, ...said)
            // Of both together it does not say what the standard says: an empty array contains nothing.
            if ('prefixItems' in all) delete all['contains']
            return all
          }),
      ),
    }
  }).schema

  test('as another implementation says, of any schema', () => {
    fc.assert(
      fc.property(schema, value, (made, tried) => {
        // Of what has no own prototype JSON knows nothing.
        const [said, given] = JSON.parse(JSON.stringify([made, tried])) as [object | boolean, unknown]
        expect(fits(typeof said === 'boolean' ? { allOf: [said] } : said, given)).toBe(byAnother(typeof said === 'boolean' ? { allOf: [said] } : said)(given))
      }),
      { numRuns: 500, seed: 7 },
    )
  })
})

type Told = readonly { path: string; keyword: string; message: string }[]

const MESSAGES: readonly (readonly [name: string, schema: object, value: unknown, told: Told])[] = [
  ['a member that is missing', { required: ['message'] }, {}, [{ path: '/message', keyword: 'required', message: 'is required' }]],
  [
    'each of several',
    { properties: { a: { type: 'array', items: { type: 'string' } }, b: { maximum: 3 } }, additionalProperties: false },
    { a: ['x', 1, null], b: 4, 'c/d': 0 },
    [
      { path: '/a/1', keyword: 'type', message: 'must be string' },
      { path: '/a/2', keyword: 'type', message: 'must be string' },
      { path: '/b', keyword: 'maximum', message: 'must be at most 3' },
      { path: '/c~1d', keyword: 'additionalProperties', message: 'is not a member that there is' },
    ],
  ],
  [
    'what is wrong with the alternative that was meant',
    { properties: { a: { anyOf: [{ type: 'string' }, { type: 'object', properties: { b: { type: 'number' } } }] } } },
    { a: { b: 'x' } },
    [
      { path: '/a', keyword: 'anyOf', message: 'must fit one of the alternatives' },
      { path: '/a/b', keyword: 'type', message: 'must be number' },
    ],
  ],
]

test.each(MESSAGES)('what does not fit is told with its place: %s', (_name, schema, value, told) => {
  expect(createCheck(schemaAt('#', schema))(value)).toEqual(told)
})

describe('a schema of a stranger', () => {
  test('that doubles its work with each level is left to the server', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 60 }, (_, level) => [`d${level}`, { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] }]),
    )
    expect(createCheck(schemaAt('#', { $defs, $ref: '#/$defs/d0' }))({})).toBe('unchecked')
  })

  test('that means itself is left to the server', () => {
    expect(createCheck(schemaAt('#', { $ref: '#' }))({})).toBe('unchecked')
  })

  test('that nests a thousand levels is left to the server', () => {
    let schema: object = { type: 'string' }
    let value: unknown = 'x'
    for (let level = 0; level < 900; level++) [schema, value] = [{ items: schema }, [value]]
    expect(createCheck(schemaAt('#', schema))(value)).toBe('unchecked')
  })

  test('has patterns that take no longer than their text', () => {
    const check = createCheck(schemaAt('#', { pattern: '^(a+)+$' }))
    expect(check(`${'a'.repeat(50_000)}!`)).toEqual([{ path: '', keyword: 'pattern', message: 'must match the pattern ^(a+)+$' }])
  })

  test('has patterns that cannot be matched so: they are left to the server', () => {
    expect(createCheck(schemaAt('#', { pattern: '^(?!x)a' }))('xa')).toEqual([])
  })

  test('never becomes code', () => {
    const name = '"];process.exit(1);//'
    expect(createCheck(schemaAt('#', { properties: { [name]: { type: 'string' } } }))({ [name]: 1 })).toHaveLength(1)
  })
})
