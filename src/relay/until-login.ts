// A server at which each caller logs in themselves, for clients of those who have not, or not any more: their session stays open, says where
// to log in, and goes on at the server once they have. Nothing is sent there before.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_REPLY, type ForwardedHeaders, type Link, type LinkEvents, type MessageUpstream, type Reply } from '../protocol/exchange.ts'
import { alone, isObject, type JsonObject, type Message, type Post, type RequestMessage } from '../protocol/message.ts'
import { paramsOf } from '../protocol/revision.ts'
import { createLoginWords, KINDS, LISTS } from './login-words.ts'
import { resultIn } from '../protocol/text.ts'

export interface UntilLogin {
  /** The same upstream. A link of it whose `initialize` fails with `login_needed` is answered here, until there is a login. */
  of(upstream: MessageUpstream): MessageUpstream
  /** Whoever this says has another login than before, or none: what their sessions have at the server ends, and clients are told to look again. */
  changed(isWhose: (caller: Caller) => boolean): void
}

interface Waiting extends Link {
  readonly caller: Caller
  changed(): void
}

/** What a client began with is kept as long as its session. One that says more hears of the login by the error alone. */
const MOST_HELLO = 64 * 1024

export function createUntilLogin({ server, loginAt }: { server: string; loginAt(): string }): UntilLogin {
  const links = new Set<Waiting>()
  return {
    of: (upstream) => ({
      ...upstream,
      open(events, caller) {
        const link = openLink({ server, loginAt, upstream, events, caller, closed: () => void links.delete(link) })
        links.add(link)
        return link
      },
    }),
    changed(isWhose) {
      for (const link of links) if (isWhose(link.caller)) link.changed()
    },
  }
}

interface LinkOptions {
  server: string
  loginAt(): string
  upstream: MessageUpstream
  events: LinkEvents
  caller: Caller
  closed(): void
}

function openLink({ server, loginAt, upstream, events, caller, closed }: LinkOptions): Waiting {
  const words = createLoginWords({ server, loginAt })
  const ownId = `openmcp:${words.elicitationId}`
  /** What the client began with. */
  let hello: { message: RequestMessage; headers: ForwardedHeaders } | undefined
  /** What that was answered with: by the server, or here, until there is a login. */
  let version: unknown
  let isWaiting = false
  let isListening = false
  let isAsked = false
  let isClosed = false
  let joining: Promise<Link> | undefined
  let abandon = (_error: OpenMcpError): void => {}
  /** How often the login has changed: what was begun with one is not gone on with by another. */
  let changes = 0
  /** Of kinds that are not among them there is an empty list for a client that was promised one. Undefined: it was promised nothing. */
  let capabilities: JsonObject | undefined
  /** Ends each call that the server has not answered. */
  const calls = new Set<(error: OpenMcpError) => void>()
  let inner = open()

  function open(): Link {
    const isInUse = (): boolean => link === inner && !isWaiting
    const link: Link = upstream.open(
      {
        unsolicited: (text) => void (isInUse() && events.unsolicited(text)),
        ended: (error) => void (isInUse() && events.ended(error)),
      },
      caller,
    )
    return link
  }

  function opensUrls(): boolean {
    const modes = (hello && asObject(paramsOf(hello.message)?.['capabilities']))?.['elicitation']
    return isObject(modes) && isObject(modes['url'])
  }

  /** To one request that came before there is a login. */
  function answerOf({ method }: RequestMessage, reply: Reply): JsonObject | undefined {
    const list = LISTS.get(method)
    if (method === 'ping') return {}
    if (list) {
      if (opensUrls() && !isAsked) {
        isAsked = true
        reply.message(JSON.stringify({ jsonrpc: '2.0', id: ownId, method: 'elicitation/create', params: words.elicitation() }))
      }
      return { [list.key]: [] }
    }
    return inWords(method)
  }

  /** For a client that opens addresses there is an error that says which. */
  const inWords = (method: string): JsonObject | undefined => (opensUrls() ? undefined : words.inWords(method))

  /** The server, with what the client has said to us said to it. Fails with `login_needed` as long as there is no login. */
  function join({ message, headers }: NonNullable<typeof hello>): Promise<Link> {
    return new Promise((resolve, reject) => {
      const link = open()
      const before = changes
      const failed = (error: OpenMcpError): void => {
        void link.close()
        reject(error)
      }
      abandon = failed
      link.send(alone(message), headers, {
        message: () => {},
        answer(_id, text) {
          const result = resultIn(text)
          if (before !== changes || isClosed) return failed(words.broken())
          if (!result) return failed(new OpenMcpError('upstream_broke', 'the server refused to be initialised'))
          // The client has agreed on a revision, and will not agree again.
          if (result['protocolVersion'] !== version) {
            const error = over('the server speaks another revision')
            failed(error)
            return events.ended(error)
          }
          capabilities = asObject(result['capabilities']) ?? {}
          inner = link
          isWaiting = false
          abandon = () => {}
          const method = 'notifications/initialized'
          link.send(alone({ kind: 'notification', method, body: { jsonrpc: '2.0', method } }), headers, NO_REPLY)
          resolve(link)
        },
        failed,
        withdrawn: () => failed(over('the first message was taken back')),
      })
    })
  }

  function initialize(message: RequestMessage, headers: ForwardedHeaders, reply: Reply): void {
    hello = JSON.stringify(message.body).length <= MOST_HELLO ? { message, headers } : undefined
    const begun = (result: JsonObject | undefined): void => void (version = result?.['protocolVersion'])
    inner.send(alone(message), headers, {
      ...reply,
      answer(id, text, errorCode) {
        begun(resultIn(text))
        reply.answer(id, text, errorCode)
      },
      failed(error, id) {
        if (error.code !== 'login_needed' || !hello) return reply.failed(error, id)
        const greeting = words.greeting(message)
        begun(greeting)
        leave()
        answer(reply, message, greeting)
      },
    })
  }

  /** Nothing of the login before is used for what comes. */
  function leave(): void {
    isWaiting = true
    void inner.close()
    for (const end of calls) end(words.broken())
  }

  function wait(message: Message, waiting: NonNullable<typeof hello>, headers: ForwardedHeaders, reply: Reply): void {
    if (message.kind !== 'request') return
    joining ??= join(waiting).finally(() => (joining = undefined))
    joining.then(
      () => pass(alone(message), message, headers, reply),
      (thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        if (error.code !== 'login_needed') return reply.failed(error, message.id)
        const result = answerOf(message, reply)
        if (result) answer(reply, message, result)
        else reply.failed(words.needed(), message.id)
      },
    )
  }

  function pass(post: Post, message: Message, headers: ForwardedHeaders, reply: Reply): void {
    if (message.kind !== 'request') return inner.send(post, headers, reply)
    const list = LISTS.get(message.method)
    // What the client was promised before the server was known, and is not there, is empty.
    if (list && capabilities && !(list.kind in capabilities)) return answer(reply, message, { [list.key]: [] })
    const isOver = (): boolean => !calls.delete(end)
    const end = (error: OpenMcpError): void => void (isOver() || reply.failed(error, message.id))
    calls.add(end)
    inner.send(post, headers, {
      message: (text) => void (calls.has(end) && reply.message(text)),
      answer: (id, text, errorCode) => void (isOver() || reply.answer(id, text, errorCode)),
      failed(error, id) {
        if (isOver()) return
        // A login can end, too.
        const result = error.code === 'login_needed' ? inWords(message.method) : undefined
        if (result) answer(reply, message, result)
        else reply.failed(error.code === 'login_needed' ? words.needed() : error, id)
      },
      withdrawn: (id) => void (isOver() || reply.withdrawn(id)),
    })
  }

  return {
    kind: 'messages',
    caller,
    send(post, headers, reply) {
      for (const message of post.messages) {
        if (isClosed) return
        // An answer to what was asked here says whether somebody looks at it, and no more.
        if (message.kind === 'response' && message.id === ownId) continue
        if (message.kind === 'notification' && message.method === 'notifications/initialized') isListening = true
        if (isWaiting && hello) wait(message, hello, headers, reply)
        else if (message.kind === 'request' && message.method === 'initialize') initialize(message, headers, reply)
        else pass(post.batch ? alone(message) : post, message, headers, reply)
      }
    },
    changed() {
      changes++
      abandon(words.broken())
      if (version === undefined) return
      if (!hello) return events.ended(words.broken())
      if (!isWaiting) leave()
      isAsked = false
      if (!isListening) return
      const tell = (method: string, params?: JsonObject): void => events.unsolicited(JSON.stringify({ jsonrpc: '2.0', method, params }))
      if (opensUrls()) tell('notifications/elicitation/complete', { elicitationId: words.elicitationId })
      for (const kind of KINDS) tell(`notifications/${kind}/list_changed`)
    },
    async close() {
      isClosed = true
      closed()
      abandon(words.broken())
      await inner.close()
    },
  }
}

function answer(reply: Reply, { id }: RequestMessage, result: JsonObject): void {
  reply.answer(id, JSON.stringify({ jsonrpc: '2.0', id, result }), undefined)
}

function over(why: string): OpenMcpError {
  return new OpenMcpError('session_ended', `the session has ended: ${why}`, { hint: 'initialize again' })
}

function asObject(value: unknown): JsonObject | undefined {
  return isObject(value) ? value : undefined
}
