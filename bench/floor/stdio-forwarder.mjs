// The floor for stdio → Streamable HTTP: the least a proxy in Node has to do. One shared child; messages are parsed once, ids
// and progress tokens exchanged. No SDK, no checks, no GET stream, no limits, nobody authenticated: a yardstick, not a product.
//   node stdio-forwarder.mjs PORT COMMAND ARG...
import http from 'node:http'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createLineSplitter } from '../lib/line-splitter.mjs'

const BIG = 65_536
const [port, command, ...args] = process.argv.slice(2)

const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
child.on('exit', () => process.exit(1))
process.on('SIGTERM', () => {
  child.kill()
  process.exit(0)
})

const sessions = new Set()
const waiting = new Map() // our id -> exchange
const progressing = new Map() // our progress token -> exchange
let nextId = 1
let greeting = null // the child is initialized once; later sessions get its stored answer
let childIsReady = false

const server = http.createServer((req, res) => {
  if (req.method === 'DELETE') {
    sessions.delete(req.headers['mcp-session-id'])
    res.writeHead(200).end()
  } else if (req.method === 'POST') {
    const parts = []
    req.on('data', (chunk) => parts.push(chunk))
    req.on('end', () => receive(req, res, parts.length === 1 ? parts[0] : Buffer.concat(parts)))
  } else res.writeHead(405).end()
})
server.keepAliveTimeout = 60_000
server.listen(Number(port), '127.0.0.1', 65_535)

child.stdout.on(
  'data',
  createLineSplitter((line) => {
    if (line.length > BIG && answerInPlace(line)) return
    let message
    try {
      message = JSON.parse(line.toString())
    } catch {
      return
    }
    if (message.method === undefined) settle(message)
    else if (message.id === undefined) relayProgress(message)
    else refuse(message.id)
  }),
)

function receive(req, res, body) {
  let message
  try {
    message = JSON.parse(body.toString())
  } catch {
    return res.writeHead(400).end()
  }
  const exchange = { id: message.id, res, head: undefined, streaming: false, unsent: '' }
  if (message.method === 'initialize') {
    const session = randomUUID()
    sessions.add(session)
    exchange.head = { 'mcp-session-id': session }
    if (greeting) {
      const result = { ...greeting, protocolVersion: message.params.protocolVersion }
      return answer(exchange, JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
    }
    exchange.greets = true
  } else if (!sessions.has(req.headers['mcp-session-id'])) return res.writeHead(404).end()

  if (message.id === undefined || message.method === undefined) {
    res.writeHead(202).end()
    if (message.method === 'notifications/initialized') {
      if (childIsReady) return undefined
      childIsReady = true
    }
    return toChild(JSON.stringify(message))
  }
  message.id = nextId++
  waiting.set(message.id, exchange)
  const { _meta: meta } = message.params ?? {}
  if (meta?.progressToken !== undefined) {
    exchange.token = meta.progressToken
    exchange.ourToken = `t${message.id}`
    progressing.set(exchange.ourToken, exchange)
    meta.progressToken = exchange.ourToken
  }
  return toChild(JSON.stringify(message))
}

let unwritten = ''
function toChild(json) {
  if (unwritten === '') {
    setImmediate(() => {
      const lines = unwritten
      unwritten = ''
      child.stdin.write(lines)
    })
  }
  unwritten += `${json}\n`
}

function settle(message) {
  const exchange = waiting.get(message.id)
  if (!exchange) return
  forget(message.id, exchange)
  if (exchange.greets) greeting = message.result
  message.id = exchange.id
  answer(exchange, JSON.stringify(message))
}

// A large answer is not parsed: its id is exchanged where it stands.
function answerInPlace(line) {
  const start = line.latin1Slice(0, 60).match(/^\{"jsonrpc":"2\.0","id":(\d+),/)
  const id = start && Number(start[1])
  const exchange = waiting.get(id)
  if (!exchange) return false
  forget(id, exchange)
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(exchange.id)},`)
  const rest = line.subarray(start[0].length)
  const { res } = exchange
  if (exchange.streaming) {
    res.write('event: message\ndata: ')
    res.write(head)
    res.write(rest)
    res.end('\n\n')
  } else {
    writeJsonHead(exchange, head.length + rest.length)
    res.write(head)
    res.end(rest)
  }
  return true
}

function forget(id, exchange) {
  waiting.delete(id)
  if (exchange.ourToken) progressing.delete(exchange.ourToken)
  flush(exchange)
}

function answer(exchange, json) {
  if (exchange.streaming) return exchange.res.end(`event: message\ndata: ${json}\n\n`)
  writeJsonHead(exchange, Buffer.byteLength(json))
  return exchange.res.end(json)
}

function writeJsonHead({ res, head }, length) {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': length, ...head })
}

function relayProgress(message) {
  const exchange = progressing.get(message.params?.progressToken)
  if (!exchange) return
  message.params.progressToken = exchange.token
  if (!exchange.streaming) {
    exchange.streaming = true
    exchange.res.writeHead(200, { 'content-type': 'text/event-stream', ...exchange.head })
  }
  if (exchange.unsent === '') setImmediate(() => flush(exchange))
  exchange.unsent += `event: message\ndata: ${JSON.stringify(message)}\n\n`
  if (exchange.unsent.length > BIG) flush(exchange)
}

function flush(exchange) {
  if (exchange.unsent !== '') exchange.res.write(exchange.unsent)
  exchange.unsent = ''
}

function refuse(id) {
  toChild(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'not relayed' } }))
}
