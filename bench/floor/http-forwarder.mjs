// The floor for HTTP → HTTP: a reverse proxy that knows nothing of MCP.
//   node http-forwarder.mjs PORT UPSTREAM_ORIGIN http|net
// http: node:http on both sides. net: towards the upstream the bench's own client on node:net, which shows what node:http costs.
import http from 'node:http'
import { createPool } from '../lib/http-client.mjs'

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te', 'trailer', 'host'])
const [port, origin, client] = process.argv.slice(2)
const forward = { http: createHttpForward, net: createNetForward }[client](new URL(origin))

const server = http.createServer(forward)
server.keepAliveTimeout = 60_000
server.listen(Number(port), '127.0.0.1', 65_535)
process.on('SIGTERM', () => process.exit(0))

function createHttpForward({ hostname, port: upstreamPort }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, noDelay: true })
  return (req, res) => {
    const { method, url: path } = req
    const headers = endToEnd(req.headers)
    const out = http.request({ hostname, port: upstreamPort, method, path, headers, agent })
    out.on('response', (answer) => {
      begin(res, answer.statusCode, answer.headers)
      answer.pipe(res)
      answer.on('error', () => res.destroy())
    })
    out.on('error', () => badGateway(res))
    whenAbandoned(res, () => out.destroy())
    req.pipe(out)
  }
}

function createNetForward({ origin: upstream }) {
  const pool = createPool(upstream)
  return (req, res) => {
    const parts = []
    req.on('data', (chunk) => parts.push(chunk))
    req.on('end', () => {
      const { 'content-length': _, ...headers } = endToEnd(req.headers)
      const out = pool.request({
        method: req.method,
        path: req.url,
        headers,
        body: req.method === 'POST' ? parts : null,
        onHead: (status, answerHeaders) => begin(res, status, answerHeaders),
        onData: (bytes) => res.write(bytes),
        onEnd: () => res.end(),
        onError: () => badGateway(res),
      })
      whenAbandoned(res, () => out.abort())
    })
  }
}

function begin(res, status, headers) {
  res.writeHead(status, endToEnd(headers))
  if (headers['content-type']?.startsWith('text/event-stream')) res.flushHeaders()
}

function endToEnd(headers) {
  const kept = {}
  for (const name in headers) if (!HOP_BY_HOP.has(name)) kept[name] = headers[name]
  return kept
}

function whenAbandoned(res, act) {
  res.on('close', () => {
    if (!res.writableFinished) act()
  })
}

function badGateway(res) {
  if (res.headersSent) res.destroy()
  else res.writeHead(502).end()
}
