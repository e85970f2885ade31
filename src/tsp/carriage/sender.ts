// Sends to tcp:// and tls:// addresses, which are what peers say of themselves: a connection leads only where a fetch would.
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { OpenMcpError } from '../../errors.ts'
import { lookupFor } from '../../identity/guarded-fetch.ts'
import { framed } from './framing.ts'
import type { Egress } from './http-request.ts'
import { unreachable, unreachableFor } from './unreachable.ts'
import { createWaiting, type WaitingOptions } from './waiting.ts'

export interface FramedSenderOptions extends Egress, WaitingOptions {
  /** To look up, to connect and to shake hands, together. */
  connectSeconds?: number
  /** Until a message has left: a peer that does not read is none. */
  writeSeconds?: number
  /** Shorter than a listener's: what is written to a connection while its peer closes it is lost. */
  idleSeconds?: number
  mostConnections?: number
}

export interface FramedSender {
  /**
   * Fails with `upstream_unreachable`, with `egress_refused` where nothing may be sent to, or with `busy` where too much waits already.
   * That a message was written says nothing of whether it was taken.
   */
  send(address: URL, message: Buffer): Promise<void>
  close(): void
}

/** Keeps one connection to each address, as tsp_sdk does: in it messages stay in their order. */
export function createFramedSender(options: FramedSenderOptions): FramedSender {
  const { connectSeconds = 5, writeSeconds = 10, idleSeconds = 30, mostConnections = 64, mostWaitingBytes, mostWaitingForAllBytes, ...egress } = options
  const connections = new Map<string, Promise<Socket>>()
  const sockets = new Set<Socket>()
  const waiting = createWaiting({ mostWaitingBytes, mostWaitingForAllBytes })
  let closed = false

  function connectionTo(address: URL): Promise<Socket> {
    const name = nameOf(address)
    const connection = connections.get(name) ?? open(address)
    // The one that was used longest ago is the first.
    connections.delete(name)
    connections.set(name, connection)
    const [oldest] = connections.keys()
    if (connections.size > mostConnections && oldest !== undefined) {
      // What it has to write still leaves.
      void connections.get(oldest)?.then(leave, () => {})
      connections.delete(oldest)
    }
    return connection
  }

  function open(address: URL): Promise<Socket> {
    if (sockets.size >= 2 * mostConnections) throw new OpenMcpError('busy', 'too many TSP connections are being opened')
    const socket = opening(address, egress)
    sockets.add(socket)
    const forget = (): void => {
      if (connections.get(nameOf(address)) === connection) connections.delete(nameOf(address))
    }
    socket.on('close', () => sockets.delete(socket)).on('close', forget)
    socket.on('end', forget)
    socket.setTimeout(idleSeconds * 1000, () => {
      forget()
      leave(socket)
    })
    const connection = opened(socket, address, connectSeconds)
    return connection
  }

  async function sendOn(address: URL, bytes: Buffer): Promise<Outcome> {
    const known = connections.get(nameOf(address))
    const connection = connectionTo(address)
    const outcome = await written(await connection, bytes, writeSeconds)
    if (outcome !== 'closed' || connection !== known) return outcome
    // Of a connection that was there one learns only by writing that its peer has closed it.
    if (connections.get(nameOf(address)) === known) connections.delete(nameOf(address))
    return written(await connectionTo(address), bytes, writeSeconds)
  }

  return {
    async send(address, message) {
      if (closed) throw new OpenMcpError('stopping', 'openmcp is stopping')
      checkAddress(address)
      const bytes = framed(message)
      const outcome = await waiting(address.host, bytes.length, () => sendOn(address, bytes))
      if (outcome !== 'written') throw unreachableFor(address, outcome === 'slow' ? 'it does not read what it is sent' : 'it broke the connection')
    },
    close() {
      closed = true
      for (const socket of sockets) socket.destroy()
    },
  }
}

function checkAddress(address: URL): void {
  if (address.port === '' || address.port === '0') throw unreachableFor(address, 'its address names no port')
  if (address.username !== '' || address.password !== '') throw new OpenMcpError('egress_refused', 'an address with a name or a password in it is not sent to')
}

function nameOf({ protocol, host }: URL): string {
  return `${protocol}//${host.toLowerCase()}`
}

/** A socket that is about to connect. Throws `egress_refused` for an address that it must not lead to. */
function opening(address: URL, { lookup, ca, ...near }: Egress): Socket {
  const host = address.hostname.replace(/^\[(.*)\]$/, '$1')
  const at = {
    host,
    port: Number(address.port),
    lookup: lookupFor(address.hostname, { ...near, ...(lookup && { lookup }) }),
    noDelay: true,
    keepAlive: true,
  }
  if (address.protocol === 'tcp:') return connect(at)
  // Said, because the environment may say otherwise.
  return connectTls({ ...at, rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(isIP(host) === 0 && { servername: host }), ...(ca && { ca: [...ca] }) })
}

async function opened(socket: Socket, address: URL, seconds: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => socket.destroy(unreachableFor(address, `it took longer than ${seconds} s`)), seconds * 1000)
    const isOpen = (): void => {
      clearTimeout(patience)
      resolve(socket)
    }
    socket.unref()
    socket.once(address.protocol === 'tcp:' ? 'connect' : 'secureConnect', isOpen)
    socket.on('error', (cause) => reject(unreachable(address, cause)))
    socket.once('close', () => {
      clearTimeout(patience)
      reject(unreachableFor(address, 'it broke the connection'))
    })
    let answered = 0
    // Nothing comes back on it: reading is how its end is noticed.
    socket.on('data', (chunk: Buffer) => {
      answered += chunk.length
      if (answered > MOST_ANSWERED_BYTES) socket.destroy()
    })
  })
}

const MOST_ANSWERED_BYTES = 65_536

type Outcome = 'written' | 'closed' | 'slow'

async function written(socket: Socket, bytes: Buffer, seconds: number): Promise<Outcome> {
  return new Promise((resolve) => {
    if (!socket.writable) return resolve('closed')
    const patience = setTimeout(() => {
      resolve('slow')
      socket.destroy()
    }, seconds * 1000)
    socket.write(bytes, (error) => {
      clearTimeout(patience)
      // Of what it was writing when it was destroyed a socket says that it is written.
      resolve(error || socket.destroyed ? 'closed' : 'written')
    })
  })
}

function leave(socket: Socket): void {
  socket.destroySoon()
}
