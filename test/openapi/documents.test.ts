// Documents of tools: what a server published is what they say, for this caller, until it changes.
import { fileURLToPath } from 'node:url'
import Ajv2020 from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'

import { documentOf } from '../../src/openapi/document.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'
import { member, tools } from '../openmcp/several.ts'
import { child, running } from '../openmcp/stage.ts'
import { SCHEMAS } from './hard-schemas.ts'

const AJV = { strict: false, validateFormats: false, logger: false, ownProperties: true, multipleOfPrecision: 9 } as const

const described = (listed: readonly Json[]): Json =>
  documentOf([{ server: 'one', place: '', about: {}, tools: listed, resources: [], prompts: [] }], { base: '', form: 'tools', guarded: false })

describe('a schema that the server published', () => {
  const listed = SCHEMAS.map(({ name, schema }): Json => ({ name, inputSchema: schema, outputSchema: schema }))
  const text = JSON.stringify(described(listed))
  const document = JSON.parse(text) as Json & { components: { schemas: Record<string, object> }; paths: Record<string, { post: { operationId: string } }> }
  const ajv = new Ajv2020.default(AJV)
  ajv.addSchema(document, 'document')
  const ids = new Map(Object.values(document.paths).map(({ post }) => [String(at(post, 'x-mcp-tool')), post.operationId]))

  test.each(SCHEMAS)('means the same in the document: $name', ({ name, schema, values, verdicts }) => {
    for (const side of ['input', 'output']) {
      const inDocument = ajv.compile({ $ref: `document#/components/schemas/${ids.get(name)}.${side}` })
      const alone = verdicts ? undefined : new Ajv2020.default(AJV).compile(schema)
      expect(values.map((value) => inDocument(value))).toEqual(values.map((value, index) => (alone ? alone(value) : verdicts?.[index])))
    }
  })

  test('leads nowhere but into the document', () => {
    for (const [, ref = ''] of text.matchAll(/"\$ref":"([^"]*)"/g)) {
      // In data it is data.
      if (['#/nowhere', 'x'].includes(ref)) continue
      const pointer = decodeURIComponent(ref.slice(1))
        .split('/')
        .slice(1)
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      expect([ref, at(document, ...pointer)]).not.toEqual([ref, undefined])
    }
  })
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
    definitions: { s: { type: 'string' } },
    properties: {
      pair: { prefixItems: [{ $ref: '#/components/schemas/echo.input/definitions/s' }], items: false },
      first: { $ref: '#/components/schemas/echo.input/properties/pair/prefixItems/0' },
    },
    dependentRequired: { a: ['b'] },
    dependentSchemas: { c: { required: ['d'] } },
  })
})

test.each([undefined, null, 'x', [], { properties: { a: null, b: 5 } }])('a schema that is none (%j) takes everything', (inputSchema) => {
  const text = JSON.stringify(described([{ name: 'echo', inputSchema }]))
  expect(new Ajv2020.default(AJV).compile(jsonOf(at(JSON.parse(text), 'components', 'schemas', 'echo.input')))({ a: 1, b: 2 })).toBe(true)
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
      default: { $ref: '#/components/responses/Refusal' },
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
  expect(at(json, 'components', 'schemas', 'tool-7.input')).toEqual({
    type: 'object',
    properties: { x: { type: 'string', pattern: '^a+$', 'x-unknown': 7 } },
    $defs: { d: { const: 7 } },
  })
})
