// A pipe carries messages, one per line, both ways, and knows nothing of what they mean: a child, an SSE server.
import type { OpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'

export interface Pipe {
  /** One message, one line without its line break. `undelivered` is called when the other side did not take it. */
  send(line: string, undelivered?: (error: OpenMcpError) => void): void
  /** Bytes that wait to be taken by the other side. */
  readonly bufferedBytes: number
  /**
   * Ends the other side or the connection to it. Never throws, safe to repeat. `graceSeconds` is less time than usual for whoever
   * does not end by itself; it counts for a close that is under way, too.
   */
  close(graceSeconds?: number): Promise<void>
}

export interface PipeEvents {
  line(bytes: Buffer): void
  /** A message larger than the cap was passed over; its first and last bytes. */
  tooLong(head: Buffer, tail: Buffer): void
  /** The other side was lost, and another one takes its place with the next message: what was in flight is answered by nobody. */
  interrupted?(error: OpenMcpError): void
  /** The other side is gone. Said once, and nothing is said after it. */
  ended(error: OpenMcpError): void
}

/** `started` settles once the other side can be spoken to, or fails with why it cannot. */
export interface OpenedPipe extends Pipe {
  readonly started: Promise<void>
  /** Settles with the first sign that what is behind it runs, or has ended; never fails. None: `started` is that sign. */
  readonly awake?: Promise<void> | undefined
}

/** `caller`: whose pipe it will be; undefined: everybody's. */
export type OpenPipe = (events: PipeEvents, caller?: Caller) => Pipe
