// Tools whose schemas are hard to pass on without a loss: each with arguments that fit it and arguments that do not.
import type { ServerResponse } from 'node:http'

import { at, type Json } from './json.ts'
import { json, type Received } from './upstream.ts'

export interface HardTool {
  readonly name: string
  readonly inputSchema: Json
  readonly outputSchema?: Json
  /** Arguments that the schema takes. */
  readonly good: Json
  /** Arguments that it refuses, and nothing but this one thing is wrong with them. Undefined: it takes every object. */
  readonly bad: Json | undefined
  /** JSON pointer of what is wrong. */
  readonly place?: string
}

// oxlint-disable-next-line unicorn/no-thenable -- nobody waits for a schema
const THEN = 'then'

const object = (properties: Json, more: Json = {}): Json => ({ type: 'object', properties, ...more })
const one = (schema: unknown, more: Json = {}): Json => object({ value: schema }, more)
const deep = (levels: number): Json => (levels === 0 ? { type: 'string', const: 'end' } : object({ in: deep(levels - 1) }, { required: ['in'] }))
const deepValue = (levels: number, end: string): unknown => (levels === 0 ? end : { in: deepValue(levels - 1, end) })
const NODE = object({ name: { type: 'string' }, kids: { type: 'array', items: { $ref: '#/$defs/node' } } }, { required: ['name'], additionalProperties: false })
const LIST = { anyOf: [{ type: 'null' }, object({ head: { type: 'integer' }, tail: { $ref: '#/$defs/list' } }, { required: ['head', 'tail'] })] }

/** Of one argument called `value`. */
function ofValue(name: string, schema: unknown, good: unknown, bad: unknown, place = '/value'): HardTool {
  return { name, inputSchema: one(schema), good: good === undefined ? {} : { value: good }, bad: bad === undefined ? undefined : { value: bad }, place }
}

export const HARD_TOOLS: readonly HardTool[] = [
  // One keyword each.
  ofValue('enum', { enum: ['red', 'green', null, 3, { a: [1] }] }, { a: [1] }, 'blue'),
  ofValue('const', { const: { $ref: '#/not/a/reference' } }, { $ref: '#/not/a/reference' }, { $ref: 'other' }),
  ofValue('bounds', { type: 'number', minimum: -1.5, exclusiveMaximum: 1e21, multipleOf: 0.5 }, 1.5, -2),
  ofValue('integer-bounds', { type: 'integer', exclusiveMinimum: 0, maximum: 9007199254740991 }, 1, 0),
  ofValue('lengths', { type: 'string', minLength: 1, maxLength: 2 }, '😀😀', ''),
  ofValue('pattern', { type: 'string', pattern: '^[\\p{L}_][\\p{L}0-9_]*/~"\\\\$' }, 'é_1/~"\\', '1'),
  ofValue('format', { type: 'string', format: 'date-time', description: 'when' }, '2026-11-21T00:00:00Z', 3),
  ofValue('format-of-nobody', { type: 'string', format: 'x-of-nobody' }, 'anything', 3),
  ofValue('array-bounds', { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 2, uniqueItems: true }, [1, 2], [1, 1]),
  ofValue('prefix-items', { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], items: false }, ['a', 1], ['a', 'b'], '/value/1'),
  ofValue('contains', { type: 'array', contains: { const: 'needle' }, minContains: 1, maxContains: 2 }, ['hay', 'needle'], ['hay']),
  ofValue(
    'unevaluated-items',
    { allOf: [{ prefixItems: [{ type: 'string' }] }], type: 'array', unevaluatedItems: { type: 'integer' } },
    ['a', 1],
    ['a', 'b'],
    '/value/1',
  ),
  ofValue('property-names', { type: 'object', propertyNames: { pattern: '^x-' }, minProperties: 1, maxProperties: 2 }, { 'x-a': 1 }, { a: 1 }),
  ofValue('additional-properties', { type: 'object', additionalProperties: { type: 'integer' } }, { a: 1 }, { a: 'b' }, '/value/a'),
  ofValue(
    'pattern-properties',
    { type: 'object', patternProperties: { '^n_': { type: 'number' }, '~/': true }, additionalProperties: false },
    { n_a: 1 },
    { n_a: 'b' },
    '/value/n_a',
  ),
  ofValue('content', { type: 'string', contentMediaType: 'application/json', contentEncoding: 'base64', contentSchema: { type: 'object' } }, 'e30=', 3),
  ofValue(
    'defaults',
    { type: 'object', properties: { on: { type: 'boolean', default: false }, of: { type: ['string', 'null'], default: null } }, default: { on: true } },
    {},
    { on: 'yes' },
    '/value/on',
  ),
  ofValue(
    'notes',
    { type: 'string', title: 'T', description: 'D', examples: ['a', 'b'], deprecated: true, readOnly: true, writeOnly: false, $comment: 'C' },
    'a',
    3,
  ),
  // Several types.
  ofValue('nullable', { type: ['string', 'null'], description: 'or nothing' }, null, 3),
  ofValue('nullable-enum', { type: ['string', 'null'], enum: ['a', 'b', null] }, null, 'c'),
  ofValue('many-types', { type: ['string', 'number', 'boolean', 'object', 'array', 'null'] }, [], undefined),
  ofValue('any', object({ in: true }), { in: { a: 1 } }, undefined),
  ofValue('any-by-an-empty-schema', {}, [1], undefined),
  ofValue('none', { not: {} }, undefined, 1),
  ofValue('false', object({ in: false }), {}, { in: 1 }, '/value/in'),
  ofValue('null', { type: 'null' }, null, 0),
  ofValue('no-fractions', { type: ['string', 'null', 'integer'] }, 1, 1.5),
  ofValue('fractions', { type: 'number', multipleOf: 0.25 }, 19.75, 0.3),
  ofValue('unicode-pattern', { type: 'string', pattern: '^\\p{L}+$' }, 'été', 'a1'),
  ofValue(
    'unique-objects',
    { uniqueItems: true },
    [{ a: 1 }, { a: '1' }, [1]],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
  ),
  ofValue('data-like-references', { type: 'string', default: { $ref: 'x' }, examples: [{ $id: 'y', $ref: '#' }] }, 'a', 3),
  { name: 'required-without-properties', inputSchema: { type: 'object', required: ['a'] }, good: { a: 1 }, bad: {}, place: '/a' },
  // Put together.
  ofValue(
    'any-of',
    {
      anyOf: [
        { type: 'string', maxLength: 1 },
        { type: 'integer', description: 'a number' },
      ],
    },
    'a',
    'ab',
  ),
  ofValue(
    'one-of',
    {
      oneOf: [
        { type: 'integer', multipleOf: 2 },
        { type: 'integer', multipleOf: 3 },
      ],
    },
    2,
    6,
  ),
  ofValue('all-of', { allOf: [{ type: 'object', required: ['a'] }, { properties: { a: { type: 'string' } } }], description: 'both' }, { a: '' }, {}),
  ofValue('not', { type: 'string', not: { enum: ['no', 'never'] } }, 'yes', 'no'),
  ofValue(
    'discriminated',
    {
      oneOf: [
        object({ kind: { const: 'circle' }, r: { type: 'number' } }, { required: ['kind', 'r'], additionalProperties: false }),
        object({ kind: { const: 'square' }, a: { type: 'number' } }, { required: ['kind', 'a'], additionalProperties: false }),
      ],
    },
    { kind: 'square', a: 1 },
    { kind: 'square', r: 1 },
  ),
  {
    name: 'alternatives-at-the-root',
    inputSchema: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, anyOf: [{ required: ['a'] }, { required: ['b'] }] },
    good: { b: '' },
    bad: {},
    place: '',
  },
  {
    name: 'if-then-else',
    inputSchema: object(
      { country: { enum: ['US', 'NL'] }, code: { type: 'string' } },
      {
        if: { properties: { country: { const: 'US' } }, required: ['country'] },
        ...Object.fromEntries([[THEN, { properties: { code: { pattern: '^[0-9]{5}$' } } }]]),
        else: { properties: { code: { pattern: '^[0-9]{4} [A-Z]{2}$' } } },
      },
    ),
    good: { country: 'NL', code: '1234 AB' },
    bad: { country: 'US', code: '1234 AB' },
    place: '/code',
  },
  {
    name: 'dependent-required',
    inputSchema: object({ card: { type: 'string' }, address: { type: 'string' } }, { dependentRequired: { card: ['address'] } }),
    good: { address: '' },
    bad: { card: '' },
    place: '',
  },
  {
    name: 'dependent-schemas',
    inputSchema: object({ card: { type: 'string' } }, { dependentSchemas: { card: { properties: { pin: { type: 'integer' } }, required: ['pin'] } } }),
    good: { card: '', pin: 1 },
    bad: { card: '' },
    place: '',
  },
  {
    name: 'unevaluated-properties',
    inputSchema: { type: 'object', allOf: [{ properties: { a: { type: 'string' } } }], properties: { b: { type: 'string' } }, unevaluatedProperties: false },
    good: { a: '', b: '' },
    bad: { a: '', c: '' },
    place: '/c',
  },
  // References.
  {
    name: 'defs',
    inputSchema: one({ $ref: '#/$defs/short' }, { $defs: { short: { type: 'string', maxLength: 1 } } }),
    good: { value: 'a' },
    bad: { value: 'ab' },
    place: '/value',
  },
  {
    name: 'reference-with-siblings',
    inputSchema: one(
      { $ref: '#/$defs/short', minLength: 1, description: 'not empty' },
      { $defs: { short: { type: 'string', maxLength: 1, description: 'short' } } },
    ),
    good: { value: 'a' },
    bad: { value: '' },
    place: '/value',
  },
  {
    name: 'recursive',
    inputSchema: one({ $ref: '#/$defs/node' }, { $defs: { node: NODE } }),
    good: { value: { name: 'a', kids: [{ name: 'b' }] } },
    bad: { value: { name: 'a', kids: [{}] } },
    place: '/value/kids/0',
  },
  {
    name: 'recursive-at-the-root',
    inputSchema: object({ next: { $ref: '#' }, n: { type: 'integer' } }, { additionalProperties: false }),
    good: { next: { n: 1 } },
    bad: { next: { n: 'a' } },
    place: '/next/n',
  },
  {
    name: 'recursive-in-turns',
    inputSchema: one(
      { $ref: '#/$defs/a' },
      { $defs: { a: object({ b: { $ref: '#/$defs/b' } }), b: object({ a: { $ref: '#/$defs/a' }, n: { type: 'integer' } }) } },
    ),
    good: { value: { b: { a: { b: { n: 1 } } } } },
    bad: { value: { b: { n: 'a' } } },
    place: '/value/b/n',
  },
  {
    name: 'recursive-list',
    inputSchema: one({ $ref: '#/$defs/list' }, { $defs: { list: LIST } }),
    good: { value: { head: 1, tail: null } },
    bad: { value: { head: 1 } },
  },
  {
    name: 'reference-to-a-property',
    inputSchema: object({ first: { type: 'string', pattern: '^a' }, second: { $ref: '#/properties/first' } }),
    good: { second: 'a' },
    bad: { second: 'b' },
    place: '/second',
  },
  {
    name: 'reference-with-escapes',
    inputSchema: one({ $ref: '#/$defs/a~1b~0c%20d%25' }, { $defs: { 'a/b~c d%': { type: 'integer' } } }),
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'nested-defs',
    inputSchema: one({ $defs: { inner: { type: 'integer' } }, $ref: '#/properties/value/$defs/inner' }),
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'anchor',
    inputSchema: one({ $ref: '#short' }, { $defs: { any: { $anchor: 'short', type: 'string', maxLength: 1 } } }),
    good: { value: 'a' },
    bad: { value: 'ab' },
    place: '/value',
  },
  {
    name: 'with-an-id',
    inputSchema: { $id: 'https://example.com/with-an-id', ...one({ $ref: '#/$defs/n' }, { $defs: { n: { type: 'integer' } } }) },
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'definitions-of-draft-7',
    inputSchema: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      ...one({ $ref: '#/definitions/n' }, { definitions: { n: { type: 'integer' } }, additionalProperties: false }),
    },
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'pointer-into-alternatives',
    inputSchema: object({ first: { anyOf: [{ type: 'string', pattern: '^a' }, { type: 'null' }] }, second: { $ref: '#/properties/first/anyOf/0' } }),
    good: { first: null, second: 'a' },
    bad: { first: null, second: 'b' },
    place: '/second',
  },
  {
    name: 'pointer-to-no-keyword',
    inputSchema: one({ $ref: '#/x-parts/n' }, { 'x-parts': { n: { $ref: '#/x-parts/m' }, m: { type: 'integer' } } }),
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'pointer-to-false',
    inputSchema: object({ none: { $ref: '#/$defs/none' } }, { $defs: { none: false } }),
    good: {},
    bad: { none: 1 },
    place: '/none',
  },
  {
    name: 'names-of-definitions',
    inputSchema: object(
      { a: { $ref: '#/$defs/List%3CString%3E' }, b: { $ref: '#/$defs/größe' }, c: { $ref: '#/$defs/' } },
      { $defs: { 'List<String>': { type: 'array', items: { type: 'string' } }, größe: { type: 'integer' }, '': { type: 'null' }, List_String_: true } },
    ),
    good: { a: ['x'], b: 1, c: null },
    bad: { a: ['x'], b: 'x', c: null },
    place: '/b',
  },
  {
    name: 'ids-inside',
    inputSchema: object(
      { a: { $ref: 'https://example.com/s' }, b: { $ref: 'https://example.com/t#/$defs/n' }, c: { $ref: 'https://example.com/t#n' } },
      {
        $defs: {
          s: { $id: 'https://example.com/s', $defs: { n: { type: 'string' } }, $ref: '#/$defs/n' },
          t: { $id: 'https://example.com/t', $defs: { n: { $anchor: 'n', type: 'integer' } } },
        },
      },
    ),
    good: { a: 'x', b: 1, c: 2 },
    bad: { a: 1, b: 1 },
    place: '/a',
  },
  {
    name: 'relative-ids',
    inputSchema: { $id: 'https://example.com/tools/whole', ...one({ $ref: 'part' }, { $defs: { part: { $id: 'part', type: 'integer' } } }) },
    good: { value: 1 },
    bad: { value: 'a' },
    place: '/value',
  },
  {
    name: 'dynamic-reference',
    inputSchema: { $dynamicAnchor: 'tree', ...object({ kids: { type: 'array', items: { $dynamicRef: '#tree' } } }, { additionalProperties: false }) },
    good: { kids: [{ kids: [] }] },
    bad: { kids: [{ x: 1 }] },
    place: '/kids/0/x',
  },
  {
    name: 'recursive-in-alternatives',
    inputSchema: object(
      { value: { anyOf: [{ type: 'integer' }, { $ref: '#/$defs/pair' }] } },
      { $defs: { pair: object({ left: { $ref: '#/properties/value' }, right: { $ref: '#/$defs/pair' } }, { additionalProperties: false }) } },
    ),
    good: { value: { left: 1, right: { left: { right: {} } } } },
    bad: { value: { left: 'a' } },
    place: '/value',
  },
  // Names.
  {
    name: 'names-of-properties',
    inputSchema: object(
      {
        'a/b': { type: 'integer' },
        'c~d': { type: 'integer' },
        'e f': { type: 'integer' },
        'ünï-😀': { type: 'integer' },
        '': { type: 'integer' },
        '%2F': { type: 'integer' },
      },
      { required: ['a/b'] },
    ),
    good: { 'a/b': 1, '': 2, 'ünï-😀': 3 },
    bad: { 'a/b': 1, 'ünï-😀': 'x' },
    place: '/ünï-😀',
  },
  {
    name: 'names-that-are-keywords',
    inputSchema: object(
      {
        $ref: { type: 'string' },
        type: { type: 'string' },
        properties: { type: 'object' },
        $defs: { type: 'integer' },
        enum: { type: 'array', items: { type: 'integer' } },
      },
      { required: ['$ref'] },
    ),
    good: { $ref: '#/nowhere', type: 'string', enum: [1] },
    bad: { $ref: 1 },
    place: '/$ref',
  },
  {
    name: 'names-of-every-object',
    // A literal would set the prototype.
    inputSchema: object(Object.fromEntries(['constructor', '__proto__', 'toString', 'hasOwnProperty'].map((name) => [name, { type: 'integer' }]))),
    good: Object.fromEntries([['constructor', 1]]),
    bad: Object.fromEntries([['__proto__', 'a']]),
    place: '/__proto__',
  },
  ofValue(
    'names-with-underscores',
    object({ _id: { type: 'integer' }, __top: { type: 'integer' } }, { required: ['_id'] }),
    { _id: 1, __top: 2 },
    { __top: 2 },
  ),
  { name: 'a/b', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: 'a b%20c', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: 'wörter-и-字', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: '..', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: 'token', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: 'tool_a_b_post', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: `long-${'n'.repeat(2000)}`, inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  { name: 'openapi.json', inputSchema: one({ type: 'integer' }), good: { value: 1 }, bad: { value: 'a' }, place: '/value' },
  // Much of it.
  ofValue('huge-enum', { enum: Array.from({ length: 5000 }, (_, n) => `value-${n}`) }, 'value-4999', 'value-5000'),
  {
    name: 'deep',
    inputSchema: object({ in: deep(40) }),
    good: { in: deepValue(40, 'end') },
    bad: { in: deepValue(40, 'other') },
    place: `/in${'/in'.repeat(40)}`,
  },
  {
    name: 'wide',
    inputSchema: object(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`p${n}`, { type: 'integer', minimum: n, description: `The ${n}th` }]))),
    good: { p299: 299 },
    bad: { p299: 298 },
    place: '/p299',
  },
  // Of what it answers, and of nothing.
  {
    name: 'with-an-output',
    inputSchema: one({ $ref: '#/$defs/n' }, { $defs: { n: { type: 'integer', minimum: 0 } } }),
    outputSchema: object({ tree: { $ref: '#/$defs/node' }, n: { type: 'integer' } }, { required: ['tree'], $defs: { node: NODE, n: { type: 'string' } } }),
    good: { value: 1 },
    bad: { value: -1 },
    place: '/value',
  },
  { name: 'without-arguments', inputSchema: { type: 'object' }, good: {}, bad: undefined },
  { name: 'without-any-but-no-others', inputSchema: object({}, { additionalProperties: false }), good: {}, bad: { a: 1 }, place: '/a' },
  {
    name: 'extensions',
    inputSchema: object({ value: { type: 'string', 'x-order': 1, markdownDescription: '**b**' } }, { 'x-of-a-vendor': { $ref: '#/$defs/not-one' } }),
    good: { value: '' },
    bad: { value: 1 },
    place: '/value',
  },
]

/** References that are relative to an `$id` in the schema, and that lead to what is a schema by them alone: they are not followed by simple means. */
export const FAR_REFERENCES: readonly string[] = ['ids-inside', 'pointer-to-no-keyword']

/** As tools/list tells of them. */
export function publishedTools(): Json[] {
  return HARD_TOOLS.map(({ name, inputSchema, outputSchema }) => ({ name, description: `Takes ${name}.`, inputSchema, ...(outputSchema && { outputSchema }) }))
}

/** A server that has them, for `upstream` and `secured`: each answers with the arguments that it got. */
export function hardToolServer({ method, body }: Received, res: ServerResponse): void {
  if (method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  if (method === 'DELETE') return void res.writeHead(200).end()
  const { id } = body
  if (id === undefined) return void res.writeHead(202).end()
  json(res, 200, { jsonrpc: '2.0', id, result: resultOf(body) }, body['method'] === 'initialize' ? { 'mcp-session-id': `hard-${JSON.stringify(id)}` } : {})
}

/** So many on a page of the list, so that there are several. */
const ON_A_PAGE = 25

function resultOf(body: Json): Json {
  if (body['method'] === 'initialize') {
    return { protocolVersion: at(body, 'params', 'protocolVersion'), capabilities: { tools: {} }, serverInfo: { name: 'hard', version: '1' } }
  }
  if (body['method'] === 'tools/list') {
    const from = Number(at(body, 'params', 'cursor') ?? 0)
    const next = from + ON_A_PAGE
    return { tools: publishedTools().slice(from, next), ...(next < HARD_TOOLS.length && { nextCursor: String(next) }) }
  }
  if (body['method'] !== 'tools/call') return {}
  const given = at(body, 'params', 'arguments') ?? {}
  const structured = at(body, 'params', 'name') === 'with-an-output' ? { structuredContent: { tree: { name: JSON.stringify(given) } } } : {}
  return { content: [{ type: 'text', text: JSON.stringify(given) }], ...structured }
}
