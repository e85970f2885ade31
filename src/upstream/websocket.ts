// A server behind a WebSocket: one JSON message a text frame, under the subprotocol `mcp` that the official SDKs ask for.
import type { WebSocket } from 'undici'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

const LINE_BREAKS = /[\r\n]/
/** RFC 6455 §7.4.1 */
const DONE = 1000
const TOO_LARGE = 1009
const GOODBYE_MS = 1000

/** What is sent before the connection is there waits for it. `headers` go with the opening request, and to nobody else. */
export function openWebSocket(url: URL, headers: Readonly<Record<string, string>>, events: PipeEvents, limits: Limits): OpenedPipe {
  let socket: WebSocket | undefined
  let leave = (): void => {}
  let waiting: string[] = []
  let isOpen = false
  let over = false
  let why: unknown

  function end(error: OpenMcpError): void {
    if (over) return
    over = true
    leave()
    events.ended(error)
  }

  // Loaded when needed: with all that it brings, undici's WebSocket takes longer than many a server.
  const started = import('undici').then(({ Agent, WebSocket: Socket }) => {
    if (over) throw unreachable(url, why)
    const dispatcher = new Agent({
      connect: { timeout: limits.connectSeconds * 1000 },
      headersTimeout: limits.connectSeconds * 1000,
      // A message that is larger ends the connection: a frame cannot be passed over (RFC 6455 §7.4.1, 1009).
      webSocket: { maxPayloadSize: limits.messageBytes },
    })
    const opening = new Socket(url, { protocols: ['mcp'], dispatcher, headers: { ...headers } })
    leave = () => {
      opening.close(DONE)
      // Whoever does not say goodbye is not waited for.
      setTimeout(() => void dispatcher.destroy().catch(() => {}), GOODBYE_MS).unref()
    }
    socket = opening
    opening.addEventListener('error', ({ error }) => (why = error))
    opening.addEventListener('message', ({ data }) => received(data))
    return new Promise<void>((resolve, reject) => {
      opening.addEventListener('open', () => {
        isOpen = true
        const early = waiting
        waiting = []
        for (const line of early) opening.send(line)
        resolve()
      })
      opening.addEventListener('close', ({ code }) => {
        const error = isOpen ? closedWith(url, code) : unreachable(url, why)
        reject(error)
        end(error)
      })
    })
  })
  started.catch((thrown: unknown) => end(toOpenMcpError(thrown)))

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

function closedWith({ host }: URL, code: number): OpenMcpError {
  const hint = code === TOO_LARGE ? { hint: '--max-message raises the limit' } : {}
  return new OpenMcpError('upstream_broke', `the upstream ${host} closed the WebSocket (${code})`, hint)
}

function unreachable({ host }: URL, cause: unknown): OpenMcpError {
  const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : 'it takes no WebSocket there'
  return new OpenMcpError('upstream_unreachable', `the upstream ${host} cannot be reached: ${why}`, { cause })
}
