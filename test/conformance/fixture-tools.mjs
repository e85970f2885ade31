// The tools of the fixture server. Names, arguments and answers are what the suite's scenarios ask of a server;
// `conformance list` and the scenarios' descriptions are the specification of this file.
import { setTimeout as wait } from 'node:timers/promises'
import { audio, embedded, image, says } from './fixture-content.mjs'
import { inputTools } from './fixture-input-tools.mjs'

// Work that takes a moment, so that what a tool reports in between travels on its own.
const WORK_MS = 50
// Long enough for the stream to be closed, by this tool or by a proxy in front, before the answer is there.
const AWAY_MS = 1_500

const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required })
const string = (description) => ({ type: 'string', ...(description && { description }) })

/** The tools one protocol era sees: `Map` of name to `{ description, inputSchema, call(args, context, announce) }`. */
export function toolsOf(era) {
  return new Map(Object.entries({ ...toolsOfBothEras, ...(era === 'modern' ? modernTools : legacyTools) }))
}

const toolsOfBothEras = {
  test_simple_text: {
    description: 'Answers with text',
    call: () => says('This is a simple text response for testing.'),
  },
  test_image_content: {
    description: 'Answers with an image',
    call: () => says(image()),
  },
  test_audio_content: {
    description: 'Answers with audio',
    call: () => says(audio()),
  },
  test_embedded_resource: {
    description: 'Answers with a resource',
    call: () =>
      says(
        embedded({
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        }),
      ),
  },
  test_multiple_content_types: {
    description: 'Answers with text, an image and a resource',
    call: () =>
      says(
        'Multiple content types test:',
        image(),
        embedded({
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        }),
      ),
  },
  test_error_handling: {
    description: 'Always fails',
    call: () => ({ ...says('This tool intentionally returns an error for testing'), isError: true }),
  },
  test_tool_with_progress: {
    description: 'Reports progress when asked to',
    call: async (_args, { mcpReq }) => {
      // oxlint-disable-next-line no-underscore-dangle -- the protocol's own name
      const progressToken = mcpReq._meta?.progressToken
      for (const progress of [0, 50, 100]) {
        if (progress > 0) await wait(WORK_MS)
        if (progressToken === undefined) continue
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
      }
      return says(`done, progress went to ${progressToken ?? 'nobody'}`)
    },
  },
  json_schema_2020_12_tool: {
    description: 'Has a schema with the keywords of JSON Schema 2020-12',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: { $anchor: 'addressDef', type: 'object', properties: { street: string(), city: string() } },
      },
      properties: {
        name: string(),
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: string(),
        email: string(),
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema, never awaited
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    call: () => says('valid'),
  },
}

const legacyTools = {
  test_tool_with_logging: {
    description: 'Logs while it works',
    call: async (_args, { mcpReq }) => {
      await mcpReq.log('info', 'Tool execution started')
      await wait(WORK_MS)
      await mcpReq.log('info', 'Tool processing data')
      await wait(WORK_MS)
      await mcpReq.log('info', 'Tool execution completed')
      return says('logged three times')
    },
  },
  test_sampling: {
    description: 'Asks the client to sample its model',
    inputSchema: object({ prompt: string() }),
    call: async ({ prompt }, { mcpReq }) => {
      const answer = await mcpReq.requestSampling({
        messages: [{ role: 'user', content: { type: 'text', text: prompt } }],
        maxTokens: 100,
      })
      return says(`LLM response: ${answer.content.text}`)
    },
  },
  test_elicitation: {
    description: 'Asks the user a question',
    inputSchema: object({ message: string() }),
    call: async ({ message }, { mcpReq }) =>
      elicited(
        await mcpReq.elicitInput({
          message,
          requestedSchema: object({ username: string("User's response"), email: string("User's email address") }),
        }),
      ),
  },
  test_elicitation_sep1034_defaults: {
    description: 'Asks the user a question with a default in every kind of field',
    call: async (_args, { mcpReq }) =>
      elicited(
        await mcpReq.elicitInput({
          message: 'Please review the defaults',
          requestedSchema: object(
            {
              name: { type: 'string', default: 'John Doe' },
              age: { type: 'integer', default: 30 },
              score: { type: 'number', default: 95.5 },
              status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
              verified: { type: 'boolean', default: true },
            },
            [],
          ),
        }),
      ),
  },
  test_elicitation_sep1330_enums: {
    description: 'Asks the user to choose, in every way a choice can be written',
    call: async (_args, { mcpReq }) =>
      elicited(
        await mcpReq.elicitInput({
          message: 'Please choose',
          requestedSchema: object(
            {
              untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
              titledSingle: {
                type: 'string',
                oneOf: titled({ value1: 'First Option', value2: 'Second Option', value3: 'Third Option' }),
              },
              legacyEnum: {
                type: 'string',
                enum: ['opt1', 'opt2', 'opt3'],
                enumNames: ['Option One', 'Option Two', 'Option Three'],
              },
              untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
              titledMulti: {
                type: 'array',
                items: { anyOf: titled({ value1: 'First Choice', value2: 'Second Choice', value3: 'Third Choice' }) },
              },
            },
            [],
          ),
        }),
      ),
  },
  test_reconnection: {
    description: 'Closes its stream before it answers (SEP-1699)',
    call: async (_args, { http }) => {
      // There is no stream to close on stdio: there it is the proxy in front that has to close one.
      http?.closeSSE?.()
      await wait(AWAY_MS)
      return says('answered after the stream was closed')
    },
  },
}

const modernTools = {
  ...inputTools,
  test_x_mcp_header: {
    description: 'Has an argument that is mirrored in a header (SEP-2243)',
    inputSchema: object({ region: { type: 'string', 'x-mcp-header': 'Region' }, query: string() }, ['region']),
    call: ({ region }) => says(`region ${region}`),
  },
  test_logging_tool: {
    description: 'Logs, which may be seen only by a request that named a log level',
    call: async (_args, { mcpReq }) => {
      await mcpReq.log('info', 'said while working')
      return says('logged')
    },
  },
  test_streaming_elicitation: {
    description: 'Answers on a stream that must carry no request of its own',
    call: () => says('streamed'),
  },
  test_trigger_tool_change: {
    description: 'Announces that the list of tools changed',
    call: async (_args, _context, announce) => {
      await announce.toolsChanged()
      return says('announced')
    },
  },
  test_trigger_prompt_change: {
    description: 'Announces that the list of prompts changed',
    call: async (_args, _context, announce) => {
      await announce.promptsChanged()
      return says('announced')
    },
  },
}

function elicited({ action, content = {} }) {
  return says(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`)
}

function titled(titles) {
  return Object.entries(titles).map(([value, title]) => ({ const: value, title }))
}
