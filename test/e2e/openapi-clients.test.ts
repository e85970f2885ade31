// Documents of tools as others use them: types and a client that are made of one, and a tester that tries all that it says.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { documentOf } from '../../src/openapi/document.ts'
import { EVERYTHING_GOOD } from '../support/everything.ts'
import { clientAt, findGenerator, problemsOfClient } from '../support/generated-client.ts'
import { HARD_TOOLS, publishedTools } from '../support/hard-schemas.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { operationsOf, type Operation } from '../support/openapi-document.ts'
import { serve, type Proxy } from '../support/openmcp.ts'
import { problemsBySchemathesis, schemathesis } from '../support/schemathesis.ts'
import { everything } from '../support/servers.ts'
import { ask } from '../support/wire.ts'

const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'
const generator = findGenerator()
const told = (missing: string | undefined): string => (missing === undefined ? '' : ` (skipped: ${missing})`)

let proxy: Proxy
let document: Json
beforeAll(async () => {
  proxy = await serve({ options: ['--openapi'], ...(await everything('stdio child')).served })
  document = (await ask(proxy.at('/openapi.json'))).json
})
afterAll(() => proxy.stop())

/** For the generator a `$ref` is a reference wherever it stands, no object has a member of this name, and nothing has a type of a part of itself. */
const UNREADABLE: readonly string[] = ['extensions', 'ids-inside', 'names-of-every-object', 'nested-defs', 'pointer-to-no-keyword']
/** What is moved for simple readers, and is an object there. */
const UNREADABLE_AS_THEY_ARE: readonly string[] = ['names-of-definitions', 'pointer-into-alternatives', 'pointer-to-false']
const nameOf = ({ operation }: Operation): string => String(operation['x-mcp-tool'])
const hasBody = ({ operation }: Operation): boolean => operation['requestBody'] !== undefined

describe.skipIf(generator.missing !== undefined && !REQUIRED)(`a client that is generated${told(generator.missing)}`, () => {
  const program = (calls: readonly string[]): string => `import createClient from 'openapi-fetch'
import type { paths } from './api.ts'
const client = createClient<paths>({ baseUrl: 'http://127.0.0.1' })
${calls.map((call, index) => `export const call${index} = async () => (await ${call}).data`).join('\n')}`
  const callOf = (operation: Operation, body: Json): string =>
    `client.POST('${operation.path}', ${hasBody(operation) ? `{ body: ${JSON.stringify(body)} }` : '{}'})`

  test('compiles with arguments that fit, and not with others', async () => {
    const operations = operationsOf(document)
    expect(await problemsOfClient(document, program(operations.map((operation) => callOf(operation, EVERYTHING_GOOD[nameOf(operation)] ?? {}))))).toEqual([])
    const needing = operations.filter((operation) => at(operation.operation, 'requestBody', 'required') === true)
    expect(needing.length).toBeGreaterThan(3)
    const problems = (await problemsOfClient(document, program(needing.map((operation) => callOf(operation, {}))))).join('\n')
    for (const index of needing.keys()) expect(problems).toContain(`program.ts(${index + 4},`)
  })

  test('of the hard tools is made and compiles', async () => {
    for (const [form, unreadable] of [
      ['tools', [...UNREADABLE, ...UNREADABLE_AS_THEY_ARE]],
      ['mcpo', UNREADABLE],
    ] as const) {
      const tools = publishedTools().filter(({ name }) => !unreadable.includes(String(name)))
      const part = { server: 'hard', place: '', about: {}, tools, resources: [], resourceTemplates: [], prompts: [] }
      const hard = jsonOf(JSON.parse(documentOf([part], { base: '', form, guarded: true })))
      expect(operationsOf(hard)).toHaveLength(HARD_TOOLS.length - unreadable.length)
      expect(await problemsOfClient(hard, program([]))).toEqual([])
    }
  })

  test('calls every tool, and is told each place of what does not fit', async () => {
    const client = await clientAt(proxy.url.origin)
    for (const operation of operationsOf(document)) {
      const { path } = operation
      const name = nameOf(operation)
      const good = await client.post(path, EVERYTHING_GOOD[name] ?? {})
      // A task is nothing that one request can wait for.
      const isTask = at(operation.operation, 'x-mcp-execution', 'taskSupport') === 'required'
      expect([name, good.response.status, good.error === undefined]).toEqual([name, isTask ? 409 : 200, !isTask])
      const schema = at(document, 'components', 'schemas', `${String(operation.operation['operationId'])}.input`)
      const members = Object.keys(jsonOf(at(schema, 'properties') ?? {}))
      if (members.length === 0 || isTask) continue
      const bad = await client.post(path, Object.fromEntries(members.map((member) => [member, { of: 'another type' }])))
      const errors = at(bad.error, 'detail', 'errors')
      expect([name, bad.response.status]).toEqual([name, 422])
      expect(Array.isArray(errors) ? errors.map((error) => at(error, 'path')) : errors).toEqual(expect.arrayContaining(members.map((member) => `/${member}`)))
    }
  })
})

describe.skipIf(schemathesis.missing !== undefined && !REQUIRED)(`schemathesis${told(schemathesis.missing)}`, () => {
  test('finds nothing that is otherwise than the document says', { timeout: 120_000 }, async () => {
    expect(await problemsBySchemathesis(proxy.at('/openapi.json').href, { examples: 20, without: UNTRIED })).toBe('')
  })
})

/** They wait as long as they are told, fetch what they are told, or fail for what fits. */
const UNTRIED = ['get-resource-reference', 'gzip-file-as-resource', 'trigger-long-running-operation']
