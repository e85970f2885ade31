// A plain MCP client over HTTP, whose sockets can be destroyed at any point.
import { Agent, request } from 'node:http'

export const BOTH = 'application/json, text/event-stream'
const STATELESS = '2026-07-28'
const META = { 'io.modelcontextprotocol/protocolVersion': STATELESS, 'io.modelcontextprotocol/clientCapabilities': {} }

/** One request. Settles with what came: `onText` gets the body as it comes; `abort` ends it early and fails nothing. */
export function exchange(origin, { method = 'POST', path = '/mcp', headers = {}, body, agent = false, onText, abort }) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const { hostname, port } = new URL(origin)
    const asked = request({
      hostname,
      port,
      method,
      path,
      agent,
      headers: { ...headers, ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) },
    })
    let aborted = false
    const gone = (error) => (aborted ? resolve({ aborted }) : reject(error))
    abort?.addEventListener('abort', () => {
      aborted = true
      asked.destroy()
      resolve({ aborted })
    })
    asked.on('error', gone)
    asked.on('response', (res) => {
      let all = ''
      res.setEncoding('utf8')
      res.on('data', (piece) => {
        if (onText) onText(piece, res)
        else all += piece
      })
      res.on('error', gone)
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text: all }))
      res.on('close', () => res.complete || gone(new Error('the answer broke off')))
    })
    asked.end(text)
  })
}

/** The messages in an answer, be it JSON or an event stream. */
export function messagesIn({ headers, text }) {
  if (!headers['content-type']?.startsWith('text/event-stream')) return text === '' ? [] : [JSON.parse(text)]
  return [...text.matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data))
}

export const initialize = (id = 'hello', protocolVersion = '2025-11-25') => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'slow', version: '1' } },
})
export const call = (id, args, token) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'echo', arguments: args, ...(token === undefined ? {} : { _meta: { progressToken: token } }) },
})

/** A session over Streamable HTTP. `post` fails unless it is answered as it should be. */
export async function openSession(origin, { keepAlive = false } = {}) {
  const agent = keepAlive ? new Agent({ keepAlive: true }) : false
  const hello = await exchange(origin, { headers: { accept: BOTH }, body: initialize(), agent })
  const session = hello.headers?.['mcp-session-id']
  if (hello.status !== 200 || session === undefined) throw new Error(`no session: HTTP ${hello.status} ${hello.text}`)
  const headers = { accept: BOTH, 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }
  const post = (body, more) => exchange(origin, { headers, body, agent, ...more })
  await post({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return {
    post,
    async close() {
      await exchange(origin, { method: 'DELETE', headers, agent })
      if (agent) agent.destroy()
    },
  }
}

/** A session over HTTP+SSE. `onMessage` gets what comes on the stream; `left` settles when that is over. */
export async function openSse(origin, onMessage) {
  const leave = new AbortController()
  let buffer = ''
  let named
  const endpoint = new Promise((resolve) => (named = resolve))
  const left = exchange(origin, {
    method: 'GET',
    path: '/sse',
    headers: { accept: 'text/event-stream' },
    abort: leave.signal,
    onText(piece) {
      buffer += piece
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        const event = buffer.slice(0, end)
        buffer = buffer.slice(end + 2)
        const data = /^data: (.*)$/m.exec(event)?.[1]
        if (event.startsWith('event: endpoint')) named(data)
        else if (data !== undefined) onMessage(JSON.parse(data))
      }
    },
  })
  const path = await Promise.race([endpoint, left.then(({ status, text }) => Promise.reject(new Error(`no stream: HTTP ${status} ${text}`)))])
  return {
    left,
    post: (body, more) => exchange(origin, { path, body, ...more }),
    leave: () => leave.abort(),
  }
}

/** A request of the stateless revision. */
export function stateless(origin, message, more) {
  const name = message.params?.name
  const params = { ...message.params, _meta: { ...message.params?._meta, ...META } }
  const headers = { accept: BOTH, 'mcp-protocol-version': STATELESS, 'mcp-method': message.method, ...(name === undefined ? {} : { 'mcp-name': name }) }
  return exchange(origin, { headers, body: { ...message, params }, ...more })
}
