// Answers that are long in coming. Whoever stands between takes a connection on which nothing is said for gone, so the client is told in
// an event stream that it is being served, and what the upstream answers after all is an event of that stream.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { errorText } from '../protocol/answer.ts'
import { jsonIn } from '../protocol/json.ts'
import type { Limits } from '../protocol/limits.ts'
import { isObject, type JsonRpcId } from '../protocol/message.ts'
import type { Era } from '../protocol/revision.ts'

export interface Waiting {
  /** `late` is called when a round has begun and ended without the answer. Returns what to call when it is there (once counts). */
  enter(late: () => void): () => void
  round(): void
}

/** A list in which the last takes the place of one that leaves: most leave before the first round. */
export function createWaiting(): Waiting {
  const waiting: { late: () => void; isOld: boolean; at: number }[] = []
  return {
    enter(late) {
      const one = { late, isOld: false, at: waiting.length }
      waiting.push(one)
      return () => {
        if (waiting[one.at] !== one) return
        const last = waiting.pop()
        if (!last || last === one) return
        waiting[one.at] = last
        last.at = one.at
      }
    },
    round() {
      const late = waiting.filter(({ isOld }) => isOld)
      const young = waiting.filter(({ isOld }) => !isOld)
      waiting.length = 0
      for (const one of young) {
        Object.assign(one, { isOld: true, at: waiting.length })
        waiting.push(one)
      }
      for (const one of late) one.late()
    },
  }
}

/** An answer in one piece, for a client that was promised events. */
export interface LateAnswer {
  head(status: number, others: Readonly<Record<string, string>>): void
  chunk(bytes: Buffer): void
  /** One message: the upstream's own where it sent one, or what became of it in our words. */
  text(): string
}

export function createLateAnswer(id: JsonRpcId, era: Era, { messageBytes }: Pick<Limits, 'messageBytes'>): LateAnswer {
  let pieces: Buffer[] = []
  let size = 0
  let status = 0
  let isReadable = true
  return {
    head(answered, { 'content-encoding': encoding = 'identity' }) {
      status = answered
      isReadable = encoding === 'identity'
    },
    chunk(bytes) {
      size += bytes.length
      if (size <= messageBytes) pieces.push(bytes)
      else pieces = []
    },
    text() {
      try {
        if (size > messageBytes) throw new OpenMcpError('upstream_broke', `an answer of the upstream is larger than ${messageBytes} bytes`)
        const text = isReadable ? Buffer.concat(pieces).toString() : ''
        const message = jsonIn(text)
        // As it came: what JavaScript would round is not rounded. To JSON a line break is white space, and to an event an end.
        if (isObject(message) && message['id'] === id) return text.replaceAll(/[\r\n]/g, ' ')
        if (isObject(message) && isObject(message['error'])) return JSON.stringify({ ...message, id })
        throw new OpenMcpError('upstream_broke', `the upstream answered HTTP ${status} without a message`)
      } catch (thrown) {
        return errorText(toOpenMcpError(thrown), id, era)
      }
    },
  }
}
