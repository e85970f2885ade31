// One call: sent once, its answer as the body of an HTTP response or, for a client that asks for that, as the last of some events.
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { EventWriters } from '../downstream/event-writer.ts'
import { writeJson } from '../downstream/post-reply.ts'
import { refuse, type Refusal } from '../downstream/refuse.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { ForwardedHeaders } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Call } from './calls.ts'
import { beyondHttp } from './needs-client.ts'
import { refusalOf, refusalOfServer } from './refusal.ts'
import type { ToolSession } from './session.ts'

/** Who asked, how, and over which session it goes. */
export interface Asked {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly caller: Caller
  readonly headers: ForwardedHeaders
  readonly session: ToolSession
}

export interface SendingOptions {
  server: string
  gate: Gate
  writers: EventWriters
  log: Log
}

export function createSending({ server, gate, writers, log }: SendingOptions): (asked: Asked, call: Call) => void {
  let lastToken = 0

  return ({ req, res, caller, headers, session }, { method, params, body }) => {
    const accept = req.headers.accept ?? ''
    const isRaw = /profile="?mcp\b/.test(accept)
    const stream = accept.includes('text/event-stream') ? writers.open(res, ': open\n\n') : undefined
    const event = (name: string, text: string): void => stream?.write(`event: ${name}\ndata: ${text}\n\n`)
    let isOver = false
    const over = (): void => {
      isOver = true
      if (takeBack) res.off('close', takeBack)
    }
    const end = (answer: Refusal): void => {
      over()
      if (!stream) return write(res, answer)
      if (answer.status === 200) event('result', answer.text)
      else event('error', `{"status":${answer.status},${answer.text.slice(1)}`)
      stream.end()
    }
    let takeBack: (() => void) | undefined
    takeBack = session.ask(method, stream ? { ...params, _meta: { progressToken: `openmcp-progress:${++lastToken}` } } : params, {
      headers,
      ...(gate.readsAnswers(caller) && { seen: (post, reply) => gate.filtered(caller, post, reply) }),
      result: (result) => end(result['resultType'] === 'input_required' ? refusalOf(beyondHttp('more'), { server }) : body(result, isRaw)),
      error: (code, message, data) => end(refusalOfServer(code, message, data, server)),
      failed(error) {
        if (!stream) {
          over()
          return refuse(res, error, { log })
        }
        log.debug('a call failed', { code: error.code, why: error.message, detail: error.detail })
        end(refusalOf(error, { server }))
      },
      note(said, company) {
        const { progressToken: _token, ...told } = company
        if (said === 'notifications/progress') event('progress', JSON.stringify(told))
        if (said === 'notifications/message') event('log', JSON.stringify(told))
      },
    })
    // A client that is gone wants no result any more. What could not even be sent is over by now.
    if (!isOver) res.once('close', takeBack)
  }
}

export function write(res: ServerResponse, { status, text, headers }: Refusal): void {
  writeJson(res, status, text, headers)
}
