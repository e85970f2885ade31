// What the two echo servers can do. No SDK, no dependency: the servers must cost less than any proxy before them.

const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']

const integer = { type: 'integer' }
const tool = (name, description, properties) => ({
  name,
  description,
  inputSchema: { type: 'object', properties, required: Object.keys(properties) },
})
const TOOLS = JSON.stringify({
  tools: [
    tool('echo', 'returns the text', { text: { type: 'string' } }),
    tool('blob', 'returns a text of so many bytes', { bytes: integer }),
    tool('notify', 'sends n progress notifications, then the answer', { n: integer }),
    tool('sleep', 'answers after so many milliseconds', { ms: integer }),
    tool('die', 'ends the server process without an answer', {}),
  ],
})

/**
 * Builds `handle(message, send)`. It returns the answer as a JSON string, or null when there is none now; `send(json, isAnswer)`
 * carries what belongs to the request but is not the immediate answer.
 */
export function createHandler({ name }) {
  const blobs = new Map()

  return function handle({ id, method, params }, send) {
    if (method === undefined || id === undefined) return null
    switch (method) {
      case 'tools/call':
        return call(id, params ?? {}, send)
      case 'initialize':
        return result(id, JSON.stringify(greeting(name, params?.protocolVersion)))
      case 'tools/list':
        return result(id, TOOLS)
      case 'ping':
        return result(id, '{}')
      default:
        return failure(id, -32601, `method not found: ${method}`)
    }
  }

  function call(id, { name: toolName, arguments: args = {}, _meta: meta }, send) {
    switch (toolName) {
      case 'echo':
        return text(id, String(args.text))
      case 'blob':
        return text(id, blob(args.bytes))
      case 'notify':
        for (let i = 1; i <= args.n; i++) send(progress(meta?.progressToken, i, args.n), false)
        return text(id, String(args.n))
      case 'sleep':
        setTimeout(() => send(text(id, 'slept'), true), args.ms)
        return null
      case 'die':
        return process.exit(42)
      default:
        return failure(id, -32602, `unknown tool ${toolName}`)
    }
  }

  function blob(bytes) {
    if (!blobs.has(bytes)) blobs.set(bytes, 'b'.repeat(bytes))
    return blobs.get(bytes)
  }
}

export const parseError = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}'

const greeting = (name, wanted) => ({
  protocolVersion: VERSIONS.includes(wanted) ? wanted : VERSIONS.at(-1),
  capabilities: { tools: {} },
  serverInfo: { name, version: '1.0.0' },
})
const result = (id, json) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${json}}`
const text = (id, s) => result(id, `{"content":[{"type":"text","text":${JSON.stringify(s)}}]}`)
const failure = (id, code, message) => JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } })
const progress = (token, done, total) =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${JSON.stringify(token)},"progress":${done},"total":${total}}}`
