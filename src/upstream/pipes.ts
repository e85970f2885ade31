// A server that is spoken with over pipes: each for whoever has it, and one that was opened before anybody needed it.
import type { OpenMcpError } from '../errors.ts'
import type { Cap } from '../protocol/cap.ts'
import type { Caller } from '../protocol/caller.ts'
import { createLastingPipe } from './lasting-pipe.ts'
import { RETRY, type Connection, type ConnectOptions } from './options.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { createPipeCap, createPool } from './pool.ts'
import { createPlaceOfSpare, type PlaceOfSpare } from './spare-place.ts'
import { createSpare, type Spare } from './spare.ts'

export interface PipesOptions extends ConnectOptions {
  open(events: PipeEvents, caller?: Caller): OpenedPipe
  /** Why it cannot be opened, or ends as soon as it is. */
  failure(): OpenMcpError | undefined
  hasSpare: boolean
  /** How long until a spare that ended unused is opened again. Undefined: it is not. */
  waitMs?(): number
  /** A pipe that is lost has another in its place with the next message. */
  isLasting: boolean
}

/** What says nothing by itself is taken to be there after so long. */
const AWAKE_MS = 5000

/** A spare is opened at once: what is wrong shows at start, and the first client does not wait. */
export function connectPipes(options: PipesOptions): Connection {
  const { open, failure, waitMs, isLasting, limits, log, now } = options
  const cap = options.cap ?? createPipeCap(limits, log)
  let spare: Spare | undefined
  let place: PlaceOfSpare | undefined
  let again: NodeJS.Timeout | undefined
  let hasOpenedBefore = false
  let isOver = false

  function openSpare(): Spare | undefined {
    // Where there is no room for what nobody has asked for yet, the first who asks waits for it.
    if (isOver || cap.size >= cap.most) return undefined
    const fresh = createSpare(open, lostUnused)
    spare = fresh
    place = createPlaceOfSpare(cap, fresh, now())
    fresh.started.catch((error: OpenMcpError) => {
      // The first is told by `started`.
      if (hasOpenedBefore) log.error(error.message, { hint: error.hint })
      later()
    })
    return fresh
  }
  function lostUnused(error: OpenMcpError): void {
    place?.giveBack()
    log.error(error.message, { hint: error.hint })
    later()
  }
  function later(): void {
    spare = undefined
    hasOpenedBefore = true
    if (!waitMs || isOver) return
    again = setTimeout(openSpare, waitMs())
    again.unref()
  }
  function endSpare(): void {
    isOver = true
    clearTimeout(again)
  }

  const first = options.hasSpare ? openSpare() : undefined
  const opening = (events: PipeEvents, caller?: Caller): OpenedPipe => {
    const taken = spare?.take(events)
    spare = undefined
    return taken ?? open(events, caller)
  }
  const shown: Cap = {
    take: (caller, holder) => (place ?? cap).take(caller, holder),
    get size() {
      return cap.size
    },
    most: cap.most,
  }
  const pool = createPool({ ...options, open: isLasting ? createLastingPipe(opening, { ...RETRY, log, now }) : opening, cap: shown })
  const idle = setTimeout(() => {
    endSpare()
    place?.end()
  }, limits.idleSeconds * 1000)
  idle.unref()
  return {
    upstream: () => pool,
    messages: () => pool,
    started: first?.started ?? Promise.resolve(),
    ready: first ? withinTime(first.awake) : Promise.resolve(),
    state: () => (failure() ? 'failed' : pool.size > 0 ? 'running' : 'idle'),
    failure,
    pipes: () => pool.size,
    endOf: pool.endOf,
    async close(graceSeconds) {
      endSpare()
      clearTimeout(idle)
      place?.giveBack()
      await Promise.all([pool.close(graceSeconds), spare?.close(graceSeconds)])
    },
  }
}

function withinTime(awake: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, AWAKE_MS)
    timer.unref()
    void awake.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
