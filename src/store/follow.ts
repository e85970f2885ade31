// Hears of what other processes changed in the store.
import { OpenMcpError } from '../errors.ts'
import type { Store } from './shapes.ts'

export interface FollowOptions {
  everyMs?: number
  log: { warn(message: string): void; info(message: string): void }
}

const EVERY_MS = 250
/** So many times as long as it took, it rests. */
const REST = 5

export interface Following {
  /** How long ago everything that was changed was known, by a clock that nobody sets. To know that there is news is not to know it. */
  silentMs(): number
  stop(): void
}

/**
 * Calls `onChange` once at first, for what changed before, and after every change; again later when it fails. A store that fails is
 * asked on: its failure is told once, and so is its return.
 */
export function followStore(store: Pick<Store, 'version'>, onChange: () => Promise<void> | void, { everyMs = EVERY_MS, log }: FollowOptions): Following {
  let seen: number | undefined
  let isFailing = false
  let stopped = false
  let knownMs = performance.now()
  let timer = later(everyMs)

  function later(afterMs: number): NodeJS.Timeout {
    // It keeps no process alive.
    return setTimeout(() => void look(), afterMs).unref()
  }
  async function look(): Promise<void> {
    const beganMs = performance.now()
    try {
      const version = await store.version()
      if (!stopped && version !== seen) {
        await onChange()
        seen = version
      }
      knownMs = performance.now()
      if (isFailing && !stopped) log.info('the store can be read again')
      isFailing = false
    } catch (thrown) {
      if (!isFailing && !stopped) log.warn(`the store cannot be followed, what was known stays: ${wordsOf(thrown)}`)
      isFailing = true
    }
    // Whoever writes much must not keep everybody busy with reading it.
    if (!stopped) timer = later(Math.max(everyMs, REST * (performance.now() - beganMs)))
  }
  return {
    silentMs: () => performance.now() - knownMs,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof OpenMcpError ? thrown.message : String(thrown)
}
