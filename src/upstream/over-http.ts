// Streamable HTTP in the two ways it is used: passed on as it comes, and read into messages.
import type { Caller } from '../protocol/caller.ts'
import type { HttpUpstream, MessageUpstream, Upstream } from '../protocol/exchange.ts'
import { createParamHeaders } from '../protocol/param-headers.ts'
import type { Endpoints } from './endpoints.ts'
import { createHttpLink } from './http-link.ts'
import { createLastingHttp } from './lasting-http.ts'
import type { ConnectOptions, Retry } from './options.ts'

export interface Remote {
  upstream: Upstream
  messages: MessageUpstream
  pipes(): number
  /** False while nobody of it answers, and it is not tried again yet. Undefined: not known. */
  isUp?(): boolean
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  close(graceSeconds?: number): Promise<void>
}

export function overHttp(endpoints: Endpoints<HttpUpstream>, { attempts, delayMs }: Retry, { limits, log }: ConnectOptions): Omit<Remote, 'close'> {
  let open = 0
  const upstream = createLastingHttp({ endpoints, attempts, delayMs, random: Math.random, log })
  // A link without a session serves one request: what a list of tools taught one, the next must know.
  const paramHeaders = createParamHeaders()
  const messages: MessageUpstream = {
    kind: 'messages',
    open(events) {
      open++
      const link = createHttpLink({ upstream, events, paramHeaders: createParamHeaders(), limits, log })
      return { ...link, close: () => link.close().finally(() => open--) }
    },
    stateless: () => createHttpLink({ upstream, events: { unsolicited: () => {}, ended: () => {} }, paramHeaders, limits, log }),
  }
  return { upstream, messages, pipes: () => open, isUp: () => endpoints.all.some(endpoints.isUp), endOf: () => Promise.resolve() }
}
