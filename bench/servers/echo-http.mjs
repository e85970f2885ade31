// The MCP server behind the HTTP proxies, and what the generator talks to where no proxy is in between:
// Streamable HTTP on /mcp (JSON answers; tools that stream are answered as events), HTTP+SSE on /sse and /messages.
//   node echo-http.mjs --port PORT
import http from 'node:http'
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createHandler, parseError } from './tools.mjs'

const MAX_BODY = 64 * 1024 * 1024
const FLUSH_AT = 65_536
const STREAMING = new Set(['notify', 'sleep'])
const EVENT_STREAM = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
const NO_SESSION = '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"session not found"}}'

const { port } = parseArgs({ options: { port: { type: 'string' } } }).values
const handle = createHandler({ name: 'echo-http' })
const sessions = new Map() // session id -> its GET stream, or null
const sseSessions = new Map() // session id -> its event stream

const ROUTES = new Map([
  ['POST /mcp', postMessage],
  ['GET /mcp', openStream],
  ['DELETE /mcp', endSession],
  ['GET /sse', openSseSession],
  ['POST /messages', postSseMessage],
])

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost')
  const route = ROUTES.get(`${req.method} ${url.pathname}`)
  if (!route) return res.writeHead(404).end()
  return route(req, res, url)
})
server.keepAliveTimeout = 60_000
server.listen(Number(port), '127.0.0.1', 65_535)
process.on('SIGTERM', () => process.exit(0))

function postMessage(req, res) {
  readMessage(req, res, (message) => {
    const head = {}
    if (message.method === 'initialize') {
      const id = randomUUID()
      sessions.set(id, null)
      head['mcp-session-id'] = id
    } else if (!sessions.has(req.headers['mcp-session-id'])) return json(res, 404, NO_SESSION)

    if (STREAMING.has(message.params?.name)) {
      res.writeHead(200, { ...EVENT_STREAM, ...head })
      const events = createEvents(res)
      return events.answer(message, { thenEnd: true })
    }
    const answer = handle(message, () => {})
    return answer === null ? res.writeHead(202).end() : json(res, 200, answer, head)
  })
}

function openStream(req, res) {
  const id = req.headers['mcp-session-id']
  if (!sessions.has(id)) return json(res, 404, NO_SESSION)
  res.writeHead(200, EVENT_STREAM).flushHeaders()
  sessions.set(id, res)
  res.on('close', () => {
    if (sessions.get(id) === res) sessions.set(id, null)
  })
}

function endSession(req, res) {
  const id = req.headers['mcp-session-id']
  if (!sessions.has(id)) return json(res, 404, NO_SESSION)
  sessions.get(id)?.end()
  sessions.delete(id)
  res.writeHead(200).end()
}

function openSseSession(req, res) {
  const id = randomUUID()
  sseSessions.set(id, createEvents(res))
  res.on('close', () => sseSessions.delete(id))
  res.writeHead(200, EVENT_STREAM)
  res.write(`event: endpoint\ndata: /messages?sessionId=${id}\n\n`)
}

function postSseMessage(req, res, url) {
  const events = sseSessions.get(url.searchParams.get('sessionId'))
  if (!events) return json(res, 404, NO_SESSION)
  readMessage(req, res, (message) => {
    res.writeHead(202).end()
    events.answer(message)
  })
}

// What is sent within one turn is written at once; the writes of a server are not what the bench wants to measure.
function createEvents(res) {
  let unsent = ''
  const flush = () => {
    if (unsent !== '') res.write(unsent)
    unsent = ''
  }
  return {
    answer(message, { thenEnd = false } = {}) {
      let sameTurn = true
      const write = (text) => {
        unsent += `event: message\ndata: ${text}\n\n`
        if (!sameTurn || unsent.length > FLUSH_AT) flush()
      }
      const finish = (text) => {
        write(text)
        flush()
        if (thenEnd) res.end()
      }
      const answer = handle(message, (text, isAnswer) => (isAnswer ? finish(text) : write(text)))
      if (answer !== null) finish(answer)
      sameTurn = false
    },
  }
}

function readMessage(req, res, onMessage) {
  const parts = []
  let size = 0
  req.on('data', (chunk) => {
    size += chunk.length
    if (size <= MAX_BODY) parts.push(chunk)
    else res.writeHead(413, { connection: 'close' }).end(() => req.destroy())
  })
  req.on('end', () => {
    let message
    try {
      message = JSON.parse(Buffer.concat(parts).toString())
    } catch {
      return json(res, 400, parseError)
    }
    onMessage(message)
  })
}

function json(res, status, text, head = {}) {
  const length = Buffer.byteLength(text)
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...head }).end(text)
}
