// A child that was started before anybody needed it: what is wrong with the command shows at start, and the first client
// does not wait.
import type { OpenMcpError } from '../errors.ts'
import type { Child } from './child.ts'
import type { PipeEvents } from './pipe.ts'

export interface Spare {
  /** Settles once the program runs; fails with the reason when it cannot. */
  readonly started: Promise<void>
  /** Hands the child over, once, if it still runs. */
  take(events: PipeEvents): Child | undefined
  /** Ends it if nobody took it. */
  close(graceSeconds?: number): Promise<void>
}

export function createSpare(start: (events: PipeEvents) => Child, onEndUnused: (error: OpenMcpError) => void): Spare {
  let owner: PipeEvents | undefined
  let isOver = false
  let hasStarted = false
  const child = start({
    line: (bytes) => owner?.line(bytes),
    tooLong: (head, tail) => owner?.tooLong(head, tail),
    ended(error) {
      if (owner) return owner.ended(error)
      // One that never started is told of by `started`.
      if (!isOver && hasStarted) onEndUnused(error)
      isOver = true
    },
  })
  child.started.then(
    () => (hasStarted = true),
    () => {},
  )
  return {
    started: child.started,
    take(events) {
      if (owner || isOver) return undefined
      owner = events
      return child
    },
    async close(graceSeconds) {
      if (owner) return
      isOver = true
      await child.close(graceSeconds)
    },
  }
}
