// A pipe of sealed messages: the relationship with one VID, as an upstream.
import { toOpenMcpError, type OpenMcpError } from '../errors.ts'
import type { OpenPipe } from './pipe.ts'

/** A relationship with one VID that is there. */
export interface SealedWay {
  /** Fails when it cannot be reached. */
  send(text: Buffer): Promise<void>
  /** What comes from it from now on, and its end; returns what stops listening. One listener at a time. */
  listen(events: { heard(text: Buffer): void; ended(error: OpenMcpError): void }): () => void
}

export function openSealed(way: SealedWay): OpenPipe {
  return (events) => {
    let buffered = 0
    const stop = way.listen({ heard: (text) => events.line(text), ended: (error) => events.ended(error) })
    return {
      send(line, undelivered) {
        const text = Buffer.from(line)
        buffered += text.length
        way
          .send(text)
          .catch((thrown: unknown) => undelivered?.(toOpenMcpError(thrown)))
          .finally(() => (buffered -= text.length))
      },
      get bufferedBytes() {
        return buffered
      },
      async close() {
        stop()
      },
    }
  }
}
