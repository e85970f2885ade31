// What an operation answers beside its result, as a document tells of it: the shape of refusal.ts, and when it comes.
import type { JsonObject } from '../protocol/message.ts'

const RANGES: readonly (readonly [statuses: string, description: string, headers?: readonly string[]])[] = [
  ['422', 'The arguments do not fit the schema: each place that does not is told. Or the server says so.'],
  [
    '4XX',
    'Refused. 400: the body is not JSON, or holds what cannot be carried. 401, 403: who calls has not proved who they are, or may not. 404: nothing of this name. ' +
      '405: another method. 409: the tool asks its client for something that a plain HTTP call cannot give. 413: too large. 415: not application/json. 429: too many.',
    ['Allow', 'Retry-After', 'WWW-Authenticate'],
  ],
  [
    '5XX',
    'Failed. 500: the tool says that it failed, or the server does. 502: the server cannot be reached, ended, or does not speak MCP. 503: too much is going on. ' +
      '504: no sign of an answer in time.',
    ['Retry-After'],
  ],
]

/** Of each operation: they refer to what the document says of them once. */
export const RESPONSES: JsonObject = Object.fromEntries(RANGES.map(([statuses]) => [statuses, { $ref: `#/components/responses/${statuses}` }]))

const CONTENT = { 'application/json': { schema: { $ref: '#/components/schemas/Refusal' } } }

export const COMPONENT_RESPONSES: JsonObject = Object.fromEntries(
  RANGES.map(([statuses, description, headers = []]) => [
    statuses,
    {
      description,
      ...(headers.length > 0 && { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'string' } }])) }),
      content: CONTENT,
    },
  ]),
)

const TEXT = { type: 'string' }
const MISMATCH = {
  type: 'object',
  required: ['path', 'keyword', 'message'],
  properties: { path: { type: 'string', format: 'json-pointer' }, keyword: TEXT, message: TEXT },
}

export const REFUSAL: JsonObject = {
  type: 'object',
  required: ['detail'],
  properties: {
    detail: {
      type: 'object',
      required: ['message', 'code'],
      properties: {
        message: TEXT,
        code: TEXT,
        hint: TEXT,
        server: TEXT,
        errors: { type: 'array', items: MISMATCH },
        data: {},
        error: TEXT,
        authorization_url: { type: 'string', format: 'uri' },
      },
    },
  },
}
