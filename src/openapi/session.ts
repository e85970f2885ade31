// One owner's session with a server, which all its REST calls share: opened with the first of them, ended when it lies idle. The server
// is told of a client that offers nothing, so that it asks nothing back.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_HEADERS, type ForwardedHeaders, type Link, type LinkEvents, type MessageUpstream, type Reply, type Text } from '../protocol/exchange.ts'
import { jsonIn } from '../protocol/json.ts'
import { isId, isObject, type JsonObject, type JsonRpcId, type NotificationMessage, type Post, type RequestMessage } from '../protocol/message.ts'

/** What the server says of itself, and the list of something that it has. */
export interface ToolSession {
  readonly about: JsonObject
  /** All pages, from the server or as they were when it last said so. The same array until something changes. */
  list(kind: ListKind, headers: ForwardedHeaders): Promise<readonly JsonObject[]>
  /** What was listed may be another thing by now, though the server did not say so. */
  lookAgain(kind: ListKind): void
  /** Sends one request, once. Returns what takes it back; safe to repeat, and nothing after the answer. */
  ask(method: string, params: JsonObject, how: Asking): () => void
  close(): Promise<void>
}

export type ListKind = 'tools' | 'resources' | 'prompts'

interface Asking {
  headers: ForwardedHeaders
  /** How an answer to this post is seen by who asked. */
  seen?: (post: Post, reply: Reply) => Reply
  result(result: JsonObject): void
  error(code: number, message: string, data: unknown): void
  failed(error: OpenMcpError): void
  /** Told of progress and log lines that belong to it. */
  note?: (method: string, params: JsonObject) => void
}

export interface ToolSessionOptions {
  upstream: MessageUpstream
  caller: Caller
  headers: ForwardedHeaders
  /** The server has ended it. */
  ended(): void
  log: Log
}

const VERSION = '2025-11-25'
/** More would be a server that never comes to an end. */
const MOST_PAGES = 1000
const MOST_ITEMS = 20_000

export async function openToolSession({ upstream, caller, headers, ended, log }: ToolSessionOptions): Promise<ToolSession> {
  const lists = new Map<ListKind, Promise<readonly JsonObject[]>>()
  /** How each call in flight is ended from here. */
  const calls = new Set<(error: OpenMcpError) => void>()
  let lastId = 0
  const events: LinkEvents = {
    unsolicited(text) {
      const { id, method } = messageIn(text)
      if (isId(id) && typeof method === 'string') return answerNobody(link, id, method)
      const changed = typeof method === 'string' ? /^notifications\/(tools|resources|prompts)\/list_changed$/.exec(method)?.[1] : undefined
      if (changed === 'tools' || changed === 'resources' || changed === 'prompts') lists.delete(changed)
    },
    ended,
  }
  const link = upstream.open(events, caller)

  function ask(method: string, params: JsonObject, { headers: sent, seen = (_post, reply) => reply, ...asking }: Asking): () => void {
    const id = `openmcp:${++lastId}`
    let isOver = false
    const over = (): boolean => {
      if (isOver) return false
      isOver = true
      return calls.delete(failed)
    }
    const failed = (error: OpenMcpError): void => void (over() && asking.failed(error))
    calls.add(failed)
    const message: RequestMessage = { kind: 'request', id, method, body: { jsonrpc: '2.0', id, method, params } }
    const takeBack = (): void => {
      if (!over()) return
      link.send({ messages: [cancelled(id)], batch: false }, sent, NOBODY)
    }
    const post: Post = { messages: [message], batch: false }
    const reply: Reply = {
      message(text) {
        const { id: asked, method: said, params: company } = messageIn(text)
        if (isOver || typeof said !== 'string') return
        if (!isId(asked)) return asking.note?.(said, isObject(company) ? company : {})
        answerNobody(link, asked, said)
        // Of several calls in flight it may be another's; then each goes on as its server can.
        if (!OF_CLIENT.has(said) || calls.size > 1) return
        takeBack()
        asking.failed(beyondHttp(said))
      },
      answer(_id, text) {
        if (!over()) return
        const { result, error } = messageIn(text)
        if (isObject(result)) asking.result(result)
        else if (isObject(error)) asking.error(Number(error['code']), String(error['message']), error['data'])
        else asking.failed(new OpenMcpError('upstream_broke', 'the answer of the server cannot be read'))
      },
      failed,
      withdrawn: () => failed(new OpenMcpError('stopping', 'the call was taken back')),
    }
    link.send(post, sent, seen(post, reply))
    return takeBack
  }

  const asked = (method: string, params: JsonObject, sent: ForwardedHeaders): Promise<JsonObject> =>
    new Promise((resolve, reject) => {
      const error = (_code: number, message: string): void => reject(new OpenMcpError('upstream_broke', `the server refused ${method}`, { detail: message }))
      ask(method, params, { headers: sent, result: resolve, error, failed: reject })
    })

  async function drained(kind: ListKind, sent: ForwardedHeaders): Promise<readonly JsonObject[]> {
    const items: JsonObject[] = []
    const cursors = new Set<unknown>()
    let cursor: unknown
    for (let page = 0; page < MOST_PAGES && items.length < MOST_ITEMS; page++) {
      const result = await asked(`${kind}/list`, cursor === undefined ? {} : { cursor }, sent)
      const more: unknown = result[kind]
      if (Array.isArray(more)) items.push(...more.filter(isObject))
      cursor = result['nextCursor']
      if (typeof cursor !== 'string') return items
      if (cursors.has(cursor)) break
      cursors.add(cursor)
    }
    log.warn('a list of a server has no end; only its beginning is shown', { method: `${kind}/list` })
    return items.slice(0, MOST_ITEMS)
  }

  try {
    const params = { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: 'openmcp', version: '1' } }
    const about = await asked('initialize', params, headers)
    const method = 'notifications/initialized'
    link.send({ messages: [{ kind: 'notification', method, body: { jsonrpc: '2.0', method } }], batch: false }, headers, NOBODY)
    const capabilities = isObject(about['capabilities']) ? about['capabilities'] : {}
    return {
      about,
      async list(kind, sent) {
        if (!(kind in capabilities)) return []
        const known = lists.get(kind)
        if (known) return known
        const fresh = drained(kind, sent)
        lists.set(kind, fresh)
        // What failed is asked anew.
        fresh.catch(() => lists.get(kind) === fresh && lists.delete(kind))
        return fresh
      },
      lookAgain: (kind) => void lists.delete(kind),
      ask,
      async close() {
        for (const fail of calls) fail(new OpenMcpError('stopping', 'the session with the server was ended'))
        await link.close()
      },
    }
  } catch (error) {
    void link.close()
    throw error
  }
}

/** What a tool asks of its client that a plain HTTP call is none for. */
export function beyondHttp(what: string): OpenMcpError {
  return new OpenMcpError('needs_client', `the tool asks its client for ${what}, which a plain HTTP call cannot give`, { hint: 'call it by MCP' })
}

/** What a client has to do its part in. */
const OF_CLIENT = new Set(['sampling/createMessage', 'elicitation/create'])

const NOBODY: Reply = { message: () => {}, answer: () => {}, failed: () => {}, withdrawn: () => {} }

function answerNobody(link: Link, id: JsonRpcId, method: string): void {
  const said = method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'the client does not offer this' } }
  link.send({ messages: [{ kind: 'response', id, body: { jsonrpc: '2.0', id, ...said } }], batch: false }, NO_HEADERS, NOBODY)
}

function cancelled(requestId: string): NotificationMessage {
  const method = 'notifications/cancelled'
  return { kind: 'notification', method, body: { jsonrpc: '2.0', method, params: { requestId, reason: 'the client has left' } } }
}

function messageIn(text: Text): JsonObject {
  const value = jsonIn(typeof text === 'string' ? text : Buffer.concat(text).toString())
  return isObject(value) ? value : {}
}
