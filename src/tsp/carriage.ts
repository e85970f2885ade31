// How a message gets to an address that a document names, and how one comes to ours: the one switch over schemes.
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'

import { OpenMcpError } from '../errors.ts'
import type { LookupAll, Near } from '../identity/guarded-fetch.ts'
import { isVid } from '../identity/vid.ts'
import { MOST_MESSAGE_BYTES } from './envelope.ts'
import { createBoundedLookup } from './carriage/bounded-lookup.ts'
import type { ConnectionRefusal, Take } from './carriage/framing.ts'
import { createHttpSender } from './carriage/http.ts'
import { listenFramed } from './carriage/listener.ts'
import { receiveFrom, type Receiver, type ReceiverOptions } from './carriage/receiver.ts'
import { createFramedSender } from './carriage/sender.ts'
import { unreachableFor } from './carriage/unreachable.ts'

export interface CarriageOptions extends Near {
  /** Certificates in PEM that are believed beside those that come with Node, for tls:// and https://. */
  ca?: string | undefined
  lookup?: LookupAll | undefined
}

export interface Carriage {
  /**
   * Done when it was written, or over HTTP answered: nobody says whether it was taken. Fails with `upstream_unreachable`, in words,
   * with `egress_refused` where nothing may be sent to, with `busy` where too much waits already, or with `too_large`.
   */
  carry(address: URL, message: Buffer): Promise<void>
  /** For a VID of ours with an http(s) address that is somebody else's: takes what waits for it there. */
  receiveFrom(address: URL, options: Pick<ReceiverOptions, 'take' | 'refused' | 'log'>): Receiver
  /** Receivers are closed each by itself. */
  close(): void
}

export function createCarriage({ ca, lookup, ...near }: CarriageOptions): Carriage {
  const egress = { ...near, lookup: createBoundedLookup(lookup), ca: believed(ca) }
  const [framed, http] = [createFramedSender(egress), createHttpSender(egress)]
  const httpAfar = createHttpSender({ ...egress, trustLoopback: false, trustPrivate: false })
  return {
    async carry(address, message) {
      if (message.length > MOST_MESSAGE_BYTES) throw new OpenMcpError('too_large', `a TSP message has at most ${MOST_MESSAGE_BYTES} bytes`)
      switch (address.protocol) {
        case 'tcp:':
        case 'tls:':
          return framed.send(address, message)
        case 'http:':
        case 'https:':
          return (isOfTsp(address) ? http : httpAfar).send(address, message)
        default:
          throw unreachableFor(address, WHY_NOT.get(address.protocol) ?? `openmcp does not speak ${address.protocol}//`)
      }
    },
    receiveFrom: (url, receiving) => receiveFrom({ ...egress, url, ...receiving }),
    close() {
      framed.close()
      http.close()
      httpAfar.close()
    },
  }
}

/**
 * The door of a node, or the place of a VID at an intermediary. Whoever writes a document writes a path as well: to others of our own
 * machine, or of our network, a POST may do harm whatever is in it.
 */
function isOfTsp(address: URL): boolean {
  return address.search === '' && (isHttpDoor(address) || isVid(address.pathname.split('/').at(-1)))
}

/** What else may stand as an endpoint in the document of a VID. */
const WHY_NOT: ReadonlyMap<string, string> = new Map([
  ['tsp:', 'its document says that nothing can be sent to it'],
  ['tmcp:', 'its document says that it only asks, and is answered where it asks'],
  ['quic:', 'openmcp does not speak QUIC'],
])

/** A list replaces what Node believes, so it begins with that. */
export function believed(ca: string | undefined): readonly string[] | undefined {
  return ca === undefined ? undefined : [...rootCertificates, ca]
}

export interface ListenPlace {
  /** Where to bind when it is not what the endpoint says. */
  listen?: { host: string; port: number } | undefined
  /** In PEM, for tls:// alone. */
  tls?: { cert: string; key: string } | undefined
  /** How messages are taken that wait at an intermediary; without it nobody asks for them. */
  receive?: ((address: URL, options: Pick<ReceiverOptions, 'take' | 'refused'>) => Receiver) | undefined
}

export interface ListenForOptions extends ListenPlace {
  /** What the document of our VID names. */
  endpoint: URL
  take: Take
  refused?: ((why: ConnectionRefusal) => void) | undefined
}

export interface TspListener {
  /** Undefined where nothing is bound: what comes to an http(s) endpoint comes by our own HTTP listener, or from an intermediary. */
  readonly port: number | undefined
  close(): Promise<void>
}

/** Fails with `usage` when it cannot be known where to bind or with what, or with `port_taken`. */
export async function listenFor({ endpoint, listen, tls, receive, take, refused = () => {} }: ListenForOptions): Promise<TspListener> {
  switch (endpoint.protocol) {
    case 'http:':
    case 'https:': {
      const receiver = isHttpDoor(endpoint) ? undefined : receive?.(endpoint, { take, refused })
      return { port: undefined, close: async () => receiver?.close() }
    }
    case 'tcp:':
      return listenFramed({ ...(listen ?? placeOf(endpoint)), take, refused })
    case 'tls:':
      if (!tls) throw new OpenMcpError('usage', `${endpoint.href} needs a certificate`, { hint: '--tls-cert FILE and --tls-key FILE' })
      return listenFramed({ ...(listen ?? placeOf(endpoint)), tls, take, refused })
    default:
      throw new OpenMcpError('usage', `openmcp cannot listen at ${endpoint.href}`, { hint: 'endpoints are tcp://, tls://, http:// and https://' })
  }
}

/** The HTTP listener of a node takes messages at /tsp; whatever else an endpoint of HTTP names is an intermediary's, which keeps them for it. */
export function isHttpDoor({ protocol, pathname }: URL): boolean {
  if (protocol !== 'http:' && protocol !== 'https:') return false
  return /\/tsp\/?$/.test(pathname)
}

function placeOf({ hostname, port, host }: URL): { host: string; port: number } {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  if (port !== '' && (isIP(bare) !== 0 || bare === 'localhost')) return { host: bare, port: Number(port) }
  throw new OpenMcpError('usage', `where to listen for ${host} is not known`, {
    hint: '--tsp-listen HOST:PORT says where, for example --tsp-listen 0.0.0.0:9000',
  })
}
