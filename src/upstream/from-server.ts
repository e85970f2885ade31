// Server → client: which client, and which of its calls, a message of the server belongs to.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Text } from '../protocol/exchange.ts'
import { isTooDeep, jsonIn, MOST_LEVELS } from '../protocol/json.ts'
import { EDGE_BYTES } from '../protocol/lines.ts'
import { isId, isObject, type JsonObject, type JsonRpcId } from '../protocol/message.ts'
import { META_SUBSCRIPTION } from '../protocol/revision.ts'
import type { Handshake } from './handshake.ts'
import { answerIdAtEdge, isResultAtEdge, withId } from './splice.ts'
import { newestCallOf, type Call, type Client, type Traffic } from './traffic.ts'

export interface FromServerOptions {
  traffic: Traffic
  shared: boolean
  handshake: Handshake
  /** An answer of ours to a question that no client gets. */
  answer(text: string): void
  log: Log
  now: () => number
}

const ID_FIRST = /^\[?\{(?:"jsonrpc":"2\.0",)?\s*"id":("(?:[^"\\]|\\.){0,200}"|-?\d{1,16}),/
const ID_LAST = /,"id":("(?:[^"\\]|\\.){0,200}"|-?\d{1,16})\}$/

/** Lines up to this size are parsed whole; of a larger answer only the id is read, at its edge. */
const PARSED_WHOLE_BYTES = 64 * 1024

/** What a client must have offered at `initialize` to be asked this. */
const NEEDED_CAPABILITY = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
])

/** Takes the server's lines, one by one. */
export function createFromServer({ traffic, shared, handshake, answer, log, now }: FromServerOptions): (line: Buffer) => void {
  return (bytes) => {
    if (bytes.length > PARSED_WHOLE_BYTES && bigAnswer(bytes)) return
    const text = bytes.toString()
    if (isTooDeep(text)) return tooDeep(text)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return log.warn('the server wrote a line that is not JSON; it is dropped', { bytes: bytes.length })
    }
    if (Array.isArray(value)) for (const one of value) received(one, JSON.stringify(one))
    else received(value, text.includes('\r') ? text.replaceAll('\r', ' ') : text)
  }

  /** It is not parsed: whose answer it is can mostly be seen at one of its ends. */
  function tooDeep(text: string): void {
    log.warn('the server sent a message that nests too deeply; it is dropped', { levels: MOST_LEVELS })
    const match = ID_FIRST.exec(text) ?? (text.startsWith('{') ? ID_LAST.exec(text.slice(-EDGE_BYTES)) : null)
    const id = match?.[1] === undefined ? undefined : jsonIn(match[1])
    const call = isId(id) ? traffic.finish(id) : undefined
    call?.reply.failed(new OpenMcpError('upstream_broke', `an answer of the server nests deeper than ${MOST_LEVELS} levels`), call.id)
  }

  /** An answer too large to parse for its id alone: the id is exchanged in place. True when that could be done. */
  function bigAnswer(bytes: Buffer): boolean {
    const inner = isResultAtEdge(bytes) ? answerIdAtEdge(bytes, bytes) : undefined
    const call = inner === undefined ? undefined : traffic.calls.get(inner)
    const text = call && call.method !== 'initialize' ? withId(bytes, call.inner, call.id) : undefined
    if (!call || text === undefined) return false
    traffic.finish(call.inner)
    call.reply.answer(call.id, text, undefined)
    return true
  }

  /** `text` is the value on one line. */
  function received(value: unknown, text: string): void {
    if (!isObject(value)) return log.warn('the server wrote JSON that is no message; it is dropped')
    const { id, method } = value
    if (typeof method === 'string') {
      if (id === undefined) return noted(value, method, text)
      return isId(id) ? question(id, method, text) : log.warn('the server sent a request without a usable id; it is dropped', { method })
    }
    if (!isId(id)) return log.warn('the server sent an answer without an id; it is dropped')
    const call = traffic.finish(id)
    if (!call) return log.debug('an answer to no request is dropped')
    const { result, error } = value
    traffic.keepTask(call, result)
    if (shared && call.method === 'initialize') handshake.learned(error === undefined ? result : undefined)
    const errorCode = error === undefined ? undefined : isObject(error) && typeof error['code'] === 'number' ? error['code'] : 0
    call.reply.answer(call.id, shared ? renamed(value, text, call) : text, errorCode)
  }

  /** The answer with the id that the client knows. */
  function renamed(value: JsonObject, text: string, call: Call): Text {
    const meta = isObject(value['result']) ? value['result']['_meta'] : undefined
    // `subscriptions/listen` says its own id in its answer.
    const namesItself = isObject(meta) && meta[META_SUBSCRIPTION] === call.inner
    if (namesItself) meta[META_SUBSCRIPTION] = call.id
    const spliced = namesItself ? undefined : withId(text, call.inner, call.id)
    if (spliced !== undefined) return spliced
    value['id'] = call.id
    return JSON.stringify(value)
  }

  function noted(value: JsonObject, method: string, text: string): void {
    const params = isObject(value['params']) ? value['params'] : {}
    const token = params['progressToken']
    if (method === 'notifications/progress' && isId(token)) return progress(value, params, token, text)
    const meta = isObject(params['_meta']) ? params['_meta'] : {}
    if (isId(meta[META_SUBSCRIPTION])) return subscribed(value, meta, meta[META_SUBSCRIPTION], text)
    if (method === 'notifications/cancelled') return takenBack(params['requestId'], text)
    if (!shared) return toOwner(method, text)
    if (method === 'notifications/resources/updated') return toSubscribers(params['uri'], text)
    if (method.endsWith('/list_changed')) return toAll(text)
    // A log line may speak of the call that caused it: only when no other client's call is in flight is it surely this one's.
    const caller = traffic.onlyCaller()
    const call = caller && newestCallOf(caller)
    // A stateless request gets log lines only when it asked for them (2026-07-28 basic/utilities/logging).
    const wanted = method !== 'notifications/message' || caller?.capabilities !== undefined || call?.wantsLog
    if (call && wanted) call.reply.message(text)
    else log.debug('a notification that belongs to no single client is dropped', { method })
  }

  function progress(value: JsonObject, params: JsonObject, token: JsonRpcId, text: string): void {
    const call = traffic.callOfToken(token)
    if (call) {
      call.lastSignMs = now()
      if (!shared) return call.reply.message(text)
      params['progressToken'] = call.token
      return call.reply.message(JSON.stringify(value))
    }
    if (!shared) return toAll(text)
    const task = traffic.taskOfToken(token)
    if (!task) return log.debug('progress of no call is dropped')
    params['progressToken'] = task.token
    task.client.events.unsolicited(JSON.stringify(value))
  }

  function subscribed(value: JsonObject, meta: JsonObject, subscription: JsonRpcId, text: string): void {
    const call = traffic.calls.get(subscription)
    if (!call) return log.debug('a notification of no subscription is dropped')
    if (!shared) return call.reply.message(text)
    meta[META_SUBSCRIPTION] = call.id
    call.reply.message(JSON.stringify(value))
  }

  /** The server wants no answer to its question any more. */
  function takenBack(id: unknown, text: string): void {
    const client = isId(id) ? traffic.askedOf(id) : undefined
    if (!client || !isId(id)) return
    traffic.settle(id)
    toCaller(client, text)
  }

  /** A request of the server: to the client whose call caused it, or refused. */
  function question(id: JsonRpcId, method: string, text: string): void {
    if (!shared) {
      for (const client of traffic.clients) traffic.ask(id, client)
      return toOwner(method, text)
    }
    if (method === 'ping') return answer(JSON.stringify({ jsonrpc: '2.0', id, result: {} }))
    const client = traffic.onlyCaller()
    const refuse = (message: string): void => answer(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message } }))
    if (!client) return refuse('no single client has a call in flight on this shared server')
    const needed = NEEDED_CAPABILITY.get(method)
    if (needed !== undefined && client.capabilities?.[needed] === undefined) return refuse('the client does not offer this')
    traffic.ask(id, client)
    toCaller(client, text)
  }

  /** A pipe of one client: to its newest call, where there is one and the message can belong to it. */
  function toOwner(method: string, text: string): void {
    const isNews = method.endsWith('/list_changed') || method === 'notifications/resources/updated'
    if (isNews) return toAll(text)
    for (const client of traffic.clients) toCaller(client, text)
  }

  function toCaller(client: Client, text: string): void {
    const call = newestCallOf(client)
    if (!call) return client.events.unsolicited(text)
    call.lastSignMs = now()
    call.reply.message(text)
  }

  function toAll(text: string): void {
    for (const client of traffic.clients) client.events.unsolicited(text)
  }

  function toSubscribers(uri: unknown, text: string): void {
    for (const client of traffic.clients) if (typeof uri === 'string' && client.subscriptions?.has(uri)) client.events.unsolicited(text)
  }
}
