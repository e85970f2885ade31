// The server under test: one of everything the suite asks for, on the SDK's own server, for both protocol eras
// (legacy: a handshake opens a session; modern: 2026-07-28, every request stands alone).
import { McpServer, ResourceTemplate, completable, fromJsonSchema } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { PNG, embedded, image, text } from './fixture-content.mjs'
import { inputPrompt, requestState } from './fixture-input-tools.mjs'
import { toolsOf } from './fixture-tools.mjs'

const CACHE = { ttlMs: 1000, cacheScope: 'private' }
const CACHED_METHODS = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'resources/read']
const NO_ARGUMENTS = { type: 'object', properties: {} }

/**
 * Builds a server for one era. `announce` tells listeners of a change; left out, the server tells its own connection,
 * which over HTTP in the modern era lives only as long as one request.
 */
export function buildServer(era, announce) {
  const mcp = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
      },
      cacheHints: Object.fromEntries(CACHED_METHODS.map((method) => [method, CACHE])),
      requestState,
    },
  )
  const toListeners = announce ?? {
    toolsChanged: () => mcp.sendToolListChanged(),
    promptsChanged: () => mcp.sendPromptListChanged(),
  }
  addTools(mcp, era, toListeners)
  addPrompts(mcp, era)
  addResources(mcp, era)
  return mcp
}

function addTools(mcp, era, announce) {
  for (const [name, { description, inputSchema = NO_ARGUMENTS, call }] of toolsOf(era)) {
    mcp.registerTool(name, { description, inputSchema: fromJsonSchema(inputSchema) }, (args, context) => call(args, context, announce))
  }
}

function addPrompts(mcp, era) {
  mcp.registerPrompt('test_simple_prompt', { description: 'Text' }, () => user(text('This is a simple prompt for testing.')))
  mcp.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'Text made of two arguments',
      argsSchema: z.object({
        arg1: completable(argument('First, can be completed'), () => ['paris', 'park', 'party']),
        arg2: argument('Second'),
      }),
    },
    ({ arg1, arg2 }) => user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  )
  mcp.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A resource and text', argsSchema: z.object({ resourceUri: argument('Which resource') }) },
    ({ resourceUri }) =>
      user(
        embedded({ uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' }),
        text('Please process the embedded resource above.'),
      ),
  )
  mcp.registerPrompt('test_prompt_with_image', { description: 'An image and text' }, () => user(image(), text('Please analyze the image above.')))
  if (era === 'modern') {
    const { description, get } = inputPrompt
    mcp.registerPrompt('test_input_required_result_prompt', { description }, get)
  }
}

function addResources(mcp, era) {
  const plain = { mimeType: 'text/plain' }

  mcp.registerResource('static-text', 'test://static-text', plain, (uri) =>
    one({ uri: uri.href, ...plain, text: 'This is the content of the static text resource.' }),
  )
  mcp.registerResource('static-binary', 'test://static-binary', { mimeType: PNG.mimeType }, (uri) =>
    one({ uri: uri.href, mimeType: PNG.mimeType, blob: PNG.data }),
  )
  mcp.registerResource('watched', 'test://watched-resource', plain, (uri) => one({ uri: uri.href, ...plain, text: 'Watched resource content' }))
  mcp.registerResource('template', new ResourceTemplate('test://template/{id}/data', { list: undefined }), { mimeType: 'application/json' }, (uri, { id }) =>
    one({
      uri: uri.href,
      mimeType: 'application/json',
      text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
    }),
  )
  if (era === 'legacy') {
    mcp.server.setRequestHandler('resources/subscribe', () => ({}))
    mcp.server.setRequestHandler('resources/unsubscribe', () => ({}))
  }
}

function argument(description) {
  return z.string().describe(description)
}

function user(...parts) {
  return { messages: parts.map((content) => ({ role: 'user', content })) }
}

function one(contents) {
  return { contents: [contents] }
}
