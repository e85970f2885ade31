// From an app to an open port, and back without dropping what is being served.
import { IncomingMessage, ServerResponse, createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import express, { type Express } from 'express'

import { OpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'
import { GuardedRequest } from './held-caller.ts'

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

export async function serve(app: Express, { host, port, tls, limits }: ServeOptions): Promise<Listening> {
  const options = { maxHeaderSize: limits.headerBytes, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true, ...bornForExpress(app) }
  const server: Server = tls ? createTlsServer({ ...options, ...tls }, app) : createServer(options, app)
  tellThoseBehind(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(notListening(cause, host, port)))
    server.listen(port, host, BACKLOG, resolve)
  })
  const bound = (server.address() as AddressInfo).port // a TCP listener has one
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

/**
 * Of requests that were sent without waiting for the answer before, Node tells only the one that is being answered of the end of
 * their connection. What the others began would go on for nobody.
 */
function tellThoseBehind(server: Server): void {
  const bySocket = new WeakMap<Socket, Set<ServerResponse>>()
  server.prependListener('request', ({ socket }, res) => {
    if (res.socket) return
    const behind = bySocket.get(socket) ?? new Set()
    if (!bySocket.has(socket)) {
      bySocket.set(socket, behind)
      socket.once('close', () => {
        for (const one of behind) if (!one.socket) one.destroy().emit('close')
      })
    }
    behind.add(res)
    res.once('close', () => behind.delete(res))
  })
}

/**
 * Express gives every request and response its own prototype when they arrive, and V8 forgets all it learnt about their
 * shape: 50 of 75 µs per request (bench/README.md). Born with that prototype, they keep it, and Express's act changes nothing.
 */
function bornForExpress(app: Express): { IncomingMessage: typeof IncomingMessage; ServerResponse: typeof ServerResponse } {
  class ExpressRequest extends GuardedRequest {}
  class ExpressResponse<R extends IncomingMessage = IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(ExpressRequest.prototype, express.request)
  Object.setPrototypeOf(ExpressResponse.prototype, express.response)
  // What express() itself puts on the two objects that it is given here instead.
  Object.defineProperty(ExpressRequest.prototype, 'app', { value: app })
  Object.defineProperty(ExpressResponse.prototype, 'app', { value: app })
  Object.assign(app, { request: ExpressRequest.prototype, response: ExpressResponse.prototype })
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse }
}

function notListening(cause: NodeJS.ErrnoException, host: string, port: number): OpenMcpError {
  if (cause.code === 'EADDRINUSE') {
    return new OpenMcpError('port_taken', `port ${port} on ${host} is taken`, {
      hint: 'stop what listens there, or choose another port; port 0 picks a free one',
      cause,
    })
  }
  if (cause.code === 'EACCES') return new OpenMcpError('port_taken', `port ${port} may not be used`, { hint: 'ports below 1024 need a privilege', cause })
  if (cause.code === 'EADDRNOTAVAIL') return new OpenMcpError('port_taken', `${host} is not an address of this machine`, { hint: 'use 127.0.0.1', cause })
  return new OpenMcpError('port_taken', `cannot listen on ${host}:${port}: ${cause.message}`, { cause })
}
