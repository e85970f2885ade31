// Streamable HTTP (2025-03-26 to 2026-07-28) in front of an upstream that speaks in messages.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { NO_REPLY, type Link, type MessageUpstream, type Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { isObject, requestIdsOf, type JsonRpcId, type Post } from '../protocol/message.ts'
import { LEGACY_VERSIONS, isPrimedVersion, type Era } from '../protocol/revision.ts'
import type { OnStream, Session, Sessions } from '../protocol/session.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'
import type { EventWriters } from './event-writer.ts'
import { createPatience } from './patience.ts'
import { createPostReply, type PostReply, type PostStream } from './post-reply.ts'
import { createReplayStream, parseEventId, type ReplayStream } from './replay.ts'
import { headerOf, namedHeadersOf, notAcceptable, NO_NAMED, takes, type NamedHeaders } from './request.ts'
import { createStatelessDoor } from './stateless.ts'
import { wholeOf } from '../protocol/text.ts'

/** What one HTTP session stands on. */
export interface HttpSession {
  readonly link: Link
  /** What its streams keep was read for its owner, or need not be. A session is one or the other for as long as it lasts. */
  readonly reads: boolean
  /** The revision agreed on at `initialize`. */
  version: string | undefined
  /** The stream of messages that belong to no request; its key is 0. */
  general: ReplayStream | undefined
  /** Streams of posts by their key. */
  readonly streams: Map<number, ReplayStream>
  nextKey: number
  /** Posts that are not answered yet. */
  readonly open: TurnoverSet<PostReply>
  close(): Promise<void>
}

export interface PipeDoorOptions {
  sessions: Sessions<HttpSession>
  writers: EventWriters
  gate: Gate
  onStream?: OnStream
  forwards?: NamedHeaders
  limits: Limits
  log: Log
}

interface PipeRequest {
  req: IncomingMessage
  res: ServerResponse
  caller: Caller
  /** Answers to this caller pass the gate, too (`Gate.readsAnswers`). */
  reads: boolean
}

interface PipePost extends PipeRequest {
  post: Post
}

export interface PipeDoor {
  /** The gate has let the post pass. */
  post(upstream: MessageUpstream, request: PipePost & { era: Era }): void
  get(request: PipeRequest): void
  delete(request: PipeRequest): void
}

/** Finished streams of a session that can still be asked for. */
const FINISHED_KEPT = 16

export function createPipeDoor({ sessions, writers, gate, onStream, forwards = NO_NAMED, limits, log }: PipeDoorOptions): PipeDoor {
  const patience = createPatience()
  const stateless = createStatelessDoor({ writers, patience, gate, forwards, log })

  function initialize(upstream: MessageUpstream, { req, res, caller, reads, post }: PipePost, id: JsonRpcId): void {
    const session = openSession(upstream, caller, reads)
    const { value } = session
    const release = session.hold()
    // A client that leaves before it learns the name of its session can never come back to it.
    res.once('close', () => {
      if (!res.writableFinished) void sessions.end(session)
    })
    const reply: PostReply = createPostReply({
      res,
      expected: [id],
      batch: false,
      era: 'legacy',
      // Its answer decides whether there is a session, and the head that would open a stream has to name it.
      takesStream: false,
      streamAlways: false,
      openStream: () => neverAStream(),
      aside: (text) => generalOf(value).send(text),
      headers: (errorCode) => (errorCode === undefined ? { 'mcp-session-id': session.id } : undefined),
      done() {
        value.open.delete(reply)
        release()
      },
    })
    // The server may be taken away before it has answered.
    value.open.add(reply)
    value.link.send(post, namedHeadersOf(req, forwards), {
      message: reply.message,
      answer(answered, text, errorCode) {
        if (errorCode === undefined) value.version = versionIn(text)
        reply.answer(answered, text, errorCode)
        if (errorCode !== undefined) void sessions.end(session)
      },
      failed(error, failedId) {
        reply.failed(error, failedId)
        void sessions.end(session)
      },
      withdrawn(withdrawnId) {
        reply.withdrawn(withdrawnId)
        void sessions.end(session)
      },
    })
  }

  /** Knows nothing of the request that asked for it: what its functions see lives as long as the session. */
  function openSession(upstream: MessageUpstream, caller: Caller, reads: boolean): Session<HttpSession> {
    let session: Session<HttpSession> | undefined
    const value: HttpSession = {
      link: upstream.open(
        {
          unsolicited: (text) => generalOf(value).send(text),
          ended: () => session && void sessions.end(session),
        },
        caller,
      ),
      reads,
      version: undefined,
      general: undefined,
      streams: new Map(),
      nextKey: 1,
      open: new TurnoverSet(),
      async close() {
        for (const reply of value.open) reply.failed(new OpenMcpError('session_ended', 'the session has ended', { hint: 'initialize again' }))

        value.general?.detach()
        for (const stream of value.streams.values()) stream.detach()
        await value.link.close()
      },
    }
    try {
      session = sessions.open(caller, value)
      return session
    } catch (error) {
      void value.close()
      throw error
    }
  }

  function generalOf(value: HttpSession): ReplayStream {
    value.general ??= createReplayStream({ key: 0, limits, writers })
    return value.general
  }

  function inSession(session: Session<HttpSession>, { req, res, caller, reads, post }: PipePost): void {
    const { value } = session
    const expected = requestIdsOf(post)
    if (expected.length === 0) {
      value.link.send(post, namedHeadersOf(req, forwards), NO_REPLY)
      return accepted(res)
    }
    const release = session.hold()
    const takesStream = takes(req, 'text/event-stream')
    const primed = isPrimedVersion(value.version)
    let poll: NodeJS.Timeout | undefined
    const openStream = (): PostStream => {
      const stream = createReplayStream({ key: value.nextKey++, limits, writers })
      const key = value.nextKey - 1
      value.streams.set(key, stream)
      stream.attach(res, { after: undefined, primed })
      if (primed && limits.pollSeconds > 0) poll = setTimeout(() => stream.detach(), limits.pollSeconds * 1000)
      return {
        send: stream.send,
        finish() {
          stream.finish()
          forgetFinished(value)
        },
      }
    }
    const reply: PostReply = createPostReply({
      res,
      expected,
      batch: post.batch,
      era: 'legacy',
      takesStream,
      streamAlways: primed && takesStream,
      openStream,
      aside: (text) => generalOf(value).send(text),
      headers: () => undefined,
      done() {
        clearTimeout(poll)
        value.open.delete(reply)
        patience.over(reply)
        release()
      },
    })
    value.open.add(reply)
    patience.begin(reply)
    value.link.send(post, namedHeadersOf(req, forwards), reads ? gate.filtered(caller, post, reply) : reply)
  }

  function forgetFinished(value: HttpSession): void {
    const finished = [...value.streams].filter(([, stream]) => stream.finished)
    let bytes = finished.reduce((sum, [, stream]) => sum + stream.bytes, 0)
    for (const [key, stream] of finished.slice(0, -1)) {
      if (finished.length <= FINISHED_KEPT && bytes <= limits.replayBytes) break
      bytes -= stream.bytes
      value.streams.delete(key)
      finished.shift()
    }
  }

  function sessionOf({ req, caller, reads }: PipeRequest): Session<HttpSession> {
    const id = headerOf(req, 'mcp-session-id')
    if (id === undefined) throw new OpenMcpError('session_missing', 'the Mcp-Session-Id header is missing', { hint: 'begin with an initialize request' })
    const session = sessions.find(caller, id)
    // What went unread into its streams could be asked for again by one who may not see it any more.
    if (!session || session.value.reads !== reads)
      throw new OpenMcpError('session_unknown', 'session not found', { hint: 'it has ended or never was: initialize again' })
    const version = headerOf(req, 'mcp-protocol-version')
    if (version !== undefined && version !== session.value.version && !LEGACY_VERSIONS.has(version)) {
      throw new OpenMcpError('invalid_request', 'unsupported MCP-Protocol-Version', {
        hint: `this session speaks ${session.value.version ?? 'a revision up to 2025-11-25'}`,
      })
    }
    return session
  }

  return {
    post(upstream, request) {
      const { req, post } = request
      if (!takes(req, 'application/json') && !takes(req, 'text/event-stream')) throw notAcceptable()
      if (request.era === 'modern') return stateless(upstream, request)
      const [first] = post.messages
      if (!post.batch && first?.kind === 'request' && first.method === 'initialize') return initialize(upstream, request, first.id)
      inSession(sessionOf(request), request)
    },
    get(request) {
      const { req, res } = request
      if (!takes(req, 'text/event-stream')) throw notAcceptable()
      const session = sessionOf(request)
      const last = headerOf(req, 'last-event-id')
      const from = last === undefined ? undefined : parseEventId(last)
      const stream = from === undefined || from.key === 0 ? generalOf(session.value) : session.value.streams.get(from.key)
      if ((last !== undefined && from === undefined) || !stream)
        throw new OpenMcpError('invalid_request', 'this Last-Event-ID is not of this session, or too old')
      onStream?.(res, session)
      stream.attach(res, { after: from?.number, primed: isPrimedVersion(session.value.version) })
      res.once('close', session.hold())
    },
    delete(request) {
      // The child behind it takes its time to stop; the client need not wait for that.
      void sessions.end(sessionOf(request))
      request.res.writeHead(200, { 'content-length': 0 }).end()
    },
  }
}

function accepted(res: ServerResponse): void {
  res.writeHead(202, { 'content-length': 0 }).end()
}

function neverAStream(): never {
  throw new OpenMcpError('internal', 'the answer to initialize is never a stream')
}

function versionIn(text: Text): string | undefined {
  const value: unknown = JSON.parse(wholeOf(text))
  const result = isObject(value) ? value['result'] : undefined
  const version = isObject(result) ? result['protocolVersion'] : undefined
  return typeof version === 'string' ? version : undefined
}
