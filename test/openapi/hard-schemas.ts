// Schemas in which converters lose something, each with values that fit and values that do not.

export interface HardSchema {
  readonly name: string
  readonly schema: object
  readonly values: readonly unknown[]
  /** By hand, where the other implementation gives none. */
  readonly verdicts: readonly boolean[] | undefined
}

const node = { type: 'object', properties: { value: { type: 'integer' }, next: { $ref: '#/$defs/node' } }, required: ['value'], additionalProperties: false }

const ALL: readonly (readonly [name: string, schema: object, values: readonly unknown[], verdicts?: readonly boolean[]])[] = [
  ['enum', { properties: { a: { enum: ['x', 'y', null, 3] } } }, [{ a: 'x' }, { a: null }, { a: 3 }, { a: 'z' }, {}]],
  ['nullable enum', { properties: { a: { type: ['string', 'null'], enum: ['x', null] } } }, [{ a: null }, { a: 'x' }, { a: 'y' }]],
  ['enum of objects', { enum: [{ a: 1, b: [2] }] }, [{ b: [2], a: 1 }, { a: 1 }, { a: 1, b: ['2'] }]],
  ['const', { properties: { a: { const: { b: [1] } } } }, [{ a: { b: [1] } }, { a: { b: [1, 2] } }]],
  ['bounds', { properties: { a: { minimum: 0, exclusiveMaximum: 10 } } }, [{ a: 0 }, { a: 10 }, { a: 9.9 }, { a: -1 }]],
  ['a fraction', { multipleOf: 0.01 }, [0.07, 1.1, 0.075, 19.99]],
  ['length in code points', { maxLength: 2 }, ['😀😀', '😀😀😀', 'abc']],
  ['pattern', { properties: { a: { pattern: '^[a-z]+\\d{2,3}$' } } }, [{ a: 'ab12' }, { a: 'ab1' }, { a: 5 }]],
  ['a unicode pattern', { pattern: '^\\p{L}+$' }, ['été', 'a1']],
  ['oneOf', { oneOf: [{ type: 'integer' }, { minimum: 2 }] }, [1, 2.5, 3, 1.5]],
  ['anyOf', { anyOf: [{ type: 'string' }, { type: 'object', required: ['a'] }] }, ['x', { a: 1 }, {}]],
  ['allOf', { allOf: [{ required: ['a'] }, { required: ['b'] }] }, [{ a: 1, b: 2 }, { a: 1 }]],
  ['not', { not: { required: ['a', 'b'] } }, [{ a: 1 }, { a: 1, b: 2 }]],
  [
    'if, then, else',
    // oxlint-disable-next-line no-thenable -- a word of JSON Schema
    { if: { properties: { k: { const: 1 } }, required: ['k'] }, then: { required: ['a'] }, else: { required: ['b'] } },
    [{ k: 1, a: 1 }, { k: 1 }, { b: 1 }, {}],
  ],
  ['$defs', { $defs: { s: { type: 'string' } }, properties: { a: { $ref: '#/$defs/s' } } }, [{ a: 'x' }, { a: 1 }]],
  ['a reference beside others', { $defs: { s: { type: 'string' } }, properties: { a: { $ref: '#/$defs/s', maxLength: 1 } } }, [{ a: 'x' }, { a: 'xy' }]],
  [
    'recursion',
    { $defs: { node }, $ref: '#/$defs/node' },
    [
      { value: 1, next: { value: 2 } },
      { value: 1, next: { value: 'x' } },
      { value: 1, other: 1 },
    ],
  ],
  [
    'recursion to the root',
    { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } }, additionalProperties: false },
    [{ children: [{ children: [] }] }, { children: [{ x: 1 }] }],
  ],
  ['a pointer to a property', { properties: { a: { type: 'string' }, b: { $ref: '#/properties/a' } } }, [{ b: 'x' }, { b: 1 }]],
  [
    'a pointer with escapes',
    { $defs: { 'a/b~c %"é': { type: 'string' } }, properties: { a: { $ref: '#/$defs/a~1b~0c%20%25%22%C3%A9' } } },
    [{ a: 'x' }, { a: 1 }],
  ],
  ['a pointer to no keyword', { 'x-parts': { s: { type: 'string' } }, properties: { a: { $ref: '#/x-parts/s' } } }, [{ a: 'x' }, { a: 1 }]],
  ['a pointer to true', { $defs: { any: true, none: false }, properties: { a: { $ref: '#/$defs/any' }, b: { $ref: '#/$defs/none' } } }, [{ a: 1 }, { b: 1 }]],
  ['an anchor', { $defs: { s: { $anchor: 'text', type: 'string' } }, properties: { a: { $ref: '#text' } } }, [{ a: 'x' }, { a: 1 }]],
  [
    'an $id',
    {
      $id: 'https://example.com/tool',
      $defs: { s: { type: 'string' } },
      properties: { a: { $ref: 'https://example.com/tool#/$defs/s' }, b: { $ref: '#/$defs/s' } },
    },
    [{ a: 'x', b: 'y' }, { a: 1 }, { b: 1 }],
  ],
  [
    'an $id inside',
    {
      $defs: { s: { $id: 'https://example.com/s', $defs: { t: { type: 'string' } }, $ref: '#/$defs/t' } },
      properties: { a: { $ref: 'https://example.com/s' } },
    },
    [{ a: 'x' }, { a: 1 }],
    [true, false],
  ],
  [
    'a dynamic reference',
    { $dynamicAnchor: 'n', type: 'object', properties: { n: { $dynamicRef: '#n' } }, additionalProperties: false },
    [{ n: { n: {} } }, { n: { x: 1 } }],
  ],
  ['additionalProperties', { properties: { a: true }, additionalProperties: { type: 'number' } }, [{ a: 'x', b: 1 }, { b: 'x' }]],
  ['patternProperties', { patternProperties: { '^x-': { type: 'string' } }, additionalProperties: false }, [{ 'x-a': 'b' }, { 'x-a': 1 }, { a: 1 }]],
  ['propertyNames', { propertyNames: { pattern: '^[a-z]+$' } }, [{ a: 1 }, { A: 1 }]],
  ['unevaluatedProperties', { allOf: [{ properties: { a: true } }], properties: { b: true }, unevaluatedProperties: false }, [{ a: 1, b: 1 }, { c: 1 }]],
  [
    'unevaluatedItems',
    { prefixItems: [{ type: 'string' }], anyOf: [{ prefixItems: [true, { type: 'number' }] }], unevaluatedItems: false },
    [
      ['x', 1],
      ['x', 1, 2],
    ],
  ],
  ['a tuple', { prefixItems: [{ type: 'string' }, { type: 'number' }], items: false }, [['x', 1], ['x'], [1], ['x', 1, 2]]],
  ['contains', { contains: { type: 'number' }, minContains: 2, maxContains: 3 }, [[1, 2], [1], [1, 2, 3, 4], ['x', 1, 2]]],
  [
    'unique items',
    { uniqueItems: true },
    [
      [1, 2],
      [1, 1],
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [1, '1'],
      [[1], [1]],
    ],
  ],
  ['dependentRequired', { dependentRequired: { a: ['b'] } }, [{ a: 1, b: 1 }, { a: 1 }, {}]],
  ['dependentSchemas', { dependentSchemas: { a: { properties: { b: { type: 'string' } } } } }, [{ a: 1, b: 'x' }, { a: 1, b: 1 }, { b: 1 }]],
  ['several types', { type: ['string', 'null', 'integer'] }, ['x', null, 1, 1.5, true]],
  [
    'reserved names',
    {
      properties: {
        $ref: { type: 'string' },
        $defs: { type: 'number' },
        ['__proto__']: { type: 'string' },
        constructor: { type: 'string' },
        enum: { type: 'array' },
      },
    },
    [{ $ref: 'x' }, { $ref: 1 }, { $defs: 'x' }, { constructor: 1 }, { enum: [1] }],
  ],
  [
    'references in data',
    { properties: { a: { const: { $ref: '#/nowhere' } }, b: { enum: [{ $id: 'x' }] }, c: { default: { $ref: 'x' } } } },
    [{ a: { $ref: '#/nowhere' } }, { a: {} }, { b: { $id: 'x' } }],
  ],
  ['required without properties', { required: ['a'] }, [{ a: 1 }, {}]],
  ['counts of members', { minProperties: 1, maxProperties: 2 }, [{}, { a: 1 }, { a: 1, b: 2, c: 3 }]],
  ['nothing', {}, [{}, 1, null]],
  ['unicode names', { properties: { 'größe 📏': { type: 'number' } }, required: ['größe 📏'] }, [{ 'größe 📏': 1 }, {}]],
]

export const SCHEMAS = ALL.map(([name, schema, values, verdicts]): HardSchema => ({ name, schema, values, verdicts }))

type Told = readonly { path: string; keyword: string; message: string }[]

export const MESSAGES: readonly (readonly [name: string, schema: object, value: unknown, told: Told])[] = [
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
