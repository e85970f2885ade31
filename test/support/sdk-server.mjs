// A server on the official SDK, version 1, served in each of its ways:
//   node sdk-server.mjs stdio | http | sse | both [--port PORT]
// It hears any method and any member: what the SDK would strip or refuse is exactly what a proxy must carry.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { McpError } from '@modelcontextprotocol/sdk/types.js'
import * as z from 'zod'

const {
  values: { port },
  positionals: [way],
} = parseArgs({ allowPositionals: true, options: { port: { type: 'string', default: '0' } } })

const PAGES = { '': ['alpha', 'page-2'], 'page-2': ['beta', 'page-3'], 'page-3': ['gamma', undefined] }
const ANYTHING = z.looseObject({})

/** `listening`: whether what belongs to no call can reach the client already. */
function buildServer(listening) {
  const capabilities = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {}, prompts: {} }
  const server = new Server({ name: 'sdk-server', version: '1.0.0' }, { capabilities })
  const notifications = []
  const hanging = new Set()
  const cancelled = []
  const tools = {
    echo: (_args, _extra, request) => ({ request }),
    async progress({ steps, everyMs = 0 }, { sendNotification, _meta }) {
      for (let step = 1; step <= steps; step++) {
        const params = { progressToken: _meta.progressToken, progress: step, total: steps, message: `step ${step}`, 'x-unknown': { step } }
        await sendNotification({ method: 'notifications/progress', params })
        if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
      return { steps }
    },
    async log({ words }, { sendNotification }) {
      for (const data of words) await sendNotification({ method: 'notifications/message', params: { level: 'info', logger: 'sdk-server', data } })
      return {}
    },
    ask: async ({ method, params }, { sendRequest }) => ({ answer: await sendRequest({ method, params }, ANYTHING) }),
    hang({ key }, { signal }) {
      hanging.add(key)
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          hanging.delete(key)
          cancelled.push({ key, reason: signal.reason })
          resolve({})
        })
      })
    },
    heard: () => ({ notifications, hanging: [...hanging], cancelled, listening: listening() }),
    async announce({ method, params }) {
      await server.notification({ method, params })
      return {}
    },
  }
  server.fallbackNotificationHandler = async (notification) => void notifications.push(notification)
  server.fallbackRequestHandler = async (request, extra) => {
    const { method, params = {} } = request
    if (method === 'tools/list') {
      const page = PAGES[params.cursor ?? '']
      if (!page) throw new McpError(-32602, `no page ${String(params.cursor)}`)
      return { tools: [{ name: page[0], inputSchema: { type: 'object' } }], nextCursor: page[1], 'x-unknown': { page: page[0] } }
    }
    if (method === 'resources/subscribe' || method === 'resources/unsubscribe') return {}
    if (method === 'tools/call' && Object.hasOwn(tools, params.name)) {
      const structuredContent = await tools[params.name](params.arguments ?? {}, extra, request)
      return { content: [], structuredContent, 'x-unknown': ['kept'], _meta: { 'example.com/from-server': { kept: true } } }
    }
    if (method.startsWith('test/')) return { method, params }
    throw new McpError(-32601, 'this server never heard of it', { method })
  }
  return server
}

const httpSessions = new Map()

async function serveHttp(req, res) {
  const known = httpSessions.get(req.headers['mcp-session-id'])
  if (known) {
    if (req.method === 'GET') {
      known.streams++
      res.once('close', () => known.streams--)
    }
    return known.transport.handleRequest(req, res)
  }
  if (req.headers['mcp-session-id'] !== undefined) {
    return res.writeHead(404, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}')
  }
  const session = { streams: 0 }
  session.transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => void httpSessions.set(id, session) })
  await buildServer(() => session.streams > 0).connect(session.transport)
  return session.transport.handleRequest(req, res)
}

const sseSessions = new Map()

async function serveSse(req, res, url) {
  if (req.method === 'POST') return sseSessions.get(url.searchParams.get('sessionId'))?.handlePostMessage(req, res) ?? res.writeHead(404).end()
  const transport = new SSEServerTransport('/messages', res)
  sseSessions.set(transport.sessionId, transport)
  res.once('close', () => sseSessions.delete(transport.sessionId))
  return buildServer(() => true).connect(transport)
}

if (way === 'stdio') {
  await buildServer(() => true).connect(new StdioServerTransport())
} else {
  const listener = createServer((req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1')
    const served =
      url.pathname === '/mcp' && way !== 'sse'
        ? serveHttp(req, res)
        : ['/sse', '/messages'].includes(url.pathname) && way !== 'http'
          ? serveSse(req, res, url)
          : Promise.resolve(res.writeHead(404).end('nothing here'))
    served.catch((error) => console.error(error))
  })
  listener.listen(Number(port), '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${listener.address().port}`))
}
