// What all REST calls of one owner at one server share: opened with the first of them, ended when it lies idle. The server is told of a
// client that offers nothing, so that it asks nothing back.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { ForwardedHeaders, LinkEvents, MessageUpstream, Reply } from '../protocol/exchange.ts'
import { isId, isObject, type JsonObject, type Post } from '../protocol/message.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'
import { createLists, type Lists } from './lists.ts'
import { beyondHttp } from './needs-client.ts'
import { eachAlone, INITIALIZE, inSession, type Sent, type WayUp } from './ways-up.ts'
import { objectIn } from '../protocol/text.ts'

export interface ToolSession {
  /** What the server says of itself. */
  readonly about: JsonObject
  readonly lists: Lists
  /** Sends one request, once. Returns what takes it back; safe to repeat, and nothing after the answer. */
  ask(method: string, params: JsonObject, how: Asking): () => void
  close(): Promise<void>
}

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
  /** It is not wanted any more before it is open. */
  signal: AbortSignal
  log: Log
  now: () => number
}

/** By `initialize`, or, at a server that knows no sessions any more, by `server/discover`. */
export async function openToolSession({ upstream, caller, headers, ended, signal, log, now }: ToolSessionOptions): Promise<ToolSession> {
  /** How each call in flight is ended from here. */
  const calls = new TurnoverSet<(error: OpenMcpError) => void>()
  let lastId = 0
  let lists: Lists | undefined
  const events: LinkEvents = {
    unsolicited(text) {
      const { id, method } = objectIn(text)
      if (typeof method !== 'string') return
      if (isId(id)) return session.decline(id, method)
      const changed = /^notifications\/(\w+)\/list_changed$/.exec(method)?.[1]
      if (changed !== undefined) lists?.changed(changed)
    },
    ended,
  }
  const session = inSession(upstream.open(events, caller))
  let way: WayUp = session

  function ask(method: string, params: JsonObject, { headers: own, seen = (_post, reply) => reply, ...asking }: Asking): () => void {
    let sent: Sent | undefined
    let isOver = false
    const over = (): boolean => {
      if (isOver) return false
      isOver = true
      sent?.over()
      return calls.delete(failed)
    }
    const failed = (error: OpenMcpError): void => void (over() && asking.failed(error))
    const takeBack = (): void => {
      if (isOver) return
      isOver = true
      calls.delete(failed)
      sent?.takenBack()
    }
    const reply: Reply = {
      message(text) {
        const { id, method: said, params: company } = objectIn(text)
        if (isOver || typeof said !== 'string') return
        if (!isId(id)) return asking.note?.(said, isObject(company) ? company : {})
        way.decline(id, said)
        // Of several calls in flight it may be another's; then each goes on as its server can.
        if (!OF_CLIENT.has(said) || calls.size > 1) return
        takeBack()
        asking.failed(beyondHttp(said))
      },
      answer(_id, text) {
        if (!over()) return
        const { result, error } = objectIn(text)
        if (isObject(result)) asking.result(result)
        else if (isObject(error)) refused(error)
        else asking.failed(new OpenMcpError('upstream_broke', 'the answer of the server cannot be read'))
      },
      failed,
      withdrawn: () => failed(new OpenMcpError('stopping', 'the call was taken back')),
    }
    const refused = ({ code, message, data }: JsonObject): void =>
      asking.error(typeof code === 'number' ? code : 0, typeof message === 'string' ? message : 'the server refused without a word', data)
    calls.add(failed)
    sent = way.send(`openmcp:${++lastId}`, method, params, own, (post) => seen(post, reply))
    if (isOver) sent.over()
    return takeBack
  }

  /** For what is asked of the server before or beside calls: its result, or how it refused. */
  const asked = (method: string, params: JsonObject, own: ForwardedHeaders): Promise<{ result: JsonObject } | Refused> =>
    new Promise((resolve, reject) => {
      const error = (code: number, message: string): void =>
        resolve({ code, refused: new OpenMcpError('upstream_broke', `the server refused ${method}`, { detail: message }) })
      ask(method, params, { headers: own, result: (result) => resolve({ result }), error, failed: reject })
    })

  async function greet(): Promise<JsonObject> {
    const greeting = await asked('initialize', INITIALIZE, headers)
    if ('result' in greeting) {
      session.initialized(headers)
      return greeting.result
    }
    void session.close()
    way = eachAlone(upstream, caller)
    const found = await asked('server/discover', {}, headers)
    if ('result' in found) return asGreeting(found.result)
    throw greeting.refused
  }

  const stop = (): void => {
    for (const fail of calls) fail(new OpenMcpError('stopping', 'the session with the server was ended'))
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (signal.aborted) throw new OpenMcpError('stopping', 'the session with the server was ended')
    const about = await greet()
    if (JSON.stringify(about).length > MOST_ABOUT_CHARS) throw new OpenMcpError('upstream_broke', 'the server says more of itself than can be kept')
    const { capabilities } = about
    lists = createLists({
      capabilities: isObject(capabilities) ? capabilities : {},
      tells: way.tells,
      async ask(method, params, own) {
        const answer = await asked(method, params, own)
        if ('result' in answer) return answer.result
        // Where there is no such list nothing is listed.
        if (answer.code === METHOD_NOT_FOUND) return {}
        throw answer.refused
      },
      log,
      now,
    })
    return {
      about,
      lists,
      ask,
      async close() {
        stop()
        await way.close()
      },
    }
  } catch (error) {
    void session.close()
    throw error
  }
}

interface Refused {
  readonly code: number
  readonly refused: OpenMcpError
}

/** Of JSON: each caller's session has its own. */
const MOST_ABOUT_CHARS = 1024 * 1024
const METHOD_NOT_FOUND = -32_601
/** What a client has to do its part in. */
const OF_CLIENT = new Set(['sampling/createMessage', 'elicitation/create'])
/** Where the later revision says who the server is. */
const META_SERVER = 'io.modelcontextprotocol/serverInfo'

/** In the members that an answer to `initialize` has. */
function asGreeting({ _meta: meta, ...found }: JsonObject): JsonObject {
  const serverInfo = isObject(meta) ? meta[META_SERVER] : undefined
  return { ...(serverInfo !== undefined && { serverInfo }), ...found }
}
