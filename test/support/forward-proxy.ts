// A proxy of an organisation, by hand: it opens connections for whoever asks with CONNECT, to wherever a test says that a name leads.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

import { onLoopback } from './loopback.ts'

export interface ForwardProxy {
  readonly host: string
  /** What it was asked for, `host:port`, in order. */
  readonly asked: readonly string[]
  /** Of each of them. */
  readonly headers: readonly IncomingHttpHeaders[]
  /** Everything that went through towards the servers, as Latin-1. */
  readonly through: string
  stop(): Promise<void>
}

/** `to` is a port of this machine. `refuse`: with this status; `silent`: never. */
export async function forwardProxy({
  to,
  refuse,
  silent = false,
  tls,
}: {
  to: number
  refuse?: number
  silent?: boolean
  tls?: { cert: string; key: string }
}): Promise<ForwardProxy> {
  const asked: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const sockets = new Set<Duplex>()
  let through = ''
  const server = tls ? createTlsServer(tls) : createServer()
  server.on('connect', (req, socket, head) => {
    asked.push(req.url ?? '')
    headers.push(req.headers)
    sockets.add(socket)
    socket.on('error', () => {})
    if (silent) return
    if (refuse !== undefined) return void socket.end(`HTTP/1.1 ${refuse} No\r\ncontent-length: 0\r\n\r\n`)
    const onward = connect({ host: '127.0.0.1', port: to }, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      socket.on('data', (chunk: Buffer) => (through += chunk.toString('latin1')))
      socket.pipe(onward).pipe(socket)
    })
    sockets.add(onward)
    onward.on('error', () => socket.destroy())
  })
  const { host, stop } = await onLoopback(server)
  return {
    host,
    asked,
    headers,
    get through() {
      return through
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      return stop()
    },
  }
}
