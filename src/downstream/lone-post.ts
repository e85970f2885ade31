// A POST of no session: nobody can come back for its answer, so its stream lives as long as its connection.
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { eventOf } from '../protocol/event-stream.ts'
import type { Reply } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import { requestIdsOf, type Post } from '../protocol/message.ts'
import type { Era } from '../protocol/revision.ts'
import type { EventWriters } from './event-writer.ts'
import type { Patience } from './patience.ts'
import { createPostReply, type PostReply } from './post-reply.ts'
import { takes } from './request.ts'

export interface LonePost {
  req: IncomingMessage
  res: ServerResponse
  caller: Caller
  /** Answers to this caller pass the gate, too (`Gate.readsAnswers`). */
  reads: boolean
  post: Post
}

export interface LoneReplyOptions {
  era: Era
  writers: EventWriters
  patience: Patience
  gate: Gate
  log: Log
}

/** Where its answers go. `done`: all is answered. */
export function createLoneReply(
  { req, res, caller, reads, post }: LonePost,
  { era, writers, patience, gate, log }: LoneReplyOptions,
  done = (): void => {},
): Reply {
  const reply: PostReply = createPostReply({
    res,
    expected: requestIdsOf(post),
    batch: post.batch,
    era,
    takesStream: takes(req, 'text/event-stream'),
    streamAlways: false,
    openStream() {
      const writer = writers.open(res, ': open\n\n')
      return { send: (text) => writer.write(eventOf(text)), finish: writer.end }
    },
    aside: () => log.debug('a message was dropped: the client takes no event stream'),
    headers: () => undefined,
    done() {
      patience.over(reply)
      done()
    },
  })
  res.once('close', () => patience.over(reply))
  patience.begin(reply)
  return reads ? gate.filtered(caller, post, reply) : reply
}
