// A stdio server in plain Node whose tools answer with one shape each, and with hints of how they want to be called.
import { createInterface } from 'node:readline'

const text = (words) => ({ type: 'text', text: words })
const EMPTY = { type: 'object', properties: {} }
const OPTIONAL = {
  type: 'object',
  properties: { a: { type: 'string', default: 'x', description: 'the first' }, b: { type: ['integer', 'null'] }, c: { enum: ['p', 'q'] } },
}
const REQUIRED = { type: 'object', properties: { text: { type: 'string', description: 'what is echoed' } }, required: ['text'] }

/** By name: what it answers, and what it takes. */
const TOOLS = {
  echo: { inputSchema: REQUIRED, answer: (given) => ({ content: [text(given.text)] }) },
  with_options: { inputSchema: OPTIONAL, answer: (given) => ({ content: [text(JSON.stringify(given))] }) },
  plain: { answer: () => ({ content: [text('plain')] }) },
  number: { answer: () => ({ content: [text('42')] }) },
  object: { answer: () => ({ content: [text('{"a":[1,null]}')] }) },
  two: { answer: () => ({ content: [text('a'), text('{"b":1}')] }) },
  nothing: { answer: () => ({ content: [] }) },
  image: { answer: () => ({ content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }] }) },
  audio: { answer: () => ({ content: [{ type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }] }) },
  link: { answer: () => ({ content: [{ type: 'resource_link', uri: 'file:///a', name: 'a' }] }) },
  embedded: { answer: () => ({ content: [{ type: 'resource', resource: { uri: 'file:///a', text: 'x' } }] }) },
  structured: {
    outputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    answer: () => ({ content: [text('in words')], structuredContent: { n: 1 } }),
  },
  failing: { answer: () => ({ content: [text('it broke')], isError: true }) },
  refusing: { error: { code: -32602, message: 'bad arguments', data: { at: 1 } } },
  leaving: { answer: () => process.exit(1) },
  hidden: { answer: () => ({ content: [text('hidden')] }) },
}

function resultOf(method, params) {
  if (method === 'initialize') {
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'shapes', version: '7' }, instructions: 'Be nice' }
  }
  if (method === 'tools/list') {
    const told = ([name, { inputSchema = EMPTY, outputSchema }]) => ({ name, description: `does ${name}`, inputSchema, ...(outputSchema && { outputSchema }) })
    return { tools: Object.entries(TOOLS).map(told) }
  }
  return method === 'tools/call' ? TOOLS[params.name].answer(params.arguments ?? {}) : {}
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  const error = method === 'tools/call' ? TOOLS[params.name].error : undefined
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...(error ? { error } : { result: resultOf(method, params) }) })}\n`)
})
