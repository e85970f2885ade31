// A pipe made into exchanges: which answer, progress or question of the server belongs to which request of which client.
//
// A pipe of one client carries its ids and progress tokens as they are. On a shared pipe both are replaced by numbers of
// ours, so that clients with equal ids never meet, and nothing reaches a client that was not meant for it.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Link, LinkEvents, Reply } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { isId, isObject, type Message, type NotificationMessage, type RequestMessage, type ResponseMessage } from '../protocol/message.ts'
import { metaOf, paramsOf } from '../protocol/revision.ts'
import { createFromServer } from './from-server.ts'
import { createHandshake } from './handshake.ts'
import type { OpenPipe } from './pipe.ts'
import { answerIdAtEdge } from './splice.ts'
import { createTraffic, type Call, type Client } from './traffic.ts'

export interface Mux {
  /** One more client of this pipe. */
  join(events: LinkEvents): Link
  /** Settles when the pipe is closed and everything behind it has ended. */
  close(graceSeconds?: number): Promise<void>
  /** Clients that have joined and not left. */
  readonly clients: number
}

export interface MuxOptions {
  open: OpenPipe
  shared: boolean
  limits: Limits
  log: Log
  now: () => number
  /** The pipe ended by itself. */
  onEnd: () => void
}

/** How long a server may still answer a request that was cancelled: some do, most rightly do not. */
const CANCELLED_MS = 5000
/** How long a call that nobody waits for any more keeps what belongs to no call from being given to another client. */
const ABANDONED_MS = 60_000

export function createMux({ open, shared, limits, log, now, onEnd }: MuxOptions): Mux {
  const traffic = createTraffic({ shared, now })
  const handshake = createHandshake()
  const waitMs = limits.timeoutSeconds === 0 ? Infinity : limits.timeoutSeconds * 1000
  const sweeper = setInterval(sweep, Math.max(50, Math.min(1000, waitMs / 10)))
  sweeper.unref()
  let over: OpenMcpError | undefined

  const pipe = open({
    line: createFromServer({ traffic, shared, handshake, answer: (text) => pipe.send(text), log, now }),
    tooLong(head, tail) {
      log.warn('the server sent a message that is too large; it is dropped', { limit: limits.messageBytes })
      const inner = answerIdAtEdge(head, tail)
      const call = inner === undefined ? undefined : traffic.finish(inner)
      call?.reply.failed(tooLarge(limits), call.id)
    },
    interrupted: lost,
    ended(error) {
      end(error)
      onEnd()
    },
  })

  /** Tells everybody who is left. */
  function end(error: OpenMcpError): void {
    if (over) return
    over = error
    clearInterval(sweeper)
    lost(error)
    handshake.learned(undefined, error)
    for (const client of traffic.clients) {
      traffic.leave(client)
      client.events.ended(error)
    }
  }

  /** Nobody answers what is in flight, and nobody waits for an answer to what was asked. */
  function lost(error: OpenMcpError): void {
    for (const call of traffic.calls.values()) {
      traffic.finish(call.inner)
      call.reply.failed(error, call.id)
    }
    for (const client of traffic.clients) for (const id of traffic.questionsTo(client)) traffic.settle(id)
  }

  /** Ends the calls that nobody will answer any more. */
  function sweep(): void {
    for (const call of traffic.calls.values()) {
      const silentMs = now() - call.lastSignMs
      if (call.abandoned) {
        if (silentMs >= ABANDONED_MS) traffic.finish(call.inner)
      } else if (call.cancelled && silentMs >= CANCELLED_MS) {
        traffic.finish(call.inner)
        call.reply.withdrawn(call.id)
      } else if (!call.cancelled && silentMs >= waitMs && call.method !== 'subscriptions/listen') {
        const { reply } = call
        cancel(call, 'timed out')
        if (call.method === 'initialize') handshake.learned(undefined, timedOut(limits))
        reply.failed(timedOut(limits), call.id)
      }
    }
  }

  function send(client: Client, message: Message, reply: Reply): void {
    if (over) return void (message.kind === 'request' && reply.failed(over, message.id))
    if (message.kind === 'request') request(client, message, reply)
    else if (message.kind === 'notification') notification(client, message)
    else response(client, message)
  }

  function request(client: Client, message: RequestMessage, reply: Reply): void {
    const refusal = refusalOf(client, message)
    if (refusal) return reply.failed(refusal, message.id)
    if (message.method === 'initialize') {
      const capabilities = paramsOf(message)?.['capabilities']
      client.capabilities = isObject(capabilities) ? capabilities : {}
      if (shared && handshake.answers(message.id, reply)) return
    }
    if (shared && answeredForOthers(client, message, reply)) return
    const call = traffic.begin(client, message, reply)
    if (shared) rename(message, call)
    pipe.send(JSON.stringify(message.body), (error) => {
      if (traffic.calls.get(call.inner) !== call) return
      traffic.finish(call.inner)
      if (call.method === 'initialize') handshake.learned(undefined, error)
      call.reply.failed(error, call.id)
    })
  }

  function refusalOf(client: Client, { id }: RequestMessage): OpenMcpError | undefined {
    if (client.calls.has(id)) return new OpenMcpError('invalid_request', 'a request with this id is in flight')
    if (client.calls.size >= limits.streams) {
      return new OpenMcpError('busy', `more than ${limits.streams} calls in flight in one session`, { hint: '--max-streams changes the limit' })
    }
    return pipe.bufferedBytes > limits.bufferedBytes ? new OpenMcpError('busy', 'the server does not read what it is sent') : undefined
  }

  /** On a shared pipe what one client subscribes to or gives up must not decide for the others. */
  function answeredForOthers(client: Client, message: RequestMessage, reply: Reply): boolean {
    const uri = paramsOf(message)?.['uri']
    if (typeof uri !== 'string') return false
    if (message.method === 'resources/subscribe') (client.subscriptions ??= new Set()).add(uri)
    if (message.method !== 'resources/unsubscribe') return false
    client.subscriptions?.delete(uri)
    if (!traffic.isSubscribed(uri)) return false
    reply.answer(message.id, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} }), undefined)
    return true
  }

  function notification(client: Client, message: NotificationMessage): void {
    if (message.method === 'notifications/cancelled') {
      const params = paramsOf(message)
      const id = params?.['requestId']
      const call = isId(id) ? client.calls.get(id) : undefined
      // An `initialize` is not to be cancelled, and on a shared pipe it is everybody's.
      if (!call || !params || (shared && call.method === 'initialize')) return
      call.cancelled = true
      call.lastSignMs = now()
      params['requestId'] = call.inner
    }
    if (shared && message.method === 'notifications/initialized' && !handshake.firstInitialized()) return
    pipe.send(JSON.stringify(message.body))
  }

  function response(client: Client, message: ResponseMessage): void {
    if (traffic.askedOf(message.id) !== client) return log.debug('an answer to no question of the server is dropped')
    traffic.settle(message.id)
    pipe.send(JSON.stringify(message.body))
  }

  /** The server may be at it for a while: until then what it says of no call might be of this one. */
  function cancel(call: Call, reason: string): void {
    traffic.abandon(call)
    pipe.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: call.inner, reason } }))
  }

  /** What the client began for itself ends with it, and the server learns of it. */
  function leave(client: Client): void {
    if (!traffic.leave(client) || over) return
    // The first client's `initialize` is everybody's: its answer is waited for, whoever stays.
    for (const call of client.calls.values()) if (!shared || call.method !== 'initialize') cancel(call, 'the client left')
    for (const id of traffic.questionsTo(client)) {
      traffic.settle(id)
      pipe.send(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32000, message: 'the client left' } }))
    }
    for (const uri of client.subscriptions ?? []) {
      if (traffic.isSubscribed(uri)) continue
      pipe.send(JSON.stringify({ jsonrpc: '2.0', id: traffic.nextInner(), method: 'resources/unsubscribe', params: { uri } }))
    }
  }

  async function close(graceSeconds?: number): Promise<void> {
    clearInterval(sweeper)
    // Whoever has not left would wait for what nobody says any more.
    end(new OpenMcpError('session_ended', 'the server is not served any more'))
    await pipe.close(graceSeconds)
  }

  return {
    join(events) {
      const client = traffic.join(events)
      return {
        kind: 'messages',
        send(post, _headers, reply) {
          for (const message of post.messages) send(client, message, reply)
        },
        async close() {
          leave(client)
          if (!shared) await close()
        },
      }
    },
    close,
    get clients() {
      return traffic.clients.size
    },
  }
}

/** Puts the names that the shared pipe knows in the place of the client's. */
function rename(message: RequestMessage, call: Call): void {
  message.body['id'] = call.inner
  const meta = metaOf(message)
  if (meta && call.token !== undefined) meta['progressToken'] = call.inner
}

function timedOut({ timeoutSeconds }: Limits): OpenMcpError {
  return new OpenMcpError('timeout', `no answer of the server within ${timeoutSeconds} s`, { hint: '--timeout changes the limit' })
}

function tooLarge({ messageBytes }: Limits): OpenMcpError {
  return new OpenMcpError('upstream_broke', `an answer of the server is larger than ${messageBytes} bytes`, { hint: '--max-message raises the limit' })
}
