// From an app to an open port, and back without dropping what is being served.
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'

export interface Listening {
  readonly port: number
  /** Stops listening at once; connections without a request end now. */
  stop(): void
  /** Ends every connection that is left. */
  close(): Promise<void>
}

export interface ServeOptions {
  host: string
  port: number
  tls?: { cert: string; key: string } | undefined
  limits: Limits
}

const BACKLOG = 4096
const KEEP_ALIVE_MS = 65_000

/** The app is made once the port is known: its own name is part of what it checks. */
export async function serve(makeApp: (port: number) => RequestListener, { host, port, tls, limits }: ServeOptions): Promise<Listening> {
  const options = { maxHeaderSize: limits.headerBytes, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }
  let app: RequestListener | undefined
  const listener: RequestListener = (req, res) => app?.(req, res)
  const server: Server = tls ? createTlsServer({ ...options, ...tls }, listener) : createServer(options, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(notListening(cause, host, port)))
    server.listen(port, host, BACKLOG, resolve)
  })
  const bound = (server.address() as AddressInfo).port // a TCP listener has one
  app = makeApp(bound)
  return {
    port: bound,
    stop() {
      server.close()
      server.closeIdleConnections()
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

function notListening(cause: NodeJS.ErrnoException, host: string, port: number): OpenMcpError {
  if (cause.code === 'EADDRINUSE') {
    return new OpenMcpError('port_taken', `port ${port} on ${host} is taken`, { hint: 'stop what listens there, or choose another port; port 0 picks a free one', cause })
  }
  if (cause.code === 'EACCES') return new OpenMcpError('port_taken', `port ${port} may not be used`, { hint: 'ports below 1024 need a privilege', cause })
  if (cause.code === 'EADDRNOTAVAIL') return new OpenMcpError('port_taken', `${host} is not an address of this machine`, { hint: 'use 127.0.0.1', cause })
  return new OpenMcpError('port_taken', `cannot listen on ${host}:${port}: ${cause.message}`, { cause })
}
