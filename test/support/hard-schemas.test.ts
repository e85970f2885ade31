import { registerSchema, unregisterSchema, validate } from '@hyperjump/json-schema/draft-2020-12'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { FAR_REFERENCES, hardToolServer, HARD_TOOLS, publishedTools } from './hard-schemas.ts'
import { at, isJson, jsonOf, type Json } from './json.ts'
import { lossesIn, operationsOf, problemsOfDocument } from './openapi-document.ts'
import { differencesOf } from './same-schema.ts'
import { bearer, secured } from './secured.ts'

const KEY = 'a-key-of-the-operator-of-this-server'

describe('the hard schemas', () => {
  test('are sixty, of tools with names of their own', () => {
    expect(new Set(HARD_TOOLS.map(({ name }) => name)).size).toBe(HARD_TOOLS.length)
    expect(HARD_TOOLS.length).toBeGreaterThanOrEqual(60)
  })

  test.each(HARD_TOOLS.map((tool) => [tool.name, tool] as const))(
    '%s takes what is good and refuses what is bad',
    async (_name, { inputSchema, good, bad }) => {
      const uri = 'https://example.com/looked-at'
      // Draft 7 says the same with these keywords.
      const { $schema: _dialect, $id: _id, ...schema } = inputSchema
      registerSchema({ ...schema, $schema: 'https://json-schema.org/draft/2020-12/schema' }, uri)
      try {
        const check = await validate(uri)
        const takes = [good, bad].map((given) => given && check(JSON.parse(JSON.stringify(given))).valid)
        expect(takes).toEqual([true, bad && false])
      } finally {
        unregisterSchema(uri)
      }
    },
  )
})

test('a server tells of them all, page by page, and answers with what it got', async () => {
  const { url } = await secured({ answer: hardToolServer, security: { apiKeys: [KEY] } })
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: bearer(KEY) } }))
  onTestFinished(() => client.close())
  const names: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor })
    names.push(...page.tools.map(({ name }) => name))
    cursor = page.nextCursor
  } while (cursor !== undefined)
  expect(names).toEqual(HARD_TOOLS.map(({ name }) => name))
  expect(await client.callTool({ name: 'a/b', arguments: { value: 1 } })).toMatchObject({ content: [{ text: '{"value":1}' }] })
})

describe('the comparison', () => {
  const whole = (schema: unknown): { schema: unknown; root: unknown } => ({ schema, root: schema })

  const near = HARD_TOOLS.filter(({ name }) => !FAR_REFERENCES.includes(name))
  test.each(near.map((tool) => [tool.name, tool.inputSchema] as const))('%s is the same as itself, and as itself moved elsewhere', (_name, schema) => {
    expect(differencesOf(whole(schema), whole(schema))).toEqual([])
    expect(differencesOf(whole(schema), moved(schema))).toEqual([])
  })

  test.each(HARD_TOOLS.flatMap(({ name, inputSchema }) => changesOf(inputSchema).map(([what, changed]) => [name, what, inputSchema, changed] as const)))(
    '%s is another without %s',
    (_name, _what, schema, changed) => {
      expect(differencesOf(whole(schema), whole(changed))).not.toEqual([])
    },
  )

  test('a change deep inside what is recursive is found', () => {
    const schema = HARD_TOOLS.find(({ name }) => name === 'recursive-in-turns')?.inputSchema
    const changed = JSON.parse(JSON.stringify(schema).replace('"integer"', '"number"')) as Json // as it was
    expect(differencesOf(whole(schema), whole(changed))).toEqual(['/properties/value/properties/b/properties/n/type: "integer" became "number"'])
  })

  test('a reference means the same as the one arm of an allOf', () => {
    const schemaWith = (reference: Json): Json => ({
      $defs: { a: { properties: { next: { ...reference, description: 'next' }, n: { type: 'integer' } } } },
      $ref: '#/$defs/a',
    })
    const [bare, wrapped] = [schemaWith({ $ref: '#/$defs/a' }), schemaWith({ allOf: [{ $ref: '#/$defs/a' }] })]
    expect(differencesOf(whole(bare), whole(wrapped))).toEqual([])
    expect(differencesOf(whole(bare), whole(schemaWith({ allOf: [{ $ref: '#/$defs/a' }, { type: 'object' }] })))).not.toEqual([])
  })

  test('data that look like references are data', () => {
    expect(differencesOf(whole({ const: { $ref: '#/$defs/a' } }), whole({ const: { $ref: '#/components/schemas/a' } }))).toHaveLength(1)
  })
})

describe('the look at a document', () => {
  /** The simplest document that tells of them all. */
  function documentOf(tools: readonly Json[]): Json {
    const placed = tools.map((tool, index) => ({ tool, key: `tool-${index}` }))
    const schemas = placed.map(({ tool, key }) => [key, rewritten(tool['inputSchema'], `#/components/schemas/${key}`)] as const)
    const operation = ({ tool, key }: (typeof placed)[number]): Json => ({
      operationId: key,
      'x-mcp-name': tool['name'],
      requestBody: { required: true, content: { 'application/json': { schema: { $ref: `#/components/schemas/${key}` } } } },
      responses: { 200: { description: 'done', content: { 'application/json': { schema: tool['outputSchema'] ? at(tool, 'outputSchema') : {} } } } },
    })
    return {
      openapi: '3.1.0',
      info: { title: 'hard', version: '1' },
      paths: Object.fromEntries(placed.map((one) => [`/tools/${encodeURIComponent(String(one.tool['name']))}`, { post: operation(one) }])),
      components: { schemas: Object.fromEntries(schemas) },
    }
  }
  const byName =
    (document: Json) =>
    (name: string): Json | undefined =>
      operationsOf(document).find(({ operation }) => operation['x-mcp-name'] === name)?.operation
  const sample = (): Json => documentOf([{ name: 'a', inputSchema: { type: 'object', properties: { n: { type: 'integer' } } } }])

  test('has nothing to say of one that is right', async () => {
    expect(await problemsOfDocument(sample())).toEqual([])
  })

  test.each<[string, (document: Json) => void]>([
    ['no title', (document) => delete jsonOf(document['info'])['title']],
    ['a type that is none', (document) => void (jsonOf(at(document, 'components', 'schemas', 'tool-0'))['type'] = 'strng')],
    ['a pattern that is a number', (document) => void (jsonOf(at(document, 'components', 'schemas', 'tool-0', 'properties', 'n'))['pattern'] = 3)],
    ['a reference to nothing', (document) => void (jsonOf(at(document, 'components', 'schemas', 'tool-0'))['$ref'] = '#/components/schemas/none')],
    ['two operations of one name', (document) => void (jsonOf(document['paths'])['/b'] = at(document, 'paths', '/tools/a'))],
    ['a word that is not of OpenAPI', (document) => void (jsonOf(at(document, 'paths', '/tools/a', 'post'))['tool'] = 'a')],
    ['a component whose name has a slash', (document) => void (jsonOf(at(document, 'components', 'schemas'))['a/b'] = {})],
  ])('sees %s', async (_what, change) => {
    const document = sample()
    change(document)
    expect(await problemsOfDocument(document)).not.toEqual([])
  })

  test('finds what was lost between a server and a document', () => {
    const tools = publishedTools().filter(
      ({ name, outputSchema, inputSchema }) => outputSchema === undefined && at(inputSchema, '$id') === undefined && !FAR_REFERENCES.includes(String(name)),
    )
    const document = documentOf(tools)
    expect(lossesIn(document, tools, byName(document))).toEqual([])
    delete jsonOf(at(document, 'components', 'schemas', 'tool-0', 'properties', 'value'))['enum']
    expect(lossesIn(document, tools, byName(document))).toHaveLength(1)
    expect(lossesIn(document, [{ name: 'another', inputSchema: {} }], byName(document))).toEqual(['another: has no operation'])
  })
})

/** As a part of a greater document, its references rewritten. */
function moved(schema: Json): { schema: unknown; root: unknown } {
  const here = rewritten(schema, '#/components/schemas/moved')
  return { schema: here, root: { components: { schemas: { moved: here } } } }
}

/** Every reference in a schema, and none in data or in names. */
function rewritten(schema: unknown, to: string): unknown {
  if (Array.isArray(schema)) return schema.map((one) => rewritten(one, to))
  if (!isJson(schema)) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([name, value]) => {
      if (['const', 'enum', 'default', 'examples'].includes(name) || name.startsWith('x-')) return [name, value]
      if (['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions'].includes(name) && isJson(value))
        return [name, Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rewritten(one, to)]))]
      if (name === '$ref' && typeof value === 'string') return [name, value === '#' ? to : value.startsWith('#/') ? `${to}${value.slice(1)}` : value]
      return [name, rewritten(value, to)]
    }),
  )
}

/** The schema without each of its keywords, in turn: at the root and at each property. */
function changesOf(schema: Json): [string, Json][] {
  const { properties } = schema
  const without = (from: Json, name: string): Json => Object.fromEntries(Object.entries(from).filter(([key]) => key !== name))
  const roots = Object.keys(schema).filter((name) => !['$defs', 'definitions', '$id', '$schema'].includes(name))
  const members = isJson(properties) ? Object.entries(properties).slice(0, 5) : []
  return [
    ...roots.map((name): [string, Json] => [name, without(schema, name)]),
    ...members.flatMap(([key, value]) =>
      isJson(value)
        ? Object.keys(value)
            .filter((name) => name !== '$defs')
            .map((name): [string, Json] => [
              `${key}.${name}`,
              { ...schema, properties: Object.fromEntries([...Object.entries(jsonOf(properties)), [key, without(value, name)]]) },
            ])
        : [],
    ),
  ]
}
