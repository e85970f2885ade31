// What was not taken: counted, and said in words where an operator can do something about it. Whoever sent it hears nothing.
import type { Log } from '../observe/log.ts'

export interface DropLog {
  dropped(reason: string, why: string): void
  counts(): Readonly<Record<string, number>>
}

/** An operator can mend these. The others are what any stranger can send, and are told to those who look for them. */
const TOLD = new Set(['revision', 'untrusted', 'unresolved', 'unrelated', 'unreachable'])
const AGAIN_MS = 60_000
/** Distinct words within that time; beyond it strangers would fill the log. */
const MOST_WORDS = 100

export function createDropLog({ log, now }: { log: Log; now: () => number }): DropLog {
  const counts = new Map<string, number>()
  const said = new Map<string, number>()

  function isNews(why: string): boolean {
    for (const [words, atMs] of said) if (now() - atMs >= AGAIN_MS) said.delete(words)
    if (said.has(why) || said.size >= MOST_WORDS) return false
    said.set(why, now())
    return true
  }

  return {
    dropped(reason, why) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1)
      if (TOLD.has(reason) && isNews(why)) log.info('a TSP message was not taken', { reason, why })
      else log.debug('a TSP message was not taken', { reason, why })
    },
    counts: () => Object.fromEntries(counts),
  }
}
