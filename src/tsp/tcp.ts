// TSP over TCP as tsp_sdk speaks it: each message behind its length in four bytes, one way only. An answer goes to the address in the
// sender's own document, over a connection of its own.
import { connect, createServer, type LookupFunction, type Server, type Socket } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import { lookupFor, type LookupAll } from '../identity/guarded-fetch.ts'
import { MOST_MESSAGE_BYTES } from './envelope.ts'

export type ConnectionRefusal = 'too_large' | 'too_slow' | 'too_many'

export interface TcpListenerOptions {
  host: string
  port: number
  /** One message, about which nothing is known yet. It must not throw. */
  take: (message: Buffer) => void | Promise<void>
  /** Why a connection was closed by us: nobody else hears of it. */
  refuse?: (why: ConnectionRefusal) => void
  mostBytes?: number
  mostConnections?: number
  /** Of all connections together, for messages that are not whole yet. */
  mostHeldBytes?: number
  /** Until a message that began is whole, and between two. */
  messageSeconds?: number
  idleSeconds?: number
}

export interface TcpListener {
  readonly port: number
  close(): Promise<void>
}

const LENGTH_BYTES = 4

/** Fails with `port_taken`. */
export async function listenTcp(options: TcpListenerOptions): Promise<TcpListener> {
  const { host, port, mostConnections = 256, mostHeldBytes = 64 * 1024 * 1024, refuse = () => {} } = options
  const sockets = new Set<Socket>()
  let heldByAll = 0
  const account = (bytes: number): boolean => (heldByAll += bytes) <= mostHeldBytes
  const server = createServer((socket) => {
    if (sockets.size >= mostConnections) {
      refuse('too_many')
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A peer that goes away is no event.
    socket.on('error', () => {})
    readMessages(socket, options, account)
  })
  await listening(server, host, port)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** What is held is at most twice what came, never what a length promised. `account` is told of it, and says when all have too much. */
function readMessages(socket: Socket, options: TcpListenerOptions, account: (bytes: number) => boolean): void {
  const { take, refuse = () => {}, mostBytes = MOST_MESSAGE_BYTES, messageSeconds = 10, idleSeconds = 60 } = options
  let storage = Buffer.alloc(0)
  let held = 0
  let patience = setTimeout(tooSlow, idleSeconds * 1000)
  socket.on('close', () => {
    clearTimeout(patience)
    account(-held)
  })
  socket.on('data', (chunk: Buffer) => {
    if (!account(chunk.length)) {
      account(-chunk.length)
      refuse('too_many')
      socket.destroy()
      return
    }
    const began = held === 0
    hold(chunk)
    const read = takeAll()
    // A message that trickles in gets no more time for each of its bytes.
    if (began || read > 0) wait(held === 0 ? idleSeconds : messageSeconds)
  })

  function hold(chunk: Buffer): void {
    if (held + chunk.length > storage.length) {
      const grown = Buffer.alloc(Math.max(held + chunk.length, 2 * storage.length))
      storage.copy(grown, 0, 0, held)
      storage = grown
    }
    held += chunk.copy(storage, held)
  }

  /** How many bytes were whole messages. */
  function takeAll(): number {
    let at = 0
    while (held - at >= LENGTH_BYTES && !socket.destroyed) {
      const length = storage.readUInt32BE(at)
      if (length > mostBytes) {
        refuse('too_large')
        socket.destroy()
        return at
      }
      const end = at + LENGTH_BYTES + length
      if (end > held) break
      // A copy: the storage is used again.
      void take(Buffer.from(storage.subarray(at + LENGTH_BYTES, end)))
      at = end
    }
    storage = at === held ? Buffer.alloc(0) : storage.subarray(at)
    held -= at
    account(-at)
    return at
  }

  function wait(seconds: number): void {
    clearTimeout(patience)
    patience = setTimeout(tooSlow, seconds * 1000)
  }

  function tooSlow(): void {
    if (held > 0) refuse('too_slow')
    socket.destroy()
  }
}

export interface TcpSender {
  /** Fails with `upstream_unreachable`, or with `egress_refused` where nothing may be sent to. That a message was written says nothing of whether it was taken. */
  send(endpoint: URL, message: Buffer): Promise<void>
  close(): void
}

export interface TcpSenderOptions {
  /** Addresses of this machine may be named too. */
  trustLoopback: boolean
  lookup?: LookupAll
  connectSeconds?: number
  mostConnections?: number
}

/** Keeps one connection to each address, as tsp_sdk does: in it messages stay in their order. Addresses are what peers say of themselves. */
export function createTcpSender({ connectSeconds = 5, mostConnections = 64, ...egress }: TcpSenderOptions): TcpSender {
  const connections = new Map<string, Promise<Socket>>()

  async function connectionTo(endpoint: URL): Promise<Socket> {
    const known = connections.get(endpoint.host)
    if (known) return known
    const connection = connected(endpoint, connectSeconds, lookupFor(endpoint.hostname, egress))
    connections.set(endpoint.host, connection)
    const forget = (): void => {
      if (connections.get(endpoint.host) === connection) connections.delete(endpoint.host)
    }
    connection.then((socket) => socket.on('close', forget), forget)
    const [oldest] = connections.keys()
    if (connections.size > mostConnections && oldest !== undefined) {
      void connections.get(oldest)?.then(
        (socket) => socket.end(),
        () => {},
      )
      connections.delete(oldest)
    }
    return connection
  }

  return {
    async send(endpoint, message) {
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt32BE(message.length)
      const bytes = Buffer.concat([length, message])
      // A connection that its peer has closed is noticed by writing to it.
      const connection = await connectionTo(endpoint)
      await written(connection, bytes, endpoint).catch(async () => written(await connectionTo(endpoint), bytes, endpoint))
    },
    close() {
      for (const connection of connections.values()) {
        void connection.then(
          (socket) => socket.destroy(),
          () => {},
        )
      }
      connections.clear()
    },
  }
}

async function connected(endpoint: URL, seconds: number, lookup: LookupFunction): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: endpoint.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(endpoint.port), timeout: seconds * 1000, lookup, noDelay: true })
    socket.unref()
    socket.once('connect', () => {
      socket.setTimeout(0)
      resolve(socket)
    })
    socket.once('timeout', () => socket.destroy(new Error(`it took longer than ${seconds} s`)))
    socket.on('error', (cause) => reject(unreachable(endpoint, cause)))
    // Nothing comes back on it: reading is how its end is noticed.
    socket.resume()
  })
}

async function written(socket: Socket, bytes: Buffer, endpoint: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed || !socket.writable) reject(unreachable(endpoint, undefined))
    else socket.write(bytes, (error) => (error ? reject(unreachable(endpoint, error)) : resolve()))
  })
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(new OpenMcpError('port_taken', `${host}:${port} cannot be listened at`, { cause })))
    server.listen(port, host, () => resolve())
  })
}

function unreachable(endpoint: URL, cause: unknown): OpenMcpError {
  if (cause instanceof OpenMcpError) return cause
  return new OpenMcpError('upstream_unreachable', `${endpoint.host} cannot be reached`, { cause })
}
