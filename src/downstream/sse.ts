// HTTP+SSE (2024-11-05): one stream down that names where to post up. Old, and still what many clients speak.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import type { Caller } from '../protocol/caller.ts'
import { eventOf } from '../protocol/event-stream.ts'
import type { ForwardedHeaders, MessageUpstream, Reply, Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { NO_MESSAGES, parsePost, requestIdsOf, type Post } from '../protocol/message.ts'
import type { OnStream, Session, Sessions } from '../protocol/session.ts'
import { checkJsonBody, readBody } from './body.ts'
import type { EventWriter, EventWriters } from './event-writer.ts'
import { refuse, refuseByGate, type RefusalHeaders } from './refuse.ts'
import { namedHeadersOf, NO_NAMED, takes, type NamedHeaders } from './request.ts'

export interface SseSession {
  send(caller: Caller, post: Post, headers: ForwardedHeaders): void
  /** Answers each request of a post that goes no further. */
  deny(post: Post, error: OpenMcpError): void
  close(): Promise<void>
}

export interface SseDoorOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  callerOf(req: IncomingMessage): Caller
  gate: Gate
  refusalHeaders?: RefusalHeaders
  sessions: Sessions<SseSession>
  writers: EventWriters
  onStream?: OnStream
  forwards?: NamedHeaders
  /** Told of every call that begins; what it returns is called when the call is answered. */
  calls: { begin(): () => void }
  limits: Limits
  log: Log
}

export interface SseDoor {
  /** `GET /sse`. `messagesPath` is what the client is told to post to: a path, so that it holds behind any host name. */
  open(req: IncomingMessage, res: ServerResponse, messagesPath: string): void
  /** `POST /messages?sessionId=…` */
  post(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void
}

export function createSseDoor({
  upstream,
  callerOf,
  gate,
  refusalHeaders,
  sessions,
  writers,
  onStream,
  forwards = NO_NAMED,
  calls,
  limits,
  log,
}: SseDoorOptions): SseDoor {
  function opened(found: MessageUpstream, caller: Caller, res: ServerResponse, messagesPath: string): void {
    if (res.destroyed) return
    // What comes before the stream is open waits here; it is opened in the same turn.
    let write = (text: Text): void => void early.push(text)
    const early: Text[] = []
    const begun: (() => void)[] = []
    const reply: Reply = {
      message: (text) => write(text),
      answer(_id, text) {
        write(text)
        begun.pop()?.()
      },
      failed(error, id) {
        write(errorText(error, id))
        begun.pop()?.()
      },
      withdrawn: () => begun.pop()?.(),
    }
    let session: Session<SseSession> | undefined
    let writer: EventWriter | undefined
    const link = found.open(
      {
        unsolicited: (text) => write(text),
        ended: () => session && void sessions.end(session),
      },
      caller,
    )
    const value: SseSession = {
      send(from, post, headers) {
        for (const message of post.messages) if (message.kind === 'request') begun.push(calls.begin())
        link.send(post, headers, gate.readsAnswers(from) ? gate.filtered(from, post, reply) : reply)
      },
      deny(post, error) {
        for (const id of requestIdsOf(post)) write(errorText(error, id))
      },
      async close() {
        for (const over of begun.splice(0)) over()
        writer?.end()
        await link.close()
      },
    }
    try {
      session = sessions.open(caller, value)
    } catch (error) {
      void link.close()
      return refuse(res, error, { log })
    }
    const here = session
    onStream?.(res, here)
    const stream = writers.open(res, `event: endpoint\ndata: ${messagesPath}?sessionId=${here.id}\n\n`)
    writer = stream
    write = (text) => stream.write(eventOf(text))
    for (const text of early) write(text)
    here.hold()
    res.once('close', () => void sessions.end(here))
  }

  function received(req: IncomingMessage, res: ServerResponse, query: URLSearchParams, body: Buffer): void {
    try {
      const caller = callerOf(req)
      const session = sessions.find(caller, query.get('sessionId') ?? query.get('session_id') ?? '')
      if (!session) throw new OpenMcpError('session_unknown', 'session not found', { hint: 'open /sse again' })
      const post = parsePost(body, limits.depth)
      const refusal = gate.refusalOf(caller, post)
      // What does not exist is said where any answer would come.
      if (refusal && refusal.code !== 'unknown_name') {
        return refuseByGate(res, refusal, { log, era: 'legacy', post, headers: refusalHeaders?.(req, refusal) })
      }
      res.writeHead(202, { 'content-type': 'text/plain', 'content-length': 8 }).end('Accepted')
      if (refusal) session.value.deny(post, refusal)
      else session.value.send(caller, post, namedHeadersOf(req, forwards))
    } catch (error) {
      refuse(res, error, { log })
    }
  }

  return {
    open(req, res, messagesPath) {
      // A body that nobody reads would keep the news that the client left from arriving.
      req.resume()
      if (!takes(req, 'text/event-stream')) return refuse(res, new OpenMcpError('not_acceptable', 'the client must take text/event-stream'), { log })
      const failed = (error: unknown): void => refuse(res, error, { log })
      try {
        const caller = callerOf(req)
        const refusal = gate.refusalOf(caller, NO_MESSAGES)
        if (refusal) return refuseByGate(res, refusal, { log, era: 'legacy', post: NO_MESSAGES, headers: refusalHeaders?.(req, refusal) })
        const found = upstream()
        if (found instanceof Promise) found.then((late) => opened(late, caller, res, messagesPath)).catch(failed)
        else opened(found, caller, res, messagesPath)
      } catch (error) {
        failed(error)
      }
    },
    post(req, res, query) {
      try {
        checkJsonBody(req)
      } catch (error) {
        return refuse(res, error, { log })
      }
      readBody(req, limits.bodyBytes, (tooLarge, body) => (tooLarge ? refuse(res, tooLarge, { log }) : received(req, res, query, body)))
    },
  }
}
