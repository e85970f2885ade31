import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'

import { isJson } from './json.ts'
import { onLoopback } from './loopback.ts'
import { problemsBySchemathesis, schemathesis } from './schemathesis.ts'

const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'
const JSON_OBJECT = { description: 'an object', content: { 'application/json': { schema: { type: 'object' } } } }
const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'short', version: '1' },
  paths: {
    '/echo': {
      post: {
        operationId: 'echo',
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: { type: 'object', properties: { word: { type: 'string', maxLength: 5 } }, required: ['word'], additionalProperties: false },
            },
          },
        },
        responses: { 200: JSON_OBJECT, 400: JSON_OBJECT, 415: JSON_OBJECT, 422: JSON_OBJECT },
      },
    },
  },
}

/** Keeps what the document says, but for `longest`. */
async function server(longest: number): Promise<string> {
  const statusOf = (method: string, type: string, text: string): number => {
    if (method !== 'POST') return 405
    if (!type.startsWith('application/json')) return 415
    let given: unknown
    try {
      given = JSON.parse(text)
    } catch {
      return 400
    }
    const word = isJson(given) && Object.keys(given).length === 1 ? given['word'] : undefined
    return typeof word === 'string' && Array.from(word).length <= longest ? 200 : 422
  }
  const { host, stop } = await onLoopback(
    createServer((req, res) => {
      let text = ''
      req.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      req.on('end', () => {
        res.setHeader('content-type', 'application/json')
        if (req.url === '/openapi.json') return void res.end(JSON.stringify(DOCUMENT))
        const { method = '', headers } = req
        res.writeHead(statusOf(method, headers['content-type'] ?? '', text), { allow: 'POST' }).end('{}')
      })
    }),
  )
  onTestFinished(stop)
  return `http://${host}/openapi.json`
}

describe.skipIf(schemathesis.missing !== undefined && !REQUIRED)(
  `schemathesis${schemathesis.missing === undefined ? '' : ` (skipped: ${schemathesis.missing})`}`,
  () => {
    test('has nothing to say of a server that keeps what its document says', { timeout: 60_000 }, async () => {
      expect(await problemsBySchemathesis(await server(5))).toBe('')
    })

    test('sees that a server takes what its document does not', { timeout: 60_000 }, async () => {
      expect(await problemsBySchemathesis(await server(100))).toMatch(/Schema-violating request accepted/)
    })
  },
)
