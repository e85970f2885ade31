import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { clientAt, findGenerator, problemsOfClient } from './generated-client.ts'
import { onLoopback } from './loopback.ts'

const generator = findGenerator()
const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'

const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'paint', version: '1' },
  paths: {
    '/tools/paint': {
      post: {
        operationId: 'paint',
        requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Paint' } } } },
        responses: {
          200: { description: 'painted', content: { 'application/json': { schema: { type: 'object', properties: { area: { type: ['number', 'null'] } } } } } },
        },
      },
    },
  },
  components: {
    schemas: {
      Paint: {
        type: 'object',
        properties: { colour: { enum: ['red', 'green'] }, parts: { type: 'array', items: { $ref: '#/components/schemas/Paint' } } },
        required: ['colour'],
      },
    },
  },
}
const program = (...calls: readonly string[]): string => `import createClient from 'openapi-fetch'
import type { paths } from './api.ts'
const client = createClient<paths>({ baseUrl: 'http://127.0.0.1' })
${calls.map((call, index) => `export const area${index} = async (): Promise<number | null | undefined> => (await ${call}).data?.area`).join('\n')}`

describe.skipIf(generator.missing !== undefined && !REQUIRED)(
  `a generated client${generator.missing === undefined ? '' : ` (skipped: ${generator.missing})`}`,
  () => {
    test('compiles with what fits the document', async () => {
      expect(await problemsOfClient(DOCUMENT, program("client.POST('/tools/paint', { body: { colour: 'red', parts: [{ colour: 'green' }] } })"))).toEqual([])
    })

    test('does not compile with what does not', async () => {
      const wrong = [
        "client.POST('/tools/paint', { body: { colour: 'blue' } })",
        "client.POST('/tools/paint', { body: { colour: 'red', parts: [{}] } })",
        "client.POST('/tools/draw', { body: { colour: 'red' } })",
      ]
      const told = (await problemsOfClient(DOCUMENT, program(...wrong))).join('\n')
      for (const line of [4, 5, 6]) expect(told).toContain(`program.ts(${line},`)
    })

    test('calls, and tells answers from errors', async () => {
      const server = createServer((req, res) => {
        res.writeHead(req.url === '/tools/paint' ? 200 : 404, { 'content-type': 'application/json' }).end('{"area":3}')
      })
      const { host, stop } = await onLoopback(server)
      onTestFinished(stop)
      const client = await clientAt(`http://${host}`)
      expect(await client.post('/tools/paint', { colour: 'red' })).toMatchObject({ data: { area: 3 } })
      expect(await client.post('/tools/draw', {})).toMatchObject({ error: { area: 3 }, response: { status: 404 } })
    })
  },
)
