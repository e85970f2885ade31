// How long something that failed is left alone: longer each time, and never for ever.

export interface BackOff {
  failed(): void
  works(): void
  /** Failures in a row. */
  readonly failures: number
  /** When it may be tried again; 0 while nothing is against it. */
  readonly untilMs: number
}

export interface BackOffOptions {
  /** So many failures in a row are nothing. */
  forgiven?: number
  longestMs: number
  now: () => number
  random: () => number
}

export const FIRST_WAIT_MS = 1000

/** The first wait is doubled with each failure that follows; by chance half of it more, so that nobody is found by all at once. */
export function createBackOff({ forgiven = 0, longestMs, now, random }: BackOffOptions): BackOff {
  let [failures, untilMs] = [0, 0]
  return {
    failed() {
      // Many find out at once that one is away: that is one failure.
      if (untilMs > now()) return
      failures++
      if (failures > forgiven) untilMs = now() + Math.min(longestMs, FIRST_WAIT_MS * 2 ** (failures - forgiven - 1)) * (1 + random() / 2)
    },
    works() {
      failures = 0
      untilMs = 0
    },
    get failures() {
      return failures
    },
    get untilMs() {
      return untilMs
    },
  }
}
