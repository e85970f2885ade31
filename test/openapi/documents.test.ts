// Documents of tools: what a server published is what they say, for this caller, until it changes.
import { fileURLToPath } from 'node:url'
import Ajv2020 from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'

import { documentOf } from '../../src/openapi/document.ts'
import { FAR_REFERENCES, HARD_TOOLS, publishedTools } from '../support/hard-schemas.ts'
import { at, isJson, jsonOf, type Json } from '../support/json.ts'
import { lossesIn, operationsOf, problemsOfDocument } from '../support/openapi-document.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'
import { member, tools } from '../openmcp/several.ts'
import { child, running } from '../openmcp/stage.ts'

const AJV = { strict: false, validateFormats: false, logger: false, ownProperties: true, multipleOfPrecision: 9 } as const

const described = (listed: readonly Json[], form: 'tools' | 'mcpo' = 'tools'): Json =>
  jsonOf(
    JSON.parse(
      documentOf([{ server: 'one', place: '', about: {}, tools: listed, resources: [], resourceTemplates: [], prompts: [] }], {
        base: '',
        form,
        guarded: false,
      }),
    ),
  )

const operationOf =
  (document: Json) =>
  (name: string): Json | undefined =>
    operationsOf(document).find(({ operation }) => operation['x-mcp-tool'] === name)?.operation

describe.each(['tools', 'mcpo'] as const)('in the form of %s, a schema that the server published', (form) => {
  const listed = publishedTools().map((tool) => ({ outputSchema: tool['inputSchema'], ...tool }))
  const document = described(listed, form)
  const ajv = new Ajv2020.default(AJV)
  // To it a dynamic reference is one to an anchor. Of a pointer it means what the other means.
  ajv.addSchema(JSON.parse(JSON.stringify(document).replaceAll('"$dynamicRef":"#/', '"$ref":"#/')), 'document')

  // Of members called `__proto__` the validator knows nothing.
  test.each(HARD_TOOLS.filter(({ name }) => name !== 'names-of-every-object'))('means the same in the document: $name', ({ name, good, bad }) => {
    const id = String(operationOf(document)(name)?.['operationId'])
    // What takes nothing has no body: then it is that of the answer.
    for (const side of at(document, 'components', 'schemas', `${id}.input`) ? ['input', 'output'] : ['output']) {
      if (side === 'output' && name === 'with-an-output') continue
      const inDocument = ajv.compile({ $ref: `document#/components/schemas/${id}.${side}` })
      expect([side, inDocument(good), bad && inDocument(bad)]).toEqual([side, true, bad && false])
    }
  })

  test('is compared with it and loses nothing', async () => {
    const near = listed.filter((tool) => !FAR_REFERENCES.includes(String(at(tool, 'name'))))
    expect(lossesIn(document, near, operationOf(document))).toEqual([])
    expect(await problemsOfDocument(document)).toEqual([])
  })
})

describe('a simple reader of the document in the form of mcpo', () => {
  test.each([
    ['a chain', Array.from({ length: 3000 }, (_, n) => [`d${n}`, { properties: { a: { $ref: `#/$defs/d${n + 1}` } } }])],
    ['what doubles', Array.from({ length: 60 }, (_, n) => [`d${n}`, { properties: { a: { $ref: `#/$defs/d${n + 1}` }, b: { $ref: `#/$defs/d${n + 1}` } } }])],
  ])('is not led through %s without an end', (_what, defs) => {
    const last = `d${defs.length}`
    const inputSchema = { $defs: Object.fromEntries([...defs, [last, { type: 'string' }]]), properties: { a: { $ref: '#/$defs/d0' } } }
    const hostile = described([{ name: 'it', inputSchema }], 'mcpo')
    expect(JSON.stringify(read(hostile, { $ref: '#/components/schemas/tool_it_post.input' })).length).toBeLessThan(1_000_000)
  })

  /** As Open WebUI does it. */
  function read(whole: Json, schema: unknown, depth = 0): unknown {
    if (depth > 900) throw new Error('it has no end')
    // `in` of something that is neither fails there.
    if (!isJson(schema) && !Array.isArray(schema)) throw new Error(`no schema: ${JSON.stringify(schema)}`)
    if (Array.isArray(schema)) return schema
    if (typeof schema['$ref'] === 'string') {
      let found: unknown = whole['components']
      for (const step of schema['$ref']
        .replace(/^[#/]+|[#/]+$/g, '')
        .split('/')
        .slice(1)) {
        if (!isJson(found) || !Object.hasOwn(found, step)) throw new Error(`nothing is at ${schema['$ref']}`)
        found = found[step]
      }
      return read(whole, found, depth + 1)
    }
    const { properties, items } = schema
    return {
      ...schema,
      ...(isJson(properties) && { properties: Object.fromEntries(Object.entries(properties).map(([key, one]) => [key, read(whole, one, depth + 1)])) }),
      ...(items !== undefined && { items: read(whole, items, depth + 1) }),
    }
  }
})

test('a reference to true says nothing, and one to false that nothing fits', () => {
  const properties = { any: { $ref: '#/$defs/any' }, none: { $ref: '#/$defs/none' } }
  const document = described([{ name: 'echo', inputSchema: { $defs: { any: true, none: false }, properties } }])
  expect(at(document, 'components', 'schemas', 'echo.input', 'properties')).toEqual({ any: {}, none: { not: {} } })
})

test.each([
  ['that leads nowhere', { $ref: '#/$defs/none' }],
  ['to another host', { $ref: 'https://evil.example/schema.json' }],
  ['to a file', { $ref: 'file:///etc/passwd' }],
  ['to a document beside it', { $ref: 'other.json#/a' }],
  ['that is no text', { $ref: 5 }],
])('a reference %s sends nobody there', (_what, a) => {
  const document = described([{ name: 'echo', inputSchema: { type: 'object', properties: { a } } }])
  expect(at(document, 'components', 'schemas', 'echo.input', 'properties', 'a')).toEqual({ 'x-mcp-unresolved-ref': a.$ref })
})

test('a schema in the words of draft-07 is told in those of 2020-12', () => {
  const inputSchema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    definitions: { s: { type: 'string' } },
    properties: { pair: { items: [{ $ref: '#/definitions/s' }], additionalItems: false }, first: { $ref: '#/properties/pair/items/0' } },
    dependencies: { a: ['b'], c: { required: ['d'] } },
  }
  expect(at(described([{ name: 'echo', inputSchema }]), 'components', 'schemas', 'echo.input')).toEqual({
    $defs: { s: { type: 'string' } },
    properties: {
      pair: { prefixItems: [{ $ref: '#/components/schemas/echo.input/$defs/s' }], items: false },
      first: { $ref: '#/components/schemas/echo.input/properties/pair/prefixItems/0' },
    },
    dependentRequired: { a: ['b'] },
    dependentSchemas: { c: { required: ['d'] } },
  })
})

test('a schema in one that is none takes everything', () => {
  const document = described([{ name: 'echo', inputSchema: { properties: { a: null, b: 5 } } }])
  expect(at(document, 'components', 'schemas', 'echo.input')).toEqual({ properties: { a: true, b: true } })
})

test.each([
  'x',
  {
    type: 'object',
    properties: {},
    required: [],
    additionalProperties: false,
    title: 'echoArguments',
    $schema: 'https://json-schema.org/draft/2020-12/schema',
  },
])('a tool that takes nothing (%j) has no body', (inputSchema) => {
  expect(at(described([{ name: 'echo', inputSchema }]), 'paths', '/tools/echo', 'post')).not.toHaveProperty('requestBody')
})

test.each([undefined, null, {}, { type: 'object' }, { type: 'object', properties: {} }])(
  'a tool that names nothing it takes (%j) has no body as mcpo has it, and may have one',
  (inputSchema) => {
    const listed = [{ name: 'echo', inputSchema }]
    expect(at(described(listed, 'mcpo'), 'paths', '/echo', 'post')).not.toHaveProperty('requestBody')
    expect(at(described(listed), 'paths', '/tools/echo', 'post', 'requestBody', 'required')).toBe(false)
  },
)

test.each([
  [{ additionalProperties: { type: 'string' } }, false],
  [{ properties: { a: {} } }, false],
  [{ required: ['a'] }, true],
  [{ anyOf: [{ required: ['a'] }] }, true],
])('a tool that takes %j has one, which is needed: %s', (inputSchema, required) => {
  expect(at(described([{ name: 'echo', inputSchema }]), 'paths', '/tools/echo', 'post', 'requestBody', 'required')).toBe(required)
})

test('what the server says of a tool stands with it, and nothing of ours', () => {
  const tool = {
    name: 'get_time',
    title: 'The time',
    description: 'Tells.',
    inputSchema: { required: ['zone'] },
    annotations: { readOnlyHint: true },
    _meta: { 'a/b': 1 },
  }
  expect(at(described([tool]), 'paths', '/tools/get_time', 'post')).toEqual({
    operationId: 'get_time',
    summary: 'The time',
    description: 'Tells.',
    'x-mcp-tool': 'get_time',
    'x-mcp-annotations': { readOnlyHint: true },
    'x-mcp-meta': { 'a/b': 1 },
    requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/get_time.input' } } } },
    responses: {
      '200': { description: 'The result', content: { 'application/json': { schema: {} } } },
      '422': { $ref: '#/components/responses/422' },
      '4XX': { $ref: '#/components/responses/4XX' },
      '5XX': { $ref: '#/components/responses/5XX' },
    },
  })
})

const pathsOf = (json: Json): string[] => Object.keys(jsonOf(json['paths']))

test('a document has the tools of all pages, and of one that nobody had listed once it is called', async () => {
  let names = ['a', 'b', 'c']
  const one = await member('one', {
    'tools/list': (params, received, res) => tools(names, 2)['tools/list']?.(params, received, res),
    'tools/call': () => ({ content: [] }),
  })
  const { at: under } = await running([{ ...one.server, openapi: {} }])
  const first = await ask(under('/servers/one/openapi.json'))
  expect(pathsOf(first.json)).toEqual(['/tools/a', '/tools/b', '/tools/c'])
  expect(first.json['servers']).toEqual([{ url: '/servers/one' }])
  const asked = one.asked('tools/list').length
  const again = await ask(under('/servers/one/openapi.json'), { headers: { 'if-none-match': String(first.headers.etag) } })
  expect([again.status, again.text]).toEqual([304, ''])
  expect(one.asked('tools/list')).toHaveLength(asked)
  // A tool that nobody has listed is looked for.
  names = ['a', 'd']
  expect((await ask(under('/servers/one/tools/d'), { body: {} })).status).toBe(200)
  expect(pathsOf((await ask(under('/servers/one/openapi.json'))).json)).toEqual(['/tools/a', '/tools/d'])
})

test('list_changed makes the list be asked for again', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }])
  const seen = async (): Promise<number> => {
    const { json } = await ask(under('/servers/one/tools/seen'), { body: {} })
    return (json['seen'] as Json[]).filter(({ method }) => method === 'tools/list').length // our server answers with a list
  }
  await ask(under('/servers/one/openapi.json'))
  await ask(under('/servers/one/openapi.json'))
  expect(await seen()).toBe(1)
  await ask(under('/servers/one/tools/notify'), { body: { messages: [{ method: 'notifications/tools/list_changed' }] } })
  await until('another list', async () => {
    await ask(under('/servers/one/openapi.json'))
    return (await seen()) === 2
  })
})

test('several servers are told of at once, each at its place, without one that is away', async () => {
  const [one, two] = [await member('one', tools(['a/b'])), await member('two', tools(['x', 'y']))]
  const gone = await member('gone', tools(['z']))
  await gone.behind.stop()
  const limits = { ...gone.server.limits, connectSeconds: 1 }
  const { at: under } = await running([one.server, two.server, { ...gone.server, limits }].map((server) => ({ ...server, openapi: {} })))
  const { json } = await ask(under('/openapi.json'))
  expect(pathsOf(json)).toEqual(['/servers/one/tools/a~2Fb', '/servers/two/tools/x', '/servers/two/tools/y'])
  expect(at(json, 'paths', '/servers/two/tools/x', 'post')).toMatchObject({ operationId: 'two_x', tags: ['two'] })
  expect(pathsOf((await ask(under('/one/openapi.json'))).json)).toEqual(['/a~2Fb'])
})

test('a server that was not asked to has no document and no operations', async () => {
  const { at: under } = await running([{ ...child('one'), openapi: {} }, child('two')])
  expect((await ask(under('/servers/two/openapi.json'))).status).toBe(404)
  expect((await ask(under('/servers/two/tools/echo'), { body: {} })).status).toBe(404)
  expect((await ask(under('/two/echo'), { body: {} })).status).toBe(404)
  expect(pathsOf((await ask(under('/openapi.json'))).json).every((path) => path.startsWith('/servers/one/'))).toBe(true)
})

test('where no server was asked to there is nothing', async () => {
  const { at: under } = await running([child('one')])
  expect((await ask(under('/openapi.json'))).json['error']).toMatchObject({ message: expect.stringContaining('nothing at this path') })
  expect((await ask(under('/servers/one/tools/echo'), { body: {} })).status).toBe(404)
})

test('all servers as one are one document, under the names that they have there', async () => {
  const [one, two] = [await member('one', tools(['a', 'a'])), await member('two', tools(['x']))]
  const { at: under } = await running([one.server, two.server], [], { aggregate: { name: 'openmcp', version: '1' }, openapi: {} })
  expect(pathsOf((await ask(under('/openapi.json'))).json)).toEqual(['/tools/one__a', '/tools/two__x'])
  expect((await ask(under('/tools/two__x'), { body: {} })).text).toBe('"x"')
})

test('a document of a thousand tools is made of all their pages', async () => {
  const [command = '', , ...rest] = scripted()
  const args = [fileURLToPath(new URL('../support/many-tools-server.mjs', import.meta.url)), ...rest]
  const { at: under } = await running([{ ...child('many'), target: { kind: 'command', command, args, env: {} }, openapi: {} }])
  const { json } = await ask(under('/many/openapi.json'))
  expect(pathsOf(json)).toHaveLength(1000)
  expect(at(json, 'components', 'schemas', 'tool_tool_7_post.input')).toEqual({
    type: 'object',
    properties: { x: { type: 'string', pattern: '^a+$', 'x-unknown': 7 } },
    $defs: { d: { const: 7 } },
  })
})
