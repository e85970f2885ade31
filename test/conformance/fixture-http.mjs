// The fixture server over HTTP, both eras on one path: node fixture-http.mjs [--port PORT]
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { NodeStreamableHTTPServerTransport, localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node'
import { classifyInboundRequest, createMcpHandler, isInitializeRequest } from '@modelcontextprotocol/server'
import express from 'express'
import { buildServer } from './fixture-server.mjs'

const { values: options } = parseArgs({ options: { port: { type: 'string', default: '0' } } })
const HOST = '127.0.0.1'
// How long a client whose stream was closed is asked to wait before it comes back (SEP-1699).
const RETRY_MS = 500

const modern = createMcpHandler(({ era }) => buildServer(era, modern.notify), { legacy: 'reject' })
const serveModern = toNodeHandler(modern)
const sessions = new Map()

const app = express()
app.use(onlyFromThisMachine(localhostHostValidation(), localhostOriginValidation()))
app.use(express.json({ limit: '4mb' }))
app.all('/mcp', (req, res) => (isModern(req) ? serveModern(req, res, req.body) : serveLegacy(req, res)))

const listener = app.listen(Number(options.port), HOST, (error) => {
  if (error) throw error
  console.error(`fixture: listening on http://${HOST}:${listener.address().port}/mcp`)
})

function onlyFromThisMachine(...checks) {
  // A check that says no has answered the request itself.
  return (req, res, next) => checks.every((allows) => allows(req, res)) && next()
}

function isModern({ method, headers, body }) {
  if (method !== 'POST') return false
  const inbound = classifyInboundRequest({
    httpMethod: method,
    protocolVersionHeader: headers['mcp-protocol-version'],
    mcpMethodHeader: headers['mcp-method'],
    mcpNameHeader: headers['mcp-name'],
    body,
  })
  return inbound.kind !== 'legacy'
}

async function serveLegacy(req, res) {
  const sessionId = req.headers['mcp-session-id']
  const session = sessionId === undefined && isInitializeRequest(req.body) ? await openSession() : sessions.get(sessionId)
  if (session) await session.handleRequest(req, res, req.body)
  else if (sessionId === undefined) refuse(res, 400, -32000, 'Bad Request: no session')
  else refuse(res, 404, -32001, 'Session not found')
}

async function openSession() {
  const session = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: createEventStore(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (id) => void sessions.set(id, session),
  })
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport is no EventTarget
  session.onclose = () => sessions.delete(session.sessionId)
  await buildServer('legacy').connect(session)
  return session
}

function refuse(res, status, code, message) {
  res.status(status).json({ jsonrpc: '2.0', error: { code, message } })
}

/** Keeps what a session sent, so that a stream can be taken up again after its last seen event. */
function createEventStore() {
  const events = []
  const at = (id) => events.findIndex((event) => event.id === id)
  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}_${events.length}`
      events.push({ id, streamId, message })
      return id
    },
    async getStreamIdForEventId(id) {
      return events[at(id)]?.streamId
    },
    async replayEventsAfter(lastId, { send }) {
      const last = at(lastId)
      const streamId = events[last]?.streamId
      for (const { id, streamId: of, message } of events.slice(last + 1)) {
        // The event that opens a stream carries no message: it is there for its id.
        if (of === streamId && 'jsonrpc' in message) await send(id, message)
      }
      return streamId
    },
  }
}
