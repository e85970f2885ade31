// A child or a connection that was opened before anybody needed it: what is wrong with it shows at start, and the first client
// does not wait.
import type { OpenMcpError } from '../errors.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

export interface Spare {
  /** Settles once it can be spoken to; fails with the reason when it cannot. */
  readonly started: Promise<void>
  /** Settles with the first sign that it runs, or has ended; never fails. */
  readonly awake: Promise<void>
  /** Hands it over, once, if it is still there. */
  take(events: PipeEvents): OpenedPipe | undefined
  /** Ends it if nobody took it. */
  close(graceSeconds?: number): Promise<void>
}

export function createSpare(start: (events: PipeEvents) => OpenedPipe, onEndUnused: (error: OpenMcpError) => void): Spare {
  let owner: PipeEvents | undefined
  let isOver = false
  let hasStarted = false
  const pipe = start({
    line: (bytes) => owner?.line(bytes),
    tooLong: (head, tail) => owner?.tooLong(head, tail),
    ended(error) {
      if (owner) return owner.ended(error)
      // One that never started is told of by `started`.
      if (!isOver && hasStarted) onEndUnused(error)
      isOver = true
    },
  })
  pipe.started.then(
    () => (hasStarted = true),
    () => {},
  )
  return {
    started: pipe.started,
    awake: pipe.awake ?? pipe.started.catch(() => {}),
    take(events) {
      if (owner || isOver) return undefined
      owner = events
      return pipe
    },
    async close(graceSeconds) {
      if (owner) return
      isOver = true
      await pipe.close(graceSeconds)
    },
  }
}
