// Streamable HTTP in the two ways it is used: passed on as it comes, and read into messages.
import type { OpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_EVENTS, type HttpUpstream, type Link, type LinkEvents, type MessageUpstream, type Upstream } from '../protocol/exchange.ts'
import { createParamHeaders } from '../protocol/param-headers.ts'
import type { Endpoints } from './endpoints.ts'
import { createHttpLink } from './http-link.ts'
import { openHttpPipe } from './http-pipe.ts'
import { createLastingHttp } from './lasting-http.ts'
import type { ConnectOptions, Retry } from './options.ts'
import { createPool } from './pool.ts'

export interface Remote {
  upstream: Upstream
  messages: MessageUpstream
  pipes(): number
  /** False while nobody of it answers, and it is not tried again yet. Undefined: not known. */
  isUp?(): boolean
  /** Why nobody is reached, where that is known beside. */
  failure?(): OpenMcpError | undefined
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  close(graceSeconds?: number): Promise<void>
}

export function overHttp(endpoints: Endpoints<HttpUpstream>, { attempts, delayMs }: Retry, options: ConnectOptions): Remote {
  const { limits, log } = options
  let open = 0
  const upstream = createLastingHttp({ endpoints, attempts, delayMs, random: Math.random, now: options.now, log })
  // A link without a session serves one request: what a list of tools taught one, the next must know.
  const paramHeaders = createParamHeaders()
  const messages: MessageUpstream = {
    kind: 'messages',
    open(events) {
      open++
      const link = createHttpLink({ upstream, events, paramHeaders: createParamHeaders(), limits, log })
      return { ...link, close: () => link.close().finally(() => open--) }
    },
    stateless: () => createHttpLink({ upstream, events: NO_EVENTS, paramHeaders, limits, log }),
  }
  const isUp = (): boolean => endpoints.all.some(endpoints.isUp)
  if (!options.stateless) return { upstream, messages, pipes: () => open, isUp, endOf: () => Promise.resolve(), close: () => Promise.resolve() }
  const openLink = (events: LinkEvents): Link => createHttpLink({ upstream, events, paramHeaders: createParamHeaders(), limits, log })
  const pool = createPool({ ...options, open: (events) => openHttpPipe(openLink, events, limits) })
  return { upstream, messages: { ...messages, open: pool.open }, pipes: () => pool.size, isUp, endOf: pool.endOf, close: pool.close }
}
