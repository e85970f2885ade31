// Takes messages at tcp:// and tls:// endpoints. An answer goes to the address in the sender's own document, never back on the connection.
import { constants } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls'

import { OpenMcpError } from '../../errors.ts'
import { createRate, networkOf } from '../../protocol/rate.ts'
import { createShares } from '../../protocol/shares.ts'
import { createTurns } from '../../protocol/turns.ts'
import { MOST_MESSAGE_BYTES } from '../envelope.ts'
import { readFramed, type ConnectionRefusal, type Take } from './framing.ts'

export interface FramedListenerOptions {
  host: string
  /** 0 picks a free one. */
  port: number
  /** A certificate and its key in PEM: then nothing is taken that does not come over TLS. */
  tls?: { cert: string; key: string } | undefined
  take: Take
  refused?: (why: ConnectionRefusal) => void
  mostBytes?: number
  mostConnections?: number
  /** Of all connections together: messages that are not whole yet, and those that are being worked on. */
  mostHeldBytes?: number
  mostAtWork?: number
  handshakeSeconds?: number
  messageSeconds?: number
  idleSeconds?: number
  now?: () => number
}

/** Of one network. A handshake costs a millisecond, and who has a connection keeps it. */
const HANDSHAKES = { limit: 300, perMs: 10_000 }

export interface FramedListener {
  readonly port: number
  close(): Promise<void>
}

/** Fails with `port_taken`, or with `usage` for a certificate that is none. */
export async function listenFramed({ host, port, tls, take, refused = () => {}, ...options }: FramedListenerOptions): Promise<FramedListener> {
  const { mostBytes = MOST_MESSAGE_BYTES, mostConnections = 256, mostHeldBytes = 64 * 1024 * 1024, mostAtWork = 16 } = options
  const { handshakeSeconds = 5, messageSeconds = 10, idleSeconds = 60, now = Date.now } = options
  const reading = { take, refused, mostBytes, mostAtWork, messageSeconds, idleSeconds }
  const secureContext = tls && contextOf(tls)
  const shares = createShares({ mostPlaces: mostConnections, mostBytes: mostHeldBytes })
  const turns = createTurns()
  const handshakes = createRate({ ...HANDSHAKES, now })
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (plain) => {
    const tooMany = (): void => {
      refused('too_many')
      plain.destroy()
    }
    // A peer that goes away is no event.
    plain.on('error', () => {})
    const network = networkOf(plain.remoteAddress ?? '')
    if (secureContext && handshakes.take(network) > 0) return tooMany()
    const place = shares.enter(network, tooMany)
    if (!place) return tooMany()
    sockets.add(plain)
    plain.on('close', () => {
      sockets.delete(plain)
      place.leave()
    })
    const inTurn = (act: () => void): void => turns.take(network, act)
    if (!secureContext) return readFramed(plain, { ...reading, place, inTurn })
    handshake(plain, { secureContext, handshakeSeconds, refused }, (secured) => readFramed(secured, { ...reading, place, inTurn }))
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

interface Handshake {
  secureContext: SecureContext
  handshakeSeconds: number
  refused: (why: ConnectionRefusal) => void
}

function handshake(plain: Socket, { secureContext, handshakeSeconds, refused }: Handshake, done: (secured: TLSSocket) => void): void {
  let unfinished: ConnectionRefusal = 'malformed'
  const secured = new TLSSocket(plain, { isServer: true, secureContext })
  const patience = setTimeout(() => {
    unfinished = 'too_slow'
    plain.destroy()
    secured.destroy()
  }, handshakeSeconds * 1000)
  const failed = (): void => {
    clearTimeout(patience)
    refused(unfinished)
    plain.destroy()
  }
  secured.on('error', () => {})
  secured.once('close', failed)
  secured.once('secure', () => {
    clearTimeout(patience)
    secured.off('close', failed)
    // The connection below has to go as well.
    secured.once('close', () => plain.destroy())
    done(secured)
  })
}

function contextOf({ cert, key }: { cert: string; key: string }): SecureContext {
  try {
    // To shake hands again and again is work for us and none for a client.
    return createSecureContext({ cert, key, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION })
  } catch (cause) {
    throw new OpenMcpError('usage', 'the TLS certificate of the TSP endpoint and its key do not fit', { cause })
  }
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const hint = cause.code === 'EADDRNOTAVAIL' ? 'this machine does not have that address: --tsp-listen HOST:PORT says where to listen' : undefined
      reject(new OpenMcpError('port_taken', `${host}:${port} cannot be listened at`, { cause, ...(hint && { hint }) }))
    })
    server.listen(port, host, () => {
      // Running out of descriptors ends no listener.
      server.removeAllListeners('error').on('error', () => {})
      resolve()
    })
  })
}
