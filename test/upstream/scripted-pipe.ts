// A pipe whose other side is the test: what is sent is kept, what the server says is said by calling it.
import type { OpenMcpError } from '../../src/errors.ts'
import type { Log } from '../../src/observe/log.ts'
import type { JsonObject } from '../../src/protocol/message.ts'
import type { OpenPipe, PipeEvents } from '../../src/upstream/pipe.ts'

export interface ScriptedPipe {
  readonly open: OpenPipe
  /** What was sent since the last look, parsed. */
  taken(): JsonObject[]
  /** The server writes a message, or a line as it is. */
  says(message: object | string): void
  /** The server writes a line that is larger than the cap; these are its ends. */
  saysTooMuch(head: string, tail: string): void
  ends(error: OpenMcpError): void
  /** The newest message does not arrive. */
  loses(error: OpenMcpError): void
  bufferedBytes: number
  readonly closed: boolean
}

export function scriptedPipe(): ScriptedPipe {
  let events: PipeEvents | undefined
  let sent: { line: string; undelivered: ((error: OpenMcpError) => void) | undefined }[] = []
  let newest: (typeof sent)[number] | undefined
  let closed = false
  const server = (): PipeEvents => {
    if (!events) throw new Error('the pipe was not opened')
    return events
  }
  const pipe: ScriptedPipe = {
    open(given) {
      events = given
      return {
        send(line, undelivered) {
          newest = { line, undelivered }
          sent.push(newest)
        },
        get bufferedBytes() {
          return pipe.bufferedBytes
        },
        close() {
          closed = true
          return Promise.resolve()
        },
      }
    },
    taken() {
      const lines = sent
      sent = []
      return lines.map(({ line }) => {
        if (/[\r\n]/.test(line)) throw new Error(`not one line: ${line}`)
        return JSON.parse(line) as JsonObject // every message of the mux is an object
      })
    },
    says: (message) => server().line(Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))),
    saysTooMuch: (head, tail) => server().tooLong(Buffer.from(head), Buffer.from(tail)),
    ends: (error) => server().ended(error),
    loses: (error) => newest?.undelivered?.(error),
    bufferedBytes: 0,
    get closed() {
      return closed
    },
  }
  return pipe
}

export const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, debugging: false }
