// The answer to a request under a seal, opened: its status, headers and events are those that were sealed for this request, in their order.
import { OpenMcpError } from '../errors.ts'
import type { CarriedPiece, SealedRequest } from '../protocol/carried.ts'
import { createEventReader } from '../protocol/event-stream.ts'
import type { ResponseHead } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { PASSED_DOWN } from './http-client.ts'
import type { AnswerHandler } from './http-request.ts'
import type { Outcome } from './sealed-once.ts'

export interface Answering {
  sealed: SealedRequest
  handler: AnswerHandler
  limits: Pick<Limits, 'messageBytes' | 'bufferedBytes'>
  leaving: { readonly left: boolean }
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

/** What hears of the answer as it comes, and tells `handler` of what is in it. */
export function answerOf({ sealed, handler, limits, leaving, resolve, reject }: Answering): AnswerHandler {
  let status = 0
  let flow: Parameters<AnswerHandler['head']>[2]
  let stream: { feed(bytes: Buffer): void } | undefined
  let hasHead = false
  let waitingBytes = 0
  const pieces: Buffer[] = []
  /** One after the other, as they came. */
  let before: Promise<void> = Promise.resolve()
  let broken = false
  /** Nothing is told after it, whatever has come already. */
  const broke = (error: unknown): void => {
    broken = true
    reject(error)
  }
  const next = (act: () => Promise<void> | void): void => {
    before = before.then(() => (leaving.left || broken ? undefined : act())).catch(broke)
  }

  async function event(data: string): Promise<void> {
    const piece = await sealed.open(data)
    waitingBytes -= data.length
    if (leaving.left) return
    if (!piece || piece.kind === 'forgotten' || (piece.kind === 'head') === hasHead) throw notSealed()
    if (piece.kind === 'event') return handler.chunk(eventBytes(piece))
    hasHead = true
    handler.head(piece.status, headOf(piece), flow)
  }

  async function whole(text: string): Promise<void> {
    if (text === '' && status < 300) return resolve('silent')
    const piece = await sealed.open(text)
    if (leaving.left) return
    if (piece?.kind === 'forgotten') return resolve('forgotten')
    if (piece?.kind !== 'head') throw status < 300 ? notSealed() : notServed(status)
    handler.head(piece.status, headOf(piece), flow)
    if (piece.body.length > 0) handler.chunk(piece.body)
    handler.end()
    resolve('over')
  }

  return {
    head(code, { contentType }, given) {
      status = code
      flow = given
      if (status < 300 && contentType?.startsWith('text/event-stream')) {
        stream = createEventReader(textLengthOf(limits.messageBytes), ({ data }) => {
          if (data === '') return
          waitingBytes += data.length
          if (waitingBytes > textLengthOf(limits.bufferedBytes))
            throw new OpenMcpError('upstream_broke', 'events of the other side come faster than they can be opened')
          next(() => event(data))
        })
      }
    },
    chunk(bytes) {
      try {
        if (stream) return stream.feed(bytes)
        waitingBytes += bytes.length
        if (waitingBytes > textLengthOf(limits.messageBytes)) throw new OpenMcpError('upstream_broke', 'an answer of the other side is too large')
        pieces.push(bytes)
      } catch (error) {
        broke(error)
      }
    },
    end() {
      if (!stream) return next(() => whole(Buffer.concat(pieces).toString('latin1')))
      next(() => {
        if (!hasHead) throw notSealed()
        handler.end()
        resolve('over')
      })
    },
    failed(error) {
      next(() => broke(error))
    },
  }
}

function headOf({ status, headers, body }: CarriedPiece & { kind: 'head' }): ResponseHead {
  const others: Record<string, string> = {}
  for (const name of PASSED_DOWN) {
    const value = headers[name]
    if (value !== undefined) others[name] = value
  }
  const contentType = headers['content-type']
  return {
    contentType,
    contentLength: status === 204 || contentType?.startsWith('text/event-stream') ? undefined : String(body.length),
    sessionId: headers['mcp-session-id'],
    others,
  }
}

/** The id by which a stream is resumed is the one under the seal. */
function eventBytes({ event, id, retryMs, body }: CarriedPiece & { kind: 'event' }): Buffer {
  const head = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}${retryMs === undefined ? '' : `retry: ${retryMs}\n`}`
  return Buffer.from(`${head}data: ${body.toString().replaceAll(/[\r\n]/g, ' ')}\n\n`)
}

/** The text of a message is longer than what it holds: base64, and what stands around it. */
export function textLengthOf(bytes: number): number {
  return Math.ceil(bytes * 1.34) + 8192
}

export function notSealed(): OpenMcpError {
  return new OpenMcpError('upstream_broke', 'an answer of the other side is not sealed for this request')
}

export function notServed(status: number): OpenMcpError {
  if (status === 429) return new OpenMcpError('busy', 'the other side has had too many messages from our address', { hint: 'try again later' })
  return new OpenMcpError('upstream_broke', `the TSP endpoint of the other side answered HTTP ${status}`, { hint: 'does it run with --tsp message?' })
}
