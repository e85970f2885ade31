// Streamable HTTP in front of Streamable HTTP: our checks, our session ids, and otherwise the upstream's own words.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { errorText } from '../protocol/answer.ts'
import { eventOf } from '../protocol/event-stream.ts'
import type { ByteReply, HttpUpstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { bodyOf, type JsonRpcId, type Post } from '../protocol/message.ts'
import { checkModernPost, type Era } from '../protocol/revision.ts'
import type { OnStream, Session, Sessions } from '../protocol/session.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'
import { EVENT_STREAM_HEAD } from './event-writer.ts'
import { createLateAnswer, createWaiting, type LateAnswer } from './late-answer.ts'
import { refuse } from './refuse.ts'
import { forwardedHeadersOf, headerOf, mirroredHeadersOf, takes, type NamedHeaders } from './request.ts'

/** A session of the upstream, known to our client by a name of ours. */
export interface PassedSession {
  readonly upstreamId: string
  /** The upstream has said itself that it is over. */
  gone: boolean
  close(): Promise<void>
}

export interface PassThroughOptions {
  sessions: Sessions<PassedSession>
  onStream?: OnStream
  forwards?: NamedHeaders
  limits: Pick<Limits, 'keepAliveSeconds' | 'messageBytes'>
  log: Log
}

export interface PassThrough {
  post(upstream: HttpUpstream, request: { req: IncomingMessage; res: ServerResponse; caller: Caller; post: Post; era: Era }): void
  get(upstream: HttpUpstream, request: { req: IncomingMessage; res: ServerResponse; caller: Caller }): void
  delete(upstream: HttpUpstream, request: { req: IncomingMessage; res: ServerResponse; caller: Caller }): void
  /** Keeps no stream alive any more. */
  close(): void
}

const KEEP_ALIVE = Buffer.from(': keepalive\n\n')
const NOTHING = (): void => {}
/** An answer of known length up to this goes out when it is whole. */
const ONE_PIECE_BYTES = 16 * 1024
const LF = 10
const CR = 13

export function createPassThrough({ sessions, onStream, forwards, limits, log }: PassThroughOptions): PassThrough {
  /** Streams that are open now, to be kept alive between two events. */
  const streams = new TurnoverSet<OpenStream>()
  /** Answers that have not begun. */
  const waiting = createWaiting()
  const timer = setInterval(() => {
    for (const stream of streams) {
      if (stream.silent && stream.atBreak) stream.res.write(KEEP_ALIVE)
      stream.silent = true
    }
    waiting.round()
  }, limits.keepAliveSeconds * 1000)
  timer.unref()

  function sessionOf(req: IncomingMessage, caller: Caller): Session<PassedSession> | undefined {
    const id = headerOf(req, 'mcp-session-id')
    if (id === undefined) return undefined
    const session = sessions.find(caller, id)
    if (!session) throw new OpenMcpError('session_unknown', 'session not found', { hint: 'it has ended or never was: initialize again' })
    return session
  }

  function openSession(upstream: HttpUpstream, caller: Caller, upstreamId: string): Session<PassedSession> | OpenMcpError {
    const value: PassedSession = { upstreamId, gone: false, close: () => (value.gone ? Promise.resolve() : forget(upstream, upstreamId)) }
    try {
      return sessions.open(caller, value)
    } catch (error) {
      void value.close()
      return toOpenMcpError(error)
    }
  }

  function exchange(
    upstream: HttpUpstream,
    { req, res, caller }: { req: IncomingMessage; res: ServerResponse; caller: Caller },
    how: {
      method: 'POST' | 'GET' | 'DELETE'
      session: Session<PassedSession> | undefined
      body?: string | Buffer
      era?: Era
      id?: JsonRpcId | undefined
      opensSession?: boolean
    },
  ): void {
    const { method, session, era = 'legacy' } = how
    let release = session?.hold()
    let stream: OpenStream | undefined
    /** The stream was opened by us, and this is what the upstream answers after all. */
    let late: LateAnswer | undefined
    let over = false
    /** What is not written yet: of an answer that breaks off before its first byte the client hears in words. */
    let unsaid: { status: number; head: Record<string, string> } | undefined
    let isSmall = false
    let small = ''
    const finish = (): void => {
      over = true
      stopWaiting()
      if (stream) streams.delete(stream)
      release?.()
    }
    const openStream = (): void => {
      stream = { res, atBreak: true, silent: false }
      streams.add(stream)
    }
    const { id } = how
    // What a session is opened with has to name it in its head.
    const stopWaiting =
      id === undefined || how.opensSession || !takes(req, 'text/event-stream')
        ? NOTHING
        : waiting.enter(() => {
            res.writeHead(200, EVENT_STREAM_HEAD)
            res.write(KEEP_ALIVE)
            openStream()
            late = createLateAnswer(id, era, limits)
            if (unsaid) late.head(unsaid.status, unsaid.head)
          })
    const say = (): void => {
      stopWaiting()
      if (unsaid) res.writeHead(unsaid.status, unsaid.head)
      unsaid = undefined
    }
    const endHere = (): void => {
      if (!session) return
      session.value.gone = true
      void sessions.end(session)
    }
    const reply: ByteReply = {
      head(status, { contentType, contentLength, sessionId, others }) {
        const head: Record<string, string> = { ...others }
        if (contentType !== undefined) head['content-type'] = contentType
        if (contentLength !== undefined) head['content-length'] = contentLength
        if (sessionId !== undefined && !session && status < 300) {
          const opened = openSession(upstream, caller, sessionId)
          if (opened instanceof OpenMcpError) {
            stop()
            return reply.failed(opened)
          }
          release = opened.hold()
          head['mcp-session-id'] = opened.id
        }
        // The upstream knows its session no more: then neither do we.
        if (status === 404 || (method === 'DELETE' && status < 300)) endHere()
        const isStream = contentType?.startsWith('text/event-stream') === true
        if (late) {
          if (isStream && status < 300) late = undefined
          else late.head(status, others)
          return
        }
        unsaid = { status, head }
        isSmall = !isStream && Number(contentLength) <= ONE_PIECE_BYTES
        if (!isStream) return
        say()
        openStream()
        res.flushHeaders()
      },
      chunk(bytes) {
        if (late) {
          late.chunk(bytes)
          return true
        }
        if (stream) {
          stream.silent = false
          stream.atBreak = endsAtBreak(bytes)
        }
        if (!isSmall) {
          say()
          return res.write(bytes)
        }
        small += bytes.toString('latin1')
        return true
      },
      drained: (resume) => void res.once('drain', resume),
      end() {
        if (late) res.end(eventOf(late.text()))
        else {
          say()
          // Head and body as one string leave in one write.
          if (isSmall) res.end(small, 'latin1')
          else res.end()
        }
        finish()
      },
      failed(error) {
        finish()
        if (error.code === 'session_ended') endHere()
        if (stream?.atBreak && id !== undefined && (late || error.code === 'timeout')) res.end(eventOf(errorText(error, id, era)))
        // A stream that broke off can be resumed; an answer of ours would end it.
        else if (res.headersSent) res.destroy()
        else refuse(res, error, { log, era, id })
      },
    }
    const stop = upstream.exchange({ method, sessionId: session?.value.upstreamId, headers: forwardedHeadersOf(req, forwards), body: how.body }, reply)
    res.once('close', () => {
      if (over) return
      finish()
      stop()
    })
  }

  return {
    post(upstream, request) {
      const { req, post, era } = request
      if (era === 'modern') checkModernPost(post, mirroredHeadersOf(req), false)
      const session = era === 'modern' ? undefined : sessionOf(req, request.caller)
      const [first] = post.messages
      const asked = !post.batch && first?.kind === 'request' ? first : undefined
      exchange(upstream, request, { method: 'POST', session, body: bodyOf(post), era, id: asked?.id, opensSession: asked?.method === 'initialize' })
    },
    get(upstream, request) {
      const session = sessionOf(request.req, request.caller)
      onStream?.(request.res, session)
      exchange(upstream, request, { method: 'GET', session })
    },
    delete(upstream, request) {
      exchange(upstream, request, { method: 'DELETE', session: sessionOf(request.req, request.caller) })
    },
    close: () => clearInterval(timer),
  }
}

interface OpenStream {
  readonly res: ServerResponse
  atBreak: boolean
  silent: boolean
}

/** Whether an event is complete here, so that a comment may stand before the next one. */
function endsAtBreak(bytes: Buffer): boolean {
  const last = bytes.length - 1
  return bytes[last] === LF && (bytes[last - 1] === LF || (bytes[last - 1] === CR && bytes[last - 2] === LF))
}

/** Tells the upstream that a session is over that our client left, or let lie. */
function forget(upstream: HttpUpstream, sessionId: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      stop()
      done()
    }, 1000)
    const stop = upstream.exchange(
      { method: 'DELETE', sessionId, headers: {}, body: undefined },
      { head: () => {}, chunk: () => true, drained: () => {}, end: done, failed: done },
    )
  })
}
