// The MCP server behind openmcp in the slow suites: newline-delimited on stdin and stdout, or with `--http` as Streamable HTTP.
// It takes whatever it gets. Every answer holds what was asked, so that one that went to somebody else is seen.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']
const TOOLS = [
  { name: 'echo', description: 'Says the text, after so many milliseconds and so many progress notifications', inputSchema: { type: 'object' } },
  { name: 'never', description: 'Never answers', inputSchema: { type: 'object' } },
]

if (process.argv.includes('--http')) serveHttp()
else serveStdio()

function serveStdio() {
  const cancelled = new Set()
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = parsed(line)
    if (message?.method === 'notifications/cancelled') cancelled.add(message.params?.requestId)
    handle(message, say, (id) => cancelled.delete(id))
  })
  process.stdin.on('end', () => process.exit(0))
}

/** Calls `say` with every message that belongs to this one, the answer last; nothing for what is not a request. */
function handle(message, say, isCancelled = () => false) {
  const { id, method, params } = typeof message === 'object' && message !== null ? message : {}
  if (typeof method !== 'string' || id === undefined || id === null) return
  const answer = (result) => isCancelled(id) || say({ jsonrpc: '2.0', id, result })
  const refuse = (code, words) => say({ jsonrpc: '2.0', id, error: { code, message: words } })
  if (method === 'initialize') {
    const wanted = params?.protocolVersion
    return answer({
      protocolVersion: VERSIONS.includes(wanted) ? wanted : VERSIONS.at(-1),
      capabilities: { tools: {} },
      serverInfo: { name: 'slow', version: '1' },
    })
  }
  if (method === 'server/discover') return answer({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } })
  if (method === 'ping') return answer({})
  if (method === 'tools/list') return answer({ tools: TOOLS })
  if (method !== 'tools/call') return refuse(-32601, 'no such method')
  if (params?.name === 'never') return
  if (params?.name !== 'echo') return refuse(-32602, 'no such tool')
  const { text, ms = 0, progress = 0 } = params.arguments ?? {}
  const progressToken = params._meta?.progressToken
  const tell = () => {
    for (let step = 1; step <= Math.min(progress, 20); step++) {
      say({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: step, message: text } })
    }
    answer({ content: [{ type: 'text', text }] })
  }
  if (ms > 0) setTimeout(tell, Math.min(ms, 1000))
  else tell()
}

function serveHttp() {
  const sessions = new Set()
  const server = createServer((req, res) => {
    if (req.url === '/sessions') return res.end(String(sessions.size))
    const session = req.headers['mcp-session-id']
    if (session !== undefined && !sessions.has(session)) return res.writeHead(404).end()
    if (req.method === 'DELETE') {
      sessions.delete(session)
      return res.writeHead(200).end()
    }
    if (req.method === 'GET') return res.writeHead(405).end()
    const pieces = []
    req.on('data', (piece) => pieces.push(piece))
    req.on('end', () => {
      const message = parsed(Buffer.concat(pieces).toString())
      const messages = Array.isArray(message) ? message : [message]
      const requests = messages.filter((one) => typeof one?.method === 'string' && one.id !== undefined)
      if (requests.length === 0) return res.writeHead(202).end()
      const head = { 'content-type': 'text/event-stream' }
      if (requests.some(({ method }) => method === 'initialize') && session === undefined) {
        head['mcp-session-id'] = randomUUID()
        sessions.add(head['mcp-session-id'])
      }
      res.writeHead(200, head)
      res.flushHeaders()
      let left = requests.length
      for (const one of requests) {
        handle(one, (said) => {
          res.write(`event: message\ndata: ${JSON.stringify(said)}\n\n`)
          if (said.method === undefined && --left === 0) res.end()
        })
      }
    })
  })
  server.listen(0, '127.0.0.1', () => process.stderr.write(`listening on http://127.0.0.1:${server.address().port}\n`))
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
