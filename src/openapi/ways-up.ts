// The two ways in which a server is asked: in a session (to 2025-11-25), or each request alone (2026-07-28).
import type { Caller } from '../protocol/caller.ts'
import { NO_HEADERS, NO_REPLY, type ForwardedHeaders, type Link, type MessageUpstream, type Reply } from '../protocol/exchange.ts'
import { alone, type JsonObject, type JsonRpcId, type NotificationMessage, type Post, type RequestMessage } from '../protocol/message.ts'
import { LAST_LEGACY_VERSION, META_CAPABILITIES, META_VERSION, MODERN_VERSIONS } from '../protocol/revision.ts'

/** A request that is on its way. One of both is called once. */
export interface Sent {
  /** Its answer is not wanted any more: the server is told. */
  takenBack(): void
  /** It has its answer, or will have none. */
  over(): void
}

export interface WayUp {
  /** The server says when a list of it changes. */
  readonly tells: boolean
  send(id: string, method: string, params: JsonObject, headers: ForwardedHeaders, replyTo: (post: Post) => Reply): Sent
  /** Answers what the server asks of its client: nobody is there who could do it. */
  decline(id: JsonRpcId, method: string): void
  close(): Promise<void>
}

/** In the words of what is then told to a tool, and by it to us. */
export const OFFERS_NOTHING = 'the client does not offer this'

const CLIENT = { name: 'openmcp', version: '1' }

/** What is said to open a session: of a client that offers nothing, so that nothing is asked of it. */
export const INITIALIZE: JsonObject = { protocolVersion: LAST_LEGACY_VERSION, capabilities: {}, clientInfo: CLIENT }

export function inSession(link: Link): WayUp & { initialized(headers: ForwardedHeaders): void } {
  return {
    tells: true,
    initialized: (headers) => link.send(alone(notification('notifications/initialized')), headers, NO_REPLY),
    send(id, method, params, headers, replyTo) {
      const post = alone(request(id, method, params))
      link.send(post, headers, replyTo(post))
      const cancelled = { requestId: id, reason: 'the client has left' }
      return { over: () => {}, takenBack: () => link.send(alone(notification('notifications/cancelled', cancelled)), headers, NO_REPLY) }
    },
    decline(id, method) {
      const said = method === 'ping' ? { result: {} } : { error: { code: -32_601, message: OFFERS_NOTHING } }
      link.send(alone({ kind: 'response', id, body: { jsonrpc: '2.0', id, ...said } }), NO_HEADERS, NO_REPLY)
    },
    close: () => link.close(),
  }
}

/** Closing its link is how a request is taken back (2026-07-28 basic/utilities/cancellation). */
export function eachAlone(upstream: MessageUpstream, caller: Caller): WayUp {
  const [version] = MODERN_VERSIONS
  const envelope = { [META_VERSION]: version, [META_CAPABILITIES]: {}, 'io.modelcontextprotocol/clientInfo': CLIENT }
  return {
    tells: false,
    send(id, method, { _meta: meta, ...params }, headers, replyTo) {
      const post = alone(request(id, method, { ...params, _meta: { ...(meta as object | undefined), ...envelope } })) // ours: an object or nothing
      const link = upstream.stateless(caller)
      const end = (): void => void link.close()
      link.send(post, headers, replyTo(post))
      return { over: end, takenBack: end }
    },
    // In this revision nothing is asked but by an answer (`input_required`).
    decline: () => {},
    close: () => Promise.resolve(),
  }
}

function request(id: string, method: string, params: JsonObject): RequestMessage {
  return { kind: 'request', id, method, body: { jsonrpc: '2.0', id, method, params } }
}

function notification(method: string, params?: JsonObject): NotificationMessage {
  return { kind: 'notification', method, body: { jsonrpc: '2.0', method, ...(params && { params }) } }
}
