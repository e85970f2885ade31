// The conformance fixture, both eras, over HTTP+SSE: node fixture-sse.mjs
import { createServer } from 'node:http'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { buildServer } from '../conformance/fixture-server.mjs'

const sessions = new Map()

const listener = createServer((req, res) => {
  const url = new URL(req.url, 'http://127.0.0.1')
  if (req.method === 'POST') {
    const session = sessions.get(url.searchParams.get('sessionId'))
    if (session) session.handlePostMessage(req, res).catch((error) => console.error(error))
    else res.writeHead(404).end()
    return
  }
  if (url.pathname !== '/sse') return void res.writeHead(404).end()
  const transport = new SSEServerTransport('/messages', res)
  sessions.set(transport.sessionId, transport)
  res.once('close', () => sessions.delete(transport.sessionId))
  // Any transport that carries one client is served like stdio: the first message decides the era.
  serveStdio(({ era }) => buildServer(era), { transport })
})
listener.listen(0, '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${listener.address().port}`))
