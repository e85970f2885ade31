// How a message gets to an address that a document names, and how one comes to ours: the one switch over schemes.
import { isIP } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import type { LookupAll } from '../identity/guarded-fetch.ts'
import type { Log } from '../observe/log.ts'
import { MOST_MESSAGE_BYTES } from './envelope.ts'
import { createTcpSender, listenTcp, type ConnectionRefusal } from './tcp.ts'

export interface CarriageOptions {
  /** Addresses of this machine may be named too; those of private networks never. */
  trustLoopback: boolean
  /** Certificates in PEM that are believed beside those that Node believes, for tls:// and https://. */
  ca?: string
  lookup?: LookupAll
  log?: Log
}

export interface Carriage {
  /**
   * Done when it was written, or over HTTP answered: nobody says whether it was taken. Fails with `upstream_unreachable`, in words,
   * with `egress_refused` where nothing may be sent to, with `busy` where too much waits already, or with `too_large`.
   */
  carry(address: URL, message: Buffer): Promise<void>
  close(): void
}

export function createCarriage({ trustLoopback, lookup }: CarriageOptions): Carriage {
  const tcp = createTcpSender({ trustLoopback, ...(lookup && { lookup }) })
  return {
    async carry(address, message) {
      if (message.length > MOST_MESSAGE_BYTES) throw new OpenMcpError('too_large', `a TSP message has at most ${MOST_MESSAGE_BYTES} bytes`)
      switch (address.protocol) {
        case 'tcp:':
          return tcp.send(address, message)
        default:
          throw new OpenMcpError('upstream_unreachable', `openmcp does not send to ${address.protocol}// addresses`)
      }
    },
    close() {
      tcp.close()
    },
  }
}

export interface ListenPlace {
  /** Where to bind when it is not what the endpoint says. */
  listen?: { host: string; port: number }
  /** In PEM, for tls:// alone. */
  tls?: { cert: string; key: string }
}

export interface ListenForOptions extends ListenPlace {
  /** What the document of our VID names. */
  endpoint: URL
  /** One message, about which nothing is known yet. It must not fail; until it is done the message counts as held. */
  take: (message: Buffer) => void | Promise<void>
  /** Why a connection was closed by us, or a message dropped: nobody else hears of it. */
  refused?: (why: ConnectionRefusal) => void
}

export interface TspListener {
  /** Undefined where nothing is bound: an http(s) endpoint is served by our own HTTP listener. */
  readonly port: number | undefined
  close(): Promise<void>
}

/** Fails with `usage` when it cannot be known where to bind or with what, or with `port_taken`. */
export async function listenFor({ endpoint, listen, take, refused }: ListenForOptions): Promise<TspListener> {
  if (endpoint.protocol === 'http:' || endpoint.protocol === 'https:') return { port: undefined, close: async () => {} }
  return listenTcp({ ...(listen ?? placeOf(endpoint)), take, ...(refused && { refuse: refused }) })
}

function placeOf(endpoint: URL): { host: string; port: number } {
  const host = endpoint.hostname.replace(/^\[(.*)\]$/, '$1')
  if (endpoint.port !== '' && (isIP(host) !== 0 || host === 'localhost')) return { host, port: Number(endpoint.port) }
  throw new OpenMcpError('usage', `where to listen for ${endpoint.host} is not known`, { hint: '--tsp-listen HOST:PORT says where' })
}
