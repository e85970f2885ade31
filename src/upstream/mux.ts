// A pipe made into exchanges: which answer, progress or question of the server belongs to which request of which client.
//
// A pipe of one client carries its ids and progress tokens as they are. On a shared pipe both are replaced by numbers of
// ours, so that clients with equal ids never meet, and nothing reaches a client that was not meant for it.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Link, LinkEvents, Reply, Text } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import {
  isId,
  isObject,
  type JsonObject,
  type JsonRpcId,
  type Message,
  type NotificationMessage,
  type RequestMessage,
  type ResponseMessage,
} from '../protocol/message.ts'
import { META_LOG_LEVEL, META_SUBSCRIPTION, metaOf, paramsOf } from '../protocol/revision.ts'
import type { OpenPipe } from './pipe.ts'
import { answerIdAtEdge, withId } from './splice.ts'

export interface Mux {
  /** One more client of this pipe. */
  join(events: LinkEvents): Link
  /** Settles when the pipe is closed and everything behind it has ended. */
  close(): Promise<void>
  /** Clients that have joined and not left. */
  readonly clients: number
}

interface Client {
  readonly events: LinkEvents
  /** Calls in flight by the id the client gave them, oldest first. */
  readonly calls: Map<JsonRpcId, Call>
  /** Resources subscribed to: on a shared pipe an update goes to those who asked. */
  subscriptions: Set<string> | undefined
  /** What it said it can do at `initialize`; unknown before that, and to the stateless revision. */
  capabilities: JsonObject | undefined
}

interface Call {
  readonly client: Client
  readonly id: JsonRpcId
  readonly inner: JsonRpcId
  readonly method: string
  readonly token: JsonRpcId | undefined
  readonly reply: Reply
  readonly wantsLog: boolean
  lastSignMs: number
  cancelled: boolean
}

/** How long a server may still answer a request that was cancelled: some do, most rightly do not. */
const CANCELLED_MS = 5000
/** Lines up to this size are parsed whole; of a larger answer only the id is read, at its edge. */
const PARSED_WHOLE_BYTES = 64 * 1024
/** Progress of a task goes on after the answer that created it: so many tokens are remembered. */
const TASK_TOKENS_KEPT = 1000

export interface MuxOptions {
  open: OpenPipe
  shared: boolean
  limits: Limits
  log: Log
  now: () => number
  /** The pipe ended by itself or was closed. */
  onEnd: () => void
}

export function createMux({ open, shared, limits, log, now, onEnd }: MuxOptions): Mux {
  const clients = new Set<Client>()
  const calls = new Map<JsonRpcId, Call>()
  const tokens = new Map<JsonRpcId, Call>()
  const taskTokens = new Map<JsonRpcId, { client: Client; token: JsonRpcId }>()
  /** Requests of the server that wait for a client's answer. */
  const asked = new Map<JsonRpcId, Client>()
  const handshake = createSharedHandshake()
  let nextInner = 1
  let over: OpenMcpError | undefined

  const pipe = open({
    line(bytes) {
      if (bytes.length > PARSED_WHOLE_BYTES && bigAnswer(bytes)) return
      const text = bytes.toString()
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch {
        log.warn('the server wrote a line that is not JSON; it is dropped', { bytes: bytes.length })
        return
      }
      if (Array.isArray(value)) for (const one of value) received(one, JSON.stringify(one))
      else received(value, text)
    },
    tooLong(head, tail) {
      const inner = answerIdAtEdge(head, tail)
      const error = new OpenMcpError('upstream_broke', `an answer of the server is larger than ${limits.messageBytes} bytes`, {
        hint: '--max-message raises the limit',
      })
      const call = inner === undefined ? undefined : finish(inner)
      log.warn('the server sent a message that is too large; it is dropped', { limit: limits.messageBytes })
      call?.reply.failed(error, call.id)
    },
    ended(error) {
      over = error
      clearInterval(sweeper)
      for (const call of calls.values()) {
        finish(call.inner)
        call.reply.failed(error, call.id)
      }
      handshake.learned(undefined, error)
      for (const client of clients) {
        clients.delete(client)
        client.events.ended(error)
      }
      onEnd()
    },
  })

  const waitMs = limits.timeoutSeconds === 0 ? Infinity : limits.timeoutSeconds * 1000
  const sweeper = setInterval(sweep, Math.max(50, Math.min(1000, waitMs / 10)))
  sweeper.unref()
  function sweep(): void {
    for (const call of calls.values()) {
      const silentMs = now() - call.lastSignMs
      if (call.cancelled && silentMs >= CANCELLED_MS) {
        finish(call.inner)
        call.reply.withdrawn(call.id)
      }
      if (silentMs < waitMs || call.cancelled || call.method === 'subscriptions/listen') continue
      cancel(call, 'timed out')
      if (call.method === 'initialize') handshake.learned(undefined)
      call.reply.failed(
        new OpenMcpError('timeout', `no answer of the server within ${limits.timeoutSeconds} s`, { hint: '--timeout changes the limit' }),
        call.id,
      )
    }
  }

  // ---- client → server

  function send(client: Client, message: Message, reply: Reply): void {
    if (over) return void (message.kind === 'request' && reply.failed(over, message.id))
    if (message.kind === 'request') request(client, message, reply)
    else if (message.kind === 'notification') notification(client, message)
    else response(client, message)
  }

  function request(client: Client, message: RequestMessage, reply: Reply): void {
    const { id, method, body } = message
    if (client.calls.has(id)) return reply.failed(new OpenMcpError('invalid_request', 'a request with this id is in flight'), id)
    if (client.calls.size >= limits.streams)
      return reply.failed(
        new OpenMcpError('busy', `more than ${limits.streams} calls in flight in one session`, { hint: '--max-streams changes the limit' }),
        id,
      )
    if (pipe.bufferedBytes > limits.bufferedBytes) return reply.failed(new OpenMcpError('busy', 'the server does not read what it is sent'), id)
    if (method === 'initialize') {
      const capabilities = paramsOf(message)?.['capabilities']
      client.capabilities = isObject(capabilities) ? capabilities : {}
      if (shared && handshake.answers(id, reply)) return
    }
    if (shared && answeredForOthers(client, message, reply)) return
    const meta = metaOf(message)
    const token = meta?.['progressToken']
    const inner = shared ? nextInner++ : id
    const call: Call = {
      client,
      id,
      inner,
      method,
      reply,
      token: isId(token) ? token : undefined,
      wantsLog: meta?.[META_LOG_LEVEL] !== undefined,
      lastSignMs: now(),
      cancelled: false,
    }
    client.calls.set(id, call)
    calls.set(inner, call)
    if (call.token !== undefined) tokens.set(shared ? inner : call.token, call)
    if (shared) {
      body['id'] = inner
      if (meta && call.token !== undefined) meta['progressToken'] = inner
    }
    pipe.send(JSON.stringify(body), (error) => {
      if (calls.get(inner) === call) finish(inner)?.reply.failed(error, id)
    })
  }

  /** On a shared pipe what one client subscribes to or gives up must not decide for the others. */
  function answeredForOthers(client: Client, message: RequestMessage, reply: Reply): boolean {
    const uri = paramsOf(message)?.['uri']
    if (typeof uri !== 'string') return false
    if (message.method === 'resources/subscribe') (client.subscriptions ??= new Set()).add(uri)
    if (message.method !== 'resources/unsubscribe') return false
    client.subscriptions?.delete(uri)
    if (![...clients].some((other) => other.subscriptions?.has(uri))) return false
    reply.answer(message.id, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} }), undefined)
    return true
  }

  function notification(client: Client, message: NotificationMessage): void {
    const params = paramsOf(message)
    if (message.method === 'notifications/cancelled') {
      const id = params?.['requestId']
      const call = isId(id) ? client.calls.get(id) : undefined
      if (!call || !params) return
      call.cancelled = true
      call.lastSignMs = now()
      if (shared) params['requestId'] = call.inner
    }
    if (shared && message.method === 'notifications/initialized' && !handshake.firstInitialized()) return
    pipe.send(JSON.stringify(message.body))
  }

  function response(client: Client, message: ResponseMessage): void {
    if (asked.get(message.id) !== client) return log.debug('an answer to no question of the server is dropped')
    asked.delete(message.id)
    pipe.send(JSON.stringify(message.body))
  }

  function cancel(call: Call, reason: string): void {
    finish(call.inner)
    pipe.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: call.inner, reason } }))
  }

  /** Forgets a call and returns it. */
  function finish(inner: JsonRpcId): Call | undefined {
    const call = calls.get(inner)
    if (!call) return undefined
    calls.delete(inner)
    call.client.calls.delete(call.id)
    if (call.token !== undefined) tokens.delete(shared ? inner : call.token)
    return call
  }

  // ---- server → client

  /** An answer too large to parse for its id alone: the id is exchanged in place. True when that could be done. */
  function bigAnswer(bytes: Buffer): boolean {
    const inner = answerIdAtEdge(bytes, bytes)
    const text = inner === undefined ? undefined : withId(bytes, inner, calls.get(inner)?.id)
    if (inner === undefined || text === undefined || calls.get(inner)?.method === 'initialize') return false
    const call = finish(inner)
    if (!call) return false
    call.reply.answer(call.id, text, undefined)
    return true
  }

  function received(value: unknown, text: string): void {
    if (!isObject(value)) return log.warn('the server wrote JSON that is no message; it is dropped')
    const { id, method } = value
    if (typeof method === 'string') {
      if (id === undefined) return noted(value, method, text)
      return isId(id) ? question(value, id, method, text) : log.warn('the server sent a request without a usable id; it is dropped', { method })
    }
    if (!isId(id)) return log.warn('the server sent an answer without an id; it is dropped')
    const call = finish(id)
    if (!call) return log.debug('an answer to no request is dropped')
    const error = value['error']
    const code = isObject(error) && typeof error['code'] === 'number' ? error['code'] : undefined
    if (shared && call.token !== undefined) keepTaskToken(call, value['result'])
    if (shared && call.method === 'initialize') handshake.learned(code === undefined ? value['result'] : undefined)
    call.reply.answer(call.id, oneLine(value, text, call), error === undefined ? undefined : (code ?? 0))
  }

  function oneLine(value: JsonObject, text: string, call: Call): Text {
    if (!shared || call.inner === call.id) return text.includes('\r') ? JSON.stringify(value) : text
    if (isObject(value['result'])) restoreSubscription(value['result'], call)
    const spliced = metaTouched(value, call) || text.includes('\r') ? undefined : withId(text, call.inner, call.id)
    if (spliced !== undefined) return spliced
    value['id'] = call.id
    return JSON.stringify(value)
  }

  function noted(value: JsonObject, method: string, text: string): void {
    const params = isObject(value['params']) ? value['params'] : {}
    const line = (): string => (text.includes('\r') ? JSON.stringify(value) : text)
    const token = params['progressToken']
    if (method === 'notifications/progress' && isId(token)) return progress(value, params, token, line)
    const subscription = isObject(params['_meta']) ? params['_meta'][META_SUBSCRIPTION] : undefined
    if (isId(subscription)) return subscribed(value, params, subscription, line)
    if (method === 'notifications/cancelled') {
      const id = params['requestId']
      const client = isId(id) ? asked.get(id) : undefined
      if (!client || !isId(id)) return
      asked.delete(id)
      return toNewestCall(client, line())
    }
    if (!shared) {
      for (const client of clients) toCallOrClient(client, method, line())
      return
    }
    if (method === 'notifications/resources/updated') {
      const uri = params['uri']
      for (const client of clients) if (typeof uri === 'string' && client.subscriptions?.has(uri)) client.events.unsolicited(line())
      return
    }
    if (method.endsWith('/list_changed')) {
      for (const client of clients) client.events.unsolicited(line())
      return
    }
    // A log line may speak of the call that caused it: only when no other client's call is in flight is it surely ours to give.
    const call = onlyCall(method)
    if (call) return call.reply.message(line())
    log.debug('a notification that belongs to no single client is dropped', { method })
  }

  function progress(value: JsonObject, params: JsonObject, token: JsonRpcId, line: () => string): void {
    const call = tokens.get(token)
    if (call) {
      call.lastSignMs = now()
      if (!shared) return call.reply.message(line())
      params['progressToken'] = call.token
      return call.reply.message(JSON.stringify(value))
    }
    const task = taskTokens.get(token)
    if (task) {
      params['progressToken'] = task.token
      return task.client.events.unsolicited(JSON.stringify(value))
    }
    if (!shared) for (const client of clients) client.events.unsolicited(line())
  }

  function subscribed(value: JsonObject, params: JsonObject, subscription: JsonRpcId, line: () => string): void {
    const call = calls.get(subscription)
    if (!call) return log.debug('a notification of no subscription is dropped')
    if (!shared) return call.reply.message(line())
    if (isObject(params['_meta'])) params['_meta'][META_SUBSCRIPTION] = call.id
    call.reply.message(JSON.stringify(value))
  }

  /** A request of the server: to the client whose call caused it, or refused. */
  function question(value: JsonObject, id: JsonRpcId, method: string, text: string): void {
    const line = text.includes('\r') ? JSON.stringify(value) : text
    if (!shared) {
      for (const client of clients) {
        asked.set(id, client)
        toCallOrClient(client, method, line)
      }
      return
    }
    if (method === 'ping') return pipe.send(JSON.stringify({ jsonrpc: '2.0', id, result: {} }))
    const client = onlyClientWithCalls()
    const refuse = (why: string): void => pipe.send(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: why } }))
    if (!client) return refuse('no single client has a call in flight on this shared server')
    if (!canAnswer(client, method)) return refuse('the client does not offer this')
    asked.set(id, client)
    toNewestCall(client, line)
  }

  function toCallOrClient(client: Client, method: string, line: string): void {
    if (client.calls.size === 0 || method.endsWith('/list_changed') || method === 'notifications/resources/updated') client.events.unsolicited(line)
    else toNewestCall(client, line)
  }

  /** With several calls in flight the pipe does not say which one is meant; the newest is the likeliest, and all are this client's. */
  function toNewestCall(client: Client, line: string): void {
    let newest: Call | undefined
    for (const call of client.calls.values()) if (call.method !== 'subscriptions/listen' || !newest) newest = call
    if (!newest) return client.events.unsolicited(line)
    newest.lastSignMs = now()
    newest.reply.message(line)
  }

  function onlyClientWithCalls(): Client | undefined {
    let only: Client | undefined
    for (const { client } of calls.values()) {
      if (only && only !== client) return undefined
      only = client
    }
    return only
  }

  function onlyCall(method: string): Call | undefined {
    const client = onlyClientWithCalls()
    let newest: Call | undefined
    for (const call of client?.calls.values() ?? []) if (call.method !== 'subscriptions/listen') newest = call
    // A stateless request gets log lines only when it asked for them (2026-07-28 logging).
    return newest && (method !== 'notifications/message' || client?.capabilities !== undefined || newest.wantsLog) ? newest : undefined
  }

  function keepTaskToken(call: Call, result: unknown): void {
    if (call.token === undefined || !isObject(result) || !isObject(result['task'])) return
    taskTokens.set(call.inner, { client: call.client, token: call.token })
    for (const oldest of taskTokens.keys()) {
      if (taskTokens.size <= TASK_TOKENS_KEPT) break
      taskTokens.delete(oldest)
    }
  }

  // ---- clients

  function leave(client: Client): void {
    if (!clients.delete(client)) return
    // The first client's `initialize` is everybody's: its answer is waited for, whoever stays.
    for (const call of client.calls.values()) if (!shared || call.method !== 'initialize') cancel(call, 'the client left')
    for (const [id, whom] of asked) if (whom === client) asked.delete(id)
    for (const [inner, task] of taskTokens) if (task.client === client) taskTokens.delete(inner)
    for (const uri of client.subscriptions ?? []) {
      if ([...clients].some((other) => other.subscriptions?.has(uri))) continue
      pipe.send(JSON.stringify({ jsonrpc: '2.0', id: nextInner++, method: 'resources/unsubscribe', params: { uri } }))
    }
  }

  return {
    join(events) {
      const client: Client = { events, calls: new Map(), subscriptions: undefined, capabilities: undefined }
      clients.add(client)
      return {
        kind: 'messages',
        send: (post, _headers, reply) => {
          for (const message of post.messages) send(client, message, reply)
        },
        async close() {
          leave(client)
          if (!shared) await pipe.close()
        },
      }
    },
    async close() {
      clearInterval(sweeper)
      await pipe.close()
    },
    get clients() {
      return clients.size
    },
  }
}

function canAnswer(client: Client, method: string): boolean {
  const needs = { 'sampling/createMessage': 'sampling', 'elicitation/create': 'elicitation', 'roots/list': 'roots' }[method]
  return needs === undefined || client.capabilities === undefined || client.capabilities[needs] !== undefined
}

/** `subscriptions/listen` says its own id in its answers; on a shared pipe that is a number of ours. */
function restoreSubscription(result: JsonObject, call: Call): void {
  const meta = result['_meta']
  if (isObject(meta) && meta[META_SUBSCRIPTION] === call.inner) meta[META_SUBSCRIPTION] = call.id
}

function metaTouched(value: JsonObject, call: Call): boolean {
  const result = value['result']
  return call.method === 'subscriptions/listen' && isObject(result)
}

/** On a shared pipe the server is initialised once, by the first client; the others get the same answer. */
function createSharedHandshake(): {
  answers(id: JsonRpcId, reply: Reply): boolean
  /** What the server said; without a result the clients that wait for it are told the reason. */
  learned(result: unknown, reason?: OpenMcpError): void
  firstInitialized(): boolean
} {
  let result: unknown
  let asking = false
  let initialized = false
  let waiting: { id: JsonRpcId; reply: Reply }[] = []
  const tell = (id: JsonRpcId, reply: Reply): void => reply.answer(id, JSON.stringify({ jsonrpc: '2.0', id, result }), undefined)
  return {
    answers(id, reply) {
      if (result !== undefined) tell(id, reply)
      else if (asking) waiting.push({ id, reply })
      else {
        asking = true
        return false
      }
      return true
    },
    learned(answer, reason = new OpenMcpError('child_failed', 'the server refused to be initialised')) {
      result = answer
      asking = false
      const queue = waiting
      waiting = []
      for (const { id, reply } of queue) {
        if (result !== undefined) tell(id, reply)
        else reply.failed(reason, id)
      }
    },
    firstInitialized() {
      const first = !initialized
      initialized = true
      return first
    },
  }
}
