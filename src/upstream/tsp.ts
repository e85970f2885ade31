// A pipe of sealed messages: one session with a VID, as an upstream.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'
import type { OpenSealed, SealedEnd } from '../protocol/sealed-session.ts'
import type { OpenPipe } from './pipe.ts'

const EDGE_BYTES = 256
const [LF, CR, SPACE] = [10, 13, 32]

interface Line {
  readonly text: string
  readonly undelivered: ((error: OpenMcpError) => void) | undefined
}

/** Each pipe is a session of its own, which is begun at once; what is sent meanwhile waits. */
export function openSealedPipe(open: OpenSealed, { messageBytes }: Pick<Limits, 'messageBytes'>): OpenPipe {
  return (events) => {
    let end: SealedEnd | undefined
    let over = false
    let waiting: Line[] = []
    let bufferedBytes = 0

    function heard(message: Buffer): void {
      if (over) return
      if (message.length > messageBytes) events.tooLong(message.subarray(0, EDGE_BYTES), message.subarray(-EDGE_BYTES))
      else events.line(onOneLine(message))
    }

    function ended(error: OpenMcpError): void {
      if (over) return
      over = true
      waiting = []
      events.ended(error)
    }

    function deliver(to: SealedEnd, { text, undelivered }: Line): void {
      to.send(text)
        .catch((thrown: unknown) => undelivered?.(toOpenMcpError(thrown)))
        .finally(() => (bufferedBytes -= text.length))
    }

    const opening = open({ heard, ended }).then(
      (opened) => {
        end = opened
        for (const line of waiting.splice(0)) deliver(opened, line)
        // Closed meanwhile: it was of no use.
        return over ? opened.close() : undefined
      },
      (thrown: unknown) => ended(toOpenMcpError(thrown)),
    )

    return {
      send(text, undelivered) {
        if (over) return
        bufferedBytes += text.length
        const line = { text, undelivered }
        if (end) deliver(end, line)
        else waiting.push(line)
      },
      get bufferedBytes() {
        return bufferedBytes
      },
      async close() {
        over = true
        waiting = []
        if (end) await end.close()
        else void opening
      },
    }
  }
}

/** A line break in a JSON text is white space; in what is read line by line it would end the message, and begin another. */
function onOneLine(message: Buffer): Buffer {
  if (!message.includes(LF) && !message.includes(CR)) return message
  return Buffer.from(message.map((byte) => (byte === LF || byte === CR ? SPACE : byte)))
}
