// The revisions that have sessions (2025-03-26 to 2025-11-25) served without one: every POST stands alone, in whatever order they
// come and whichever replica they reach. What has to be there for it is brought about each time, and mostly is there already.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Cap, Holder } from '../protocol/cap.ts'
import { NO_EVENTS, NO_HEADERS, NO_REPLY, type Link, type MessageUpstream, type Reply, type Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import { alone, isObject, requestIdsOf, type JsonObject, type RequestMessage } from '../protocol/message.ts'
import { LAST_LEGACY_VERSION, LEGACY_VERSIONS, paramsOf } from '../protocol/revision.ts'
import type { EventWriters } from './event-writer.ts'
import { createLoneReply, type LonePost } from './lone-post.ts'
import { createPatience } from './patience.ts'
import { headerOf, notAcceptable, takes } from './request.ts'
import { objectIn } from '../protocol/text.ts'

export interface SessionlessDoorOptions {
  writers: EventWriters
  gate: Gate
  /** A request has the place of a session for as long as it is served. */
  cap: Cap
  log: Log
}

/**
 * One POST, upstream over what its caller shares with whoever shares it: nothing is opened for a request alone. The server is told
 * of a client that offers nothing, so that it asks nothing back, and whatever it says of no request is dropped. The gate has let
 * the post pass.
 */
export function createSessionlessDoor({ writers, gate, cap, log }: SessionlessDoorOptions): (upstream: MessageUpstream, request: LonePost) => void {
  const replies = { era: 'legacy', writers, patience: createPatience(), gate, log } as const

  return (upstream, request) => {
    const { req, res, caller, post } = request
    if (!takes(req, 'application/json') && !takes(req, 'text/event-stream')) throw notAcceptable()
    checkVersion(headerOf(req, 'mcp-protocol-version'))
    if (requestIdsOf(post).length === 0) return notify(upstream, request)
    const leave = cap.take(caller, IN_USE)
    try {
      const link = upstream.open(NO_EVENTS, caller)
      const over = (): void => {
        leave()
        void link.close()
      }
      // Nobody can come back for the answer.
      res.once('close', over)
      serve(link, request)
    } catch (error) {
      leave()
      throw error
    }
  }

  /** What is not answered: mostly what only a session needs. */
  function notify(upstream: MessageUpstream, { res, caller, post }: LonePost): void {
    res.writeHead(202, { 'content-length': 0 }).end()
    if (post.messages.every((message) => message.kind === 'response' || OF_SESSIONS.has(message.method))) return
    const link = upstream.open(NO_EVENTS, caller)
    const done = (): void => void link.close()
    initialize(link, {
      ...NO_REPLY,
      answer(_id, _text, errorCode) {
        if (errorCode === undefined) link.send(post, NO_HEADERS, NO_REPLY)
        done()
      },
      failed: done,
    })
  }

  function serve(link: Link, request: LonePost): void {
    const { res, post } = request
    const reply = createLoneReply(request, replies)
    const [first] = post.messages
    const asked = !post.batch && first?.kind === 'request' && first.method === 'initialize' ? first : undefined
    initialize(link, {
      ...NO_REPLY,
      answer(_id, text, errorCode) {
        if (errorCode !== undefined) return refused(text, errorCode)
        link.send(INITIALIZED, NO_HEADERS, NO_REPLY)
        if (res.destroyed) return
        if (asked) reply.answer(asked.id, welcome(asked, text), undefined)
        else link.send(post, NO_HEADERS, reply)
      },
      failed: (error) => reply.failed(error),
    })

    /** The server would not be initialised: that is the answer to whatever was asked. */
    function refused(text: Text, errorCode: number): void {
      const error = objectIn(text)['error']
      for (const id of requestIdsOf(post)) reply.answer(id, JSON.stringify({ jsonrpc: '2.0', id, error }), errorCode)
    }
  }
}

/** No place for others: it ends with its answer. */
const IN_USE: Holder = { idleSinceMs: () => undefined, end: () => {} }

/** What is asked of the server in the name of all who share it. */
const INITIALIZE = 'openmcp:initialize'
const INITIALIZED = alone({ kind: 'notification', method: 'notifications/initialized', body: { jsonrpc: '2.0', method: 'notifications/initialized' } })
/** They speak of a session, or of a request by an id that somebody else may use as well. */
const OF_SESSIONS = new Set(['notifications/initialized', 'notifications/cancelled', 'notifications/roots/list_changed'])

/** The first of those who share the server is heard by it; the others get the same answer. */
function initialize(link: Link, reply: Reply): void {
  const params = { protocolVersion: LAST_LEGACY_VERSION, capabilities: {}, clientInfo: { name: 'openmcp', version: '1' } }
  const body = { jsonrpc: '2.0', id: INITIALIZE, method: 'initialize', params }
  link.send(alone({ kind: 'request', id: INITIALIZE, method: 'initialize', body }), NO_HEADERS, reply)
}

function checkVersion(version: string | undefined): void {
  if (version === undefined || LEGACY_VERSIONS.has(version)) return
  throw new OpenMcpError('invalid_request', 'unsupported MCP-Protocol-Version', {
    hint: `revisions up to ${LAST_LEGACY_VERSION} are spoken here, and 2026-07-28`,
  })
}

/**
 * The server's own answer, for this client: in the revision that it asked for, where that is an older one (each adds to the one
 * before), and without a promise to tell of changes, which nobody could be told of.
 */
function welcome(asked: RequestMessage, text: Text): string {
  const { result } = objectIn(text)
  const { protocolVersion, capabilities, ...others } = isObject(result) ? result : {}
  const wanted = paramsOf(asked)?.['protocolVersion']
  const isOlder = typeof wanted === 'string' && LEGACY_VERSIONS.has(wanted) && typeof protocolVersion === 'string' && wanted < protocolVersion
  const kept = Object.entries(isObject(capabilities) ? capabilities : {}).map(([name, value]) => [name, isObject(value) ? withoutNews(value) : value])
  return JSON.stringify({
    jsonrpc: '2.0',
    id: asked.id,
    result: { protocolVersion: isOlder ? wanted : protocolVersion, capabilities: Object.fromEntries(kept), ...others },
  })
}

function withoutNews({ listChanged: _changed, subscribe: _subscribe, ...kept }: JsonObject): JsonObject {
  return kept
}
