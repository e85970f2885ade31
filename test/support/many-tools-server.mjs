// A stdio server with a thousand tools, told in pages, each with members that nobody knows. No SDK: it writes exactly this.
import { createInterface } from 'node:readline'

const PAGE = 37
const TOOLS = Array.from({ length: 1000 }, (_, number) => ({
  name: `tool-${number}`,
  title: `Tool № ${number}`,
  inputSchema: { type: 'object', properties: { x: { type: 'string', pattern: '^a+$', 'x-unknown': number } }, $defs: { d: { const: number } } },
  'x-unknown': { number },
}))
const write = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`)

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  if (method === 'initialize')
    return write({
      jsonrpc: '2.0',
      id,
      result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'many', version: '1' } },
    })
  if (method === 'server/discover') return write({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no method' } })
  if (method !== 'tools/list') return write({ jsonrpc: '2.0', id, result: {} })
  const from = params?.cursor === undefined ? 0 : Number(Buffer.from(params.cursor, 'base64').toString())
  const next = from + PAGE < TOOLS.length ? { nextCursor: Buffer.from(String(from + PAGE)).toString('base64') } : {}
  write({ jsonrpc: '2.0', id, result: { tools: TOOLS.slice(from, from + PAGE), ...next, 'x-page': from } })
})
