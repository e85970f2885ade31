// The unit of the relay is the exchange: one client request in; out comes a stream of messages that belong to it, and its
// answer. These are the words in which the ways in, the middle and the ways out speak of it.
import type { OpenMcpError } from '../errors.ts'
import type { Caller } from './caller.ts'
import type { JsonRpcId, Post } from './message.ts'

/** One JSON text on one line, without raw line breaks; a large one may come as bytes in pieces. */
export type Text = string | readonly Buffer[]

/** Where the messages that belong to the requests of one post go. */
export interface Reply {
  /** A message of the server that belongs to a request in flight: progress, a log line, a request of its own. */
  message(text: Text): void
  /** The answer of one request; `errorCode` when it is a JSON-RPC error. Exactly one of `answer`, `failed` and `withdrawn` per request. */
  answer(id: JsonRpcId, text: Text, errorCode: number | undefined): void
  /** There will be no answer, and why. Without an id: the whole post. */
  failed(error: OpenMcpError, id?: JsonRpcId): void
  /** The client has cancelled this request and the server, as it should, does not answer it. */
  withdrawn(id: JsonRpcId): void
}

/** What a link tells the session that opened it, beside its replies. */
export interface LinkEvents {
  /** A message of the server that belongs to no request. */
  unsolicited(text: Text): void
  /** The upstream is gone; calls in flight have been answered. Said once. */
  ended(error: OpenMcpError): void
}

/** One client's way to the server, in messages. */
export interface Link {
  readonly kind: 'messages'
  send(post: Post, headers: ForwardedHeaders, reply: Reply): void
  /** The client is gone: its calls are cancelled, what was opened for it alone is closed. Never throws, safe to repeat. */
  close(): Promise<void>
}

/** Where the bytes of an HTTP answer go as they come. */
export interface ByteReply {
  head(status: number, headers: ResponseHead): void
  /** False: wait for `drained` before the next one. */
  chunk(bytes: Buffer): boolean
  /** Calls back once when more may come after `chunk` said false. */
  drained(resume: () => void): void
  end(): void
  /** Before the head: the whole answer is this failure. After it: the answer breaks off. */
  failed(error: OpenMcpError): void
}

export interface ResponseHead {
  contentType: string | undefined
  contentLength: string | undefined
  /** Set by an upstream that opened a session of its own with this answer. Never passed on. */
  sessionId: string | undefined
  /** Other headers that may be passed on. */
  others: Readonly<Record<string, string>>
}

export interface HttpRequest {
  method: 'POST' | 'GET' | 'DELETE'
  /** The upstream's session, if the client's session has one. */
  sessionId: string | undefined
  headers: ForwardedHeaders
  body: string | Buffer | undefined
}

/** An upstream that is itself Streamable HTTP: what it answers is passed on as it comes. */
export interface HttpUpstream {
  readonly kind: 'http'
  /** Returns what to call when the reader of the answer is gone. */
  exchange(request: HttpRequest, reply: ByteReply): () => void
}

/** An upstream that speaks in messages over a pipe of its own. */
export interface MessageUpstream {
  readonly kind: 'messages'
  /** A link for one session. Refuses with `busy` at the cap, and at what one caller may have of it. */
  open(events: LinkEvents, caller: Caller): Link
  /** A link for requests that have no session (2026-07-28): one pipe for all of an owner. */
  stateless(caller: Caller): Link
}

export type Upstream = HttpUpstream | MessageUpstream

/** Headers of the client that may go up: an allow-list, never `authorization` or `cookie`. */
export type ForwardedHeaders = Readonly<Record<string, string>>

export const NO_HEADERS: ForwardedHeaders = Object.freeze({})

/** For what is not answered, or whose answer nobody waits for. */
export const NO_REPLY: Reply = { message: () => {}, answer: () => {}, failed: () => {}, withdrawn: () => {} }

/** For a link of which nobody hears but by the answers to what is sent. */
export const NO_EVENTS: LinkEvents = { unsolicited: () => {}, ended: () => {} }
