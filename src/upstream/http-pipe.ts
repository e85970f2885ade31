// Streamable HTTP as a pipe, so that several clients can share one session of it: what the pipe's users put apart by ids of theirs
// goes up in one session, and comes back in one line of messages.
import { OpenMcpError } from '../errors.ts'
import type { Link, LinkEvents, Reply, Text } from '../protocol/exchange.ts'
import { NO_HEADERS } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { parsePost } from '../protocol/message.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

/** Each message of a request of HTTP of its own. One that the upstream did not take is told to whoever sent it. */
export function openHttpPipe(open: (events: LinkEvents) => Link, events: PipeEvents, limits: Limits): OpenedPipe {
  let over = false
  const heard = (text: Text): void => {
    if (!over) events.line(typeof text === 'string' ? Buffer.from(text) : Buffer.concat(text))
  }
  const link = open({
    unsolicited: heard,
    ended(error) {
      if (over) return
      over = true
      events.ended(error)
    },
  })
  return {
    started: Promise.resolve(),
    send(line, undelivered) {
      if (over) return
      const fail = (error: OpenMcpError): void => void (over || undelivered?.(error))
      const reply: Reply = { message: heard, answer: (_id, text) => heard(text), failed: fail, withdrawn: () => {} }
      link.send(parsePost(Buffer.from(line), limits.depth), NO_HEADERS, reply)
    },
    // What is on its way is in requests of their own, which are bounded one by one.
    bufferedBytes: 0,
    async close() {
      over = true
      await link.close()
    },
  }
}
