// A server behind a WebSocket: one JSON message a text frame, under the subprotocol `mcp` that the official SDKs ask for.
import type { Agent, Dispatcher, WebSocket } from 'undici'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Credential, SocketServer } from './options.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { whyUnreachable } from './unreachable.ts'
import { connectorOf } from './way.ts'

const LINE_BREAKS = /[\r\n]/
/** RFC 6455 §7.4.1 */
const DONE = 1000
const TOO_LARGE = 1009
const GOODBYE_MS = 1000

/** An answer to the opening request that opens nothing. */
interface Refusal {
  status: number
  challenge: string | undefined
  nonce: string | undefined
}

/**
 * What is sent before the connection is there waits for it. `headers`, and what the credential gives, go with the opening request, and
 * to nobody else. One that is answered 401 is sent once more, if there is something new to prove with.
 */
export function openWebSocket(
  { url, headers, way = {} }: Pick<SocketServer, 'url' | 'headers' | 'way'>,
  events: PipeEvents,
  limits: Limits,
  credential?: Credential,
): OpenedPipe {
  let socket: WebSocket | undefined
  let leave = (): void => {}
  let waiting: string[] = []
  let isOpen = false
  let over = false

  function end(error: OpenMcpError): void {
    if (over) return
    over = true
    leave()
    events.ended(error)
  }

  // Loaded when needed: with all that it brings, undici's WebSocket takes longer than many a server.
  const started = import('undici').then(async ({ Agent: Connections, WebSocket: Socket }) => {
    const agent = new Connections({
      connect: connectorOf(way, limits),
      headersTimeout: limits.connectSeconds * 1000,
      // A message that is larger ends the connection: a frame cannot be passed over (RFC 6455 §7.4.1, 1009).
      webSocket: { maxPayloadSize: limits.messageBytes },
    })
    leave = () => {
      socket?.close(DONE)
      // Whoever does not say goodbye is not waited for.
      setTimeout(() => void agent.destroy().catch(() => {}), GOODBYE_MS).unref()
    }
    const request = { method: 'GET', url: new URL(url.href.replace(/^ws/, 'http')) }
    const open = async (): Promise<{ refusal: Refusal; sent: Readonly<Record<string, string>> } | undefined> => {
      const sent = (await credential?.headers(request)) ?? {}
      if (over) throw unreachable(url, undefined)
      const refusal = await dial(Socket, agent, { ...headers, ...sent })
      return refusal && { refusal, sent }
    }
    let refused = await open()
    if (refused?.refusal.status === 401 && (await credential?.refused(request, { ...refused.refusal, sent: refused.sent }))) refused = await open()
    if (refused) throw refusedWith(url, refused.refusal.status)
    const early = waiting
    waiting = []
    for (const line of early) socket?.send(line)
    isOpen = true
  })
  started.catch((thrown: unknown) => end(toOpenMcpError(thrown)))

  /** Undefined: it is open. Fails when nobody answered. */
  function dial(Socket: typeof WebSocket, agent: Agent, sent: Readonly<Record<string, string>>): Promise<Refusal | undefined> {
    let refusal: Refusal | undefined
    let why: unknown
    let hasOpened = false
    const dispatcher = watching(
      agent,
      (answer) => (refusal = answer),
      (error) => (why = error),
    )
    const opening = new Socket(url, { protocols: ['mcp'], dispatcher, headers: { ...sent } })
    socket = opening
    opening.addEventListener('error', ({ error }) => (why ??= error))
    opening.addEventListener('message', ({ data }) => received(data))
    return new Promise((resolve, reject) => {
      opening.addEventListener('open', () => {
        hasOpened = true
        resolve(undefined)
      })
      opening.addEventListener('close', ({ code }) => {
        if (hasOpened) end(closedWith(url, code))
        else if (refusal) resolve(refusal)
        else reject(unreachable(url, why))
      })
    })
  }

  function received(data: unknown): void {
    if (over) return
    // Binary frames are no MCP (RFC 6455 §5.6: text is UTF-8).
    if (typeof data !== 'string') return end(new OpenMcpError('upstream_broke', `the upstream ${url.host} sent bytes where text belongs`))
    // A line break is white space to JSON, and the end of a message to whoever reads lines.
    events.line(Buffer.from(LINE_BREAKS.test(data) ? data.replaceAll(/[\r\n]/g, ' ') : data))
  }

  return {
    started,
    send(line) {
      if (over) return
      if (socket && isOpen) socket.send(line)
      else waiting.push(line)
    },
    get bufferedBytes() {
      return (socket?.bufferedAmount ?? 0) + waiting.reduce((sum, line) => sum + line.length, 0)
    },
    close() {
      over = true
      leave()
      return Promise.resolve()
    },
  }
}

/** undici's WebSocket tells nobody why an opening request opened nothing: it is seen on its way there. */
function watching(agent: Agent, seen: (refusal: Refusal) => void, failed: (why: Error) => void): Dispatcher {
  const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value)
  return agent.compose(
    (dispatch) => (options, handler) =>
      dispatch(options, {
        onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
        onRequestUpgrade: (controller, status, headers, socket) => handler.onRequestUpgrade?.(controller, status, headers, socket),
        onResponseStart(controller, status, headers, message) {
          if (status < 200) return handler.onResponseStart?.(controller, status, headers, message)
          seen({ status, challenge: one(headers['www-authenticate']), nonce: one(headers['dpop-nonce']) })
          // By itself undici would try a 401 once more, without anything new to prove with.
          controller.abort(new Error(`HTTP ${status}`))
        },
        onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
        onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
        onResponseError(controller, error) {
          failed(error)
          handler.onResponseError?.(controller, error)
        },
      }),
  )
}

function closedWith({ host }: URL, code: number): OpenMcpError {
  const hint = code === TOO_LARGE ? { hint: '--max-message raises the limit' } : {}
  return new OpenMcpError('upstream_broke', `the upstream ${host} closed the WebSocket (${code})`, hint)
}

function refusedWith({ host, pathname }: URL, status: number): OpenMcpError {
  if (status === 401 || status === 403 || status === 407) {
    const hint = "give it with -H 'Authorization: …' or --header-file, or prove who you are with --id NAME"
    return new OpenMcpError('upstream_refused', `the upstream ${host} opens no WebSocket to us (HTTP ${status})`, { hint })
  }
  const isElsewhere = status === 404 || (status >= 300 && status < 400)
  return new OpenMcpError('upstream_not_mcp', `the upstream ${host} opens no WebSocket at ${pathname} (HTTP ${status})`, {
    hint: isElsewhere ? 'check the path' : 'is it http:// that is spoken there',
  })
}

function unreachable({ host }: URL, cause: unknown): OpenMcpError {
  const chain = causesOf(cause)
  // Of a proxy, which is what is missing then.
  const known = chain.find((one) => one instanceof OpenMcpError)
  if (known) return known
  const { why, hint } = chain.length === 0 ? { why: 'it takes no WebSocket there' } : whyUnreachable(chain.at(-1))
  return new OpenMcpError('upstream_unreachable', `the upstream ${host} cannot be reached: ${why}`, { ...(hint !== undefined && { hint }), cause })
}

function causesOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : []
}
