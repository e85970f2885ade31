// Streamable HTTP read for a client that has one pipe (stdio, HTTP+SSE): streams become messages, a broken one is resumed.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { createEventReader } from '../protocol/event-stream.ts'
import {
  NO_HEADERS,
  type ByteReply,
  type ForwardedHeaders,
  type HttpUpstream,
  type Link,
  type LinkEvents,
  type Reply,
  type ResponseHead,
} from '../protocol/exchange.ts'
import { isTooDeep, MOST_LEVELS } from '../protocol/json.ts'
import type { Limits } from '../protocol/limits.ts'
import { isId, isObject, requestIdsOf, textOf, type JsonObject, type JsonRpcId, type Post } from '../protocol/message.ts'
import { META_VERSION, encodeMirrored, metaOf, mirroredNameOf, paramsOf } from '../protocol/revision.ts'
import type { ParamHeaders } from '../protocol/param-headers.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'

const ACCEPT_BOTH: ForwardedHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
/** How often a stream that broke is asked for again, and the wait before where the server named none (WHATWG: a few seconds). */
const RESUME_ATTEMPTS = 5
const RESUME_MS = 1000
/** How long a server may take to open its stream before calls go out without it: some open it with the first event. */
const LISTENING_MS = 500

/** What still has to be answered of one post, and by which stream. */
interface Exchange {
  readonly reply: Reply
  readonly open: Set<JsonRpcId>
  /** Of these the client wants no answer any more. */
  cancelled: Set<JsonRpcId> | undefined
  lastEventId: string | undefined
  retryMs: number
  attempts: number
  stop: () => void
}

export interface HttpLinkOptions {
  upstream: HttpUpstream
  events: LinkEvents
  paramHeaders: ParamHeaders
  limits: Limits
  log: Log
}

export function createHttpLink({ upstream, events, paramHeaders, limits, log }: HttpLinkOptions): Link {
  const exchanges = new TurnoverSet<Exchange>()
  let sessionId: string | undefined
  let version: string | undefined
  /**
   * Posts that came before the answer to `initialize`, without whose session id they would be strangers, or before `initialized`
   * was taken, which they could overtake on another connection.
   */
  let held: (() => void)[] | undefined
  let closed = false
  let listening: (() => void) | undefined

  const baseHeaders = (): ForwardedHeaders => (version === undefined ? {} : { 'mcp-protocol-version': version })

  /** The revision that a message of 2026-07-28 names itself; such a message is of no session. */
  function claimedBy({ messages: [message] }: Post): string | undefined {
    const claimed = message && message.kind !== 'response' ? metaOf(message)?.[META_VERSION] : undefined
    return typeof claimed === 'string' ? claimed : undefined
  }

  function headersFor(post: Post): ForwardedHeaders {
    const [message] = post.messages
    const claimed = claimedBy(post)
    if (!message || message.kind === 'response' || claimed === undefined) return { ...ACCEPT_BOTH, ...baseHeaders() }
    const name = mirroredNameOf(message)
    return {
      ...ACCEPT_BOTH,
      'mcp-protocol-version': claimed,
      'mcp-method': encodeMirrored(message.method),
      ...(name === undefined ? {} : { 'mcp-name': encodeMirrored(name) }),
      ...paramHeaders.of(message),
    }
  }

  function send(post: Post, more: ForwardedHeaders, reply: Reply): void {
    if (closed) return
    if (held) return void held.push(() => send(post, more, reply))
    if (cancels(post)) return
    const open = idsOf(post)
    if (!open) return refuseRepeated(post, reply)
    const initialize = has(post, 'initialize')
    const initialized = has(post, 'notifications/initialized')
    if (initialize || initialized) held = []
    const exchange: Exchange = {
      reply: initialize ? learning(reply) : reply,
      open,
      cancelled: undefined,
      lastEventId: undefined,
      retryMs: RESUME_MS,
      attempts: 0,
      stop: () => {},
    }
    exchanges.add(exchange)
    exchange.stop = upstream.exchange(
      {
        method: 'POST',
        sessionId: claimedBy(post) === undefined ? sessionId : undefined,
        headers: more === NO_HEADERS ? headersFor(post) : { ...more, ...headersFor(post) },
        body: textOf(post),
      },
      answerTo(exchange, initialized ? begun : () => {}),
    )
  }

  /** The requests of a post; undefined when an id of them is in flight: servers give such an answer to whoever asked last. */
  function idsOf(post: Post): Set<JsonRpcId> | undefined {
    const open = new Set<JsonRpcId>()
    for (const id of requestIdsOf(post)) {
      if (open.has(id)) return undefined
      for (const exchange of exchanges) if (exchange.open.has(id)) return undefined
      open.add(id)
    }
    return open
  }

  function release(): void {
    const waiting = held ?? []
    held = undefined
    for (const go of waiting) go()
  }

  /**
   * The server has taken `initialized`, or never will. What belongs to no request is listened for before the rest follows:
   * servers put their questions on that stream too, and lose them while nobody listens.
   */
  function begun(isTaken: boolean): void {
    if (!held || closed || !isTaken) return release()
    const timer = setTimeout(release, LISTENING_MS)
    listen(undefined, 0, () => {
      clearTimeout(timer)
      release()
    })
  }

  /** Takes note of a cancellation. True when that is all: in the 2026-07-28 revision closing the stream is how a request over HTTP is cancelled. */
  function cancels(post: Post): boolean {
    const [message] = post.messages
    if (message?.kind !== 'notification' || message.method !== 'notifications/cancelled') return false
    const id = paramsOf(message)?.['requestId']
    for (const exchange of exchanges) {
      if (!isId(id) || !exchange.open.has(id)) continue
      ;(exchange.cancelled ??= new Set()).add(id)
      if (version !== undefined) continue
      exchange.stop()
      fail(exchange, new OpenMcpError('stopping', 'cancelled'))
    }
    return version === undefined
  }

  /** Reads the version out of the answer to `initialize`, then lets the held posts go. */
  function learning(reply: Reply): Reply {
    return {
      message: reply.message,
      answer(id, text, errorCode) {
        const result: unknown = typeof text === 'string' ? (JSON.parse(text) as JsonObject)['result'] : undefined // parsed before: it is an object
        if (isObject(result) && typeof result['protocolVersion'] === 'string') version = result['protocolVersion']
        reply.answer(id, text, errorCode)
        release()
      },
      failed(error, id) {
        reply.failed(error, id)
        release()
      },
      withdrawn: reply.withdrawn,
    }
  }

  function answerTo(exchange: Exchange, onHead: (isTaken: boolean) => void): ByteReply {
    let read: { bytes(chunk: Buffer): void; end(): void } | undefined
    return {
      head(status, answered) {
        sessionId ??= answered.sessionId
        onHead(status < 300)
        read = reader(exchange, status, answered)
      },
      chunk(bytes) {
        try {
          read?.bytes(bytes)
        } catch (error) {
          exchange.stop()
          fail(exchange, toOpenMcpError(error))
        }
        return true
      },
      drained: () => {},
      end() {
        read?.end()
      },
      failed(error) {
        onHead(false)
        if (error.code === 'session_ended') {
          fail(exchange, error)
          end(error)
        } else if (exchange.lastEventId === undefined || error.code === 'timeout') fail(exchange, error)
        else resume(exchange, error)
      },
    }
  }

  function reader(exchange: Exchange, status: number, { contentType }: ResponseHead): { bytes(chunk: Buffer): void; end(): void } {
    if (status < 300 && contentType?.startsWith('text/event-stream')) {
      const stream = createEventReader(limits.messageBytes, ({ data, id, retryMs }) => {
        if (id !== undefined) exchange.lastEventId = id
        if (retryMs !== undefined) exchange.retryMs = retryMs
        exchange.attempts = 0
        if (data !== '') received(data, exchange)
      })
      return { bytes: stream.feed, end: () => (exchange.open.size === 0 ? void exchanges.delete(exchange) : resume(exchange, undefined)) }
    }
    const pieces: Buffer[] = []
    let size = 0
    return {
      bytes(chunk) {
        size += chunk.length
        if (size > limits.messageBytes)
          throw new OpenMcpError('upstream_broke', `an answer of the upstream is larger than ${limits.messageBytes} bytes`, {
            hint: '--max-message raises the limit',
          })
        pieces.push(chunk)
      },
      end() {
        const text = (pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)).toString()
        if (text !== '' && status < 300) received(text, exchange)
        if (status >= 300) refused(exchange, status, text)
        else if (exchange.open.size > 0) fail(exchange, new OpenMcpError('upstream_broke', 'the upstream ended its answer without answering'))
        exchanges.delete(exchange)
      },
    }
  }

  function received(text: string, exchange: Exchange | undefined): void {
    if (isTooDeep(text)) {
      log.warn('the upstream sent a message that nests too deeply; it is dropped', { levels: MOST_LEVELS })
      if (exchange) fail(exchange, new OpenMcpError('upstream_broke', `an answer of the upstream nests deeper than ${MOST_LEVELS} levels`))
      return
    }
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return log.warn('the upstream sent data that is not JSON; it is dropped', { bytes: text.length })
    }
    if (Array.isArray(value)) for (const one of value) deliver(one, JSON.stringify(one), exchange)
    else deliver(value, /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, ' ') : text, exchange)
  }

  function deliver(value: unknown, text: string, exchange: Exchange | undefined): void {
    if (!isObject(value)) return log.warn('the upstream sent JSON that is no message; it is dropped')
    if (typeof value['method'] === 'string') return exchange && exchange.open.size > 0 ? exchange.reply.message(text) : events.unsolicited(text)
    const id = value['id']
    const owner = isId(id) ? (exchange?.open.has(id) ? exchange : [...exchanges].find(({ open }) => open.has(id))) : undefined
    if (!owner || !isId(id)) return log.debug('an answer to no request is dropped')
    owner.open.delete(id)
    paramHeaders.learn(value['result'])
    const error = value['error']
    owner.reply.answer(id, text, error === undefined ? undefined : isObject(error) && typeof error['code'] === 'number' ? error['code'] : 0)
  }

  /** An HTTP error: with a JSON-RPC error in it the client gets that, with its own id; otherwise the failure in words. */
  function refused(exchange: Exchange, status: number, text: string): void {
    if (status === 404 && sessionId !== undefined) {
      const error = new OpenMcpError('session_ended', 'the upstream has ended this session', { hint: 'connect again' })
      fail(exchange, error)
      return end(error)
    }
    const error = jsonRpcErrorIn(text)
    if (!error) return fail(exchange, new OpenMcpError('upstream_broke', `the upstream answered HTTP ${status} without a JSON-RPC error`))
    for (const id of exchange.open)
      exchange.reply.answer(id, JSON.stringify({ jsonrpc: '2.0', id, error }), typeof error['code'] === 'number' ? error['code'] : 0)
    exchange.open.clear()
  }

  function fail(exchange: Exchange, error: OpenMcpError): void {
    exchanges.delete(exchange)
    const open = [...exchange.open]
    exchange.open.clear()
    for (const id of open) {
      if (exchange.cancelled?.has(id)) exchange.reply.withdrawn(id)
      else exchange.reply.failed(error, id)
    }
  }

  /** The stream ended before the answer: a server may do that at any time and wants to be asked again (2025-11-25, SEP-1699). */
  function resume(exchange: Exchange, error: OpenMcpError | undefined): void {
    if (closed) return
    const unwanted = [...exchange.open].every((id) => exchange.cancelled?.has(id))
    if (unwanted || exchange.lastEventId === undefined || exchange.attempts >= RESUME_ATTEMPTS) {
      return fail(exchange, error ?? new OpenMcpError('upstream_broke', 'the upstream ended the stream before its answer'))
    }
    exchange.attempts++
    const timer = setTimeout(() => {
      exchange.stop = upstream.exchange(
        { method: 'GET', sessionId, body: undefined, headers: { accept: 'text/event-stream', ...baseHeaders(), 'last-event-id': exchange.lastEventId ?? '' } },
        answerTo(exchange, () => {}),
      )
    }, exchange.retryMs)
    exchange.stop = () => clearTimeout(timer)
  }

  /** The stream of messages that belong to no request. A server may have none (405). */
  function listen(lastEventId: string | undefined, attempts: number, onHead: () => void): void {
    if (closed || listening) return
    let last = lastEventId
    let retryMs = RESUME_MS
    let failures = attempts
    const again = (): void => {
      listening = undefined
      if (closed || failures >= RESUME_ATTEMPTS) return
      const timer = setTimeout(() => listen(last, failures + 1, () => {}), retryMs)
      timer.unref()
    }
    const stream = createEventReader(limits.messageBytes, ({ data, id, retryMs: asked }) => {
      if (id !== undefined) last = id
      if (asked !== undefined) retryMs = asked
      failures = 0
      if (data !== '') received(data, undefined)
    })
    const stop = upstream.exchange(
      {
        method: 'GET',
        sessionId,
        body: undefined,
        headers: { accept: 'text/event-stream', ...baseHeaders(), ...(last === undefined ? {} : { 'last-event-id': last }) },
      },
      {
        head(status, { contentType }) {
          onHead()
          if (status < 300 && contentType?.startsWith('text/event-stream')) return
          stop()
          if (status === 404 && sessionId !== undefined)
            end(new OpenMcpError('session_ended', 'the upstream has ended this session', { hint: 'connect again' }))
        },
        chunk(bytes) {
          try {
            stream.feed(bytes)
          } catch (error) {
            log.warn(toOpenMcpError(error).message)
            stop()
            again()
          }
          return true
        },
        drained: () => {},
        end: again,
        failed: (error) => (error.code === 'session_ended' ? end(error) : again()),
      },
    )
    listening = stop
  }

  function end(error: OpenMcpError): void {
    if (closed) return
    closed = true
    listening?.()
    for (const exchange of exchanges) {
      exchange.stop()
      fail(exchange, error)
    }
    events.ended(error)
  }

  return {
    kind: 'messages',
    send,
    async close() {
      if (closed) return
      closed = true
      listening?.()
      for (const exchange of exchanges) exchange.stop()
      exchanges.clear()
      if (sessionId !== undefined) await forget(upstream, sessionId, baseHeaders())
    },
  }
}

function refuseRepeated(post: Post, reply: Reply): void {
  for (const id of requestIdsOf(post)) reply.failed(new OpenMcpError('invalid_request', 'a request with this id is in flight'), id)
}

function has(post: Post, method: string): boolean {
  return post.messages.some((message) => message.kind !== 'response' && message.method === method)
}

/** Tells the upstream that its session is over. Whatever it answers: we are gone. */
async function forget(upstream: HttpUpstream, sessionId: string, headers: ForwardedHeaders): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, 1000)
    const stop = upstream.exchange(
      { method: 'DELETE', sessionId, headers, body: undefined },
      { head: done, chunk: () => true, drained: () => {}, end: done, failed: done },
    )
    function done(): void {
      clearTimeout(timer)
      resolve()
      setImmediate(stop)
    }
  })
}

function jsonRpcErrorIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && isObject(value['error']) ? value['error'] : undefined
  } catch {
    return undefined
  }
}
