// The one way to fetch what a peer named: from the public internet, in little time and space, and never from our own networks.
import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import { kindOfAddress, type AddressKind } from './addresses.ts'
import type { Fetched, GuardedFetch } from './shapes.ts'

export interface GuardedFetchOptions {
  /** Names and addresses that are this machine and nothing else may be fetched as well, by http too. */
  trustLoopback: boolean
  /** How names become addresses; all of them are asked for. */
  lookup?: LookupAll
  /** For everything together: looking up, connecting, waiting, reading. */
  timeoutMs?: number
  maxBytes?: number
  /** In flight at once, for one host and for all; one more fails. */
  perHost?: number
  total?: number
}

export type LookupAll = (hostname: string, options: { all: true }, callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void) => void

/** Where a connection may lead. */
type Reach = readonly AddressKind[]

/** Where what a peer names may lead, beside the public internet. */
export interface Near {
  /** This machine. */
  trustLoopback: boolean
  /** Networks of an organisation, and between the machines of one. */
  trustPrivate?: boolean
}

const STATUSES = [200, 404, 410] as const
const MOST_HEADER_BYTES = 16 * 1024

export function createGuardedFetch(options: GuardedFetchOptions): { fetch: GuardedFetch; close(): void } {
  const { trustLoopback, timeoutMs = 3000, maxBytes = 65_536, perHost = 4, total = 32 } = options
  const inFlight = new Map<string, number>()
  const aborts = new Set<(reason: OpenMcpError) => void>()
  let closed = false
  // The system goes on looking up what nobody waits for any more, two names at a time: a queue of them must not grow.
  let lookingUp = 0
  const lookup: LookupAll = (hostname, lookupOptions, callback) => {
    lookingUp++
    ;(options.lookup ?? systemLookup)(hostname, lookupOptions, (error, addresses) => {
      lookingUp--
      callback(error, addresses)
    })
  }

  return {
    async fetch(url, { accept = 'application/json' } = {}) {
      const reach = reachOf(url, trustLoopback)
      const host = url.hostname
      const already = inFlight.get(host) ?? 0
      if (closed) throw failed(host, 'openmcp is stopping')
      if (already >= perHost || aborts.size >= total || lookingUp >= total) throw failed(host, 'too much is being fetched already')
      let abort: (reason: OpenMcpError) => void = () => {}
      const aborted = new Promise<never>((_resolve, reject) => (abort = reject))
      const patience = setTimeout(() => abort(failed(host, `it took longer than ${timeoutMs} ms`)), timeoutMs)
      inFlight.set(host, already + 1)
      aborts.add(abort)
      const get = startGet({ url, accept, maxBytes, timeoutMs, connectLookup: guarded(lookup, reach) })
      try {
        return await Promise.race([get.answer, aborted])
      } finally {
        clearTimeout(patience)
        aborts.delete(abort)
        const left = (inFlight.get(host) ?? 1) - 1
        if (left > 0) inFlight.set(host, left)
        else inFlight.delete(host)
        get.end()
      }
    },
    close() {
      closed = true
      for (const abort of aborts) abort(new OpenMcpError('egress_failed', 'openmcp is stopping'))
    },
  }
}

/**
 * For a connection that is no fetch, to an address that a peer named: how its socket looks up that host. Throws `egress_refused` for
 * an address that it must not lead to.
 */
export function lookupFor(
  hostname: string,
  { trustLoopback, trustPrivate = false, lookup = systemLookup }: Near & Pick<GuardedFetchOptions, 'lookup'>,
): LookupFunction {
  const reach: Reach = ['public', ...(trustLoopback ? (['loopback'] as const) : []), ...(trustPrivate ? (['private'] as const) : [])]
  checkLiteral(hostname, reach)
  return guarded(lookup, reach)
}

/** Throws `egress_refused` for what needs no look-up to be refused. */
function reachOf(url: URL, trustLoopback: boolean): Reach {
  const host = url.hostname
  if (url.username !== '' || url.password !== '') throw refused(host, 'a URL with a name or a password in it is not fetched')
  const isHttp = url.protocol === 'http:' && trustLoopback
  if (url.protocol !== 'https:' && !isHttp) throw refused(host, 'only https is fetched')
  const reach: Reach = isHttp ? ['loopback'] : trustLoopback ? ['public', 'loopback'] : ['public']
  checkLiteral(host, reach)
  return reach
}

/** No name is looked up for an address, so it is checked here. */
function checkLiteral(host: string, reach: Reach): void {
  const literal = host.replace(/^\[(.*)\]$/, '$1')
  if (isIP(literal) !== 0 && !isWithin([literal], reach)) throw refused(host, 'its address is not public')
}

function isWithin(addresses: readonly string[], reach: Reach): boolean {
  const [kind, ...others] = new Set(addresses.map(kindOfAddress))
  // Answers of two kinds are somebody's trick: one of them would be connected to after the other failed.
  return kind !== undefined && others.length === 0 && reach.includes(kind)
}

/** Asked by the socket itself: what was checked is what is connected to, and no second answer can differ. */
function guarded(lookup: LookupAll, reach: Reach): LookupFunction {
  return (hostname, { all }, callback) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const [first] = addresses
      if (
        !first ||
        !isWithin(
          addresses.map(({ address }) => address),
          reach,
        )
      )
        return callback(refused(hostname, 'its address is not public'), '')
      if (all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

interface Get {
  url: URL
  accept: string
  maxBytes: number
  timeoutMs: number
  connectLookup: LookupFunction
}

/** One request on a connection of its own, which `end` closes in whatever state it is. */
function startGet({ url, accept, maxBytes, timeoutMs, connectLookup }: Get): { answer: Promise<Fetched>; end(): void } {
  const host = url.hostname
  let ended = false
  let destroy = (): void => {}
  const answer = (async (): Promise<Fetched> => {
    // Loaded by the first fetch: most of what this machine proxies never needs one. A Client, unlike fetch, knows of no proxy.
    const { Client } = await import('undici')
    if (ended) throw failed(host, 'nobody waits for it any more')
    const client = new Client(url.origin, {
      connect: { lookup: connectLookup, timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxHeaderSize: MOST_HEADER_BYTES,
      maxResponseSize: maxBytes,
    })
    destroy = () => void client.destroy().catch(() => {})
    try {
      const { statusCode, headers, body } = await client.request({
        method: 'GET',
        path: url.pathname + url.search,
        headers: { accept, 'accept-encoding': 'identity', 'user-agent': 'openmcp' },
      })
      const status = STATUSES.find((accepted) => accepted === statusCode)
      if (status === undefined) throw failed(host, statusCode >= 300 && statusCode < 400 ? 'it redirects, which is not followed' : `it answered ${statusCode}`)
      if (![undefined, 'identity'].includes(oneOf(headers['content-encoding']))) throw failed(host, 'its answer is compressed')
      const bytes = status === 200 ? Buffer.from(await body.arrayBuffer()) : Buffer.alloc(0)
      if (bytes.length > maxBytes) throw failed(host, `its answer is longer than ${maxBytes} bytes`)
      return { status, contentType: oneOf(headers['content-type']) ?? '', cacheControl: oneOf(headers['cache-control']) ?? '', body: bytes }
    } catch (thrown) {
      throw inOurWords(thrown, host, maxBytes)
    }
  })()
  // Whoever ended it does not hear of it, and nobody else does.
  answer.catch(() => {})
  return {
    answer,
    end() {
      ended = true
      destroy()
    },
  }
}

function oneOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

function inOurWords(thrown: unknown, host: string, maxBytes: number): OpenMcpError {
  if (thrown instanceof OpenMcpError) return thrown
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return failed(host, `its answer is longer than ${maxBytes} bytes`)
  return failed(host, code === '' ? 'the connection failed' : code, thrown)
}

/** The host and never the query, which may hold what is not for a log. */
function refused(host: string, why: string): OpenMcpError {
  return new OpenMcpError('egress_refused', `${shortened(host)} is not fetched: ${why}`)
}

function failed(host: string, why: string, cause?: unknown): OpenMcpError {
  return new OpenMcpError('egress_failed', `${shortened(host)} could not be fetched: ${why}`, { cause })
}

function shortened(host: string): string {
  return host.length > 120 ? `${host.slice(0, 119)}…` : host
}
