// Answers that are open, and whose they are: what was let in can be let go again.
import type { ServerResponse } from 'node:http'

import type { Caller } from '../protocol/caller.ts'

export interface Live {
  enter(caller: Caller, res: ServerResponse): void
  /**
   * Ends the answers of callers that are over, and streams (not calls in flight) whose caller's time ran out without a newer token.
   */
  sweep(isOver: (caller: Caller) => boolean): void
  readonly size: number
}

interface Open {
  caller: Caller
  readonly res: ServerResponse
}

export function createLive(now: () => number): Live {
  const open = new Set<Open>()
  /** The newest token of each owner that has something open. */
  const latest = new Map<string, Caller>()

  /** A client refreshes its token while its stream stays open: the stream then stands on the newer one. */
  function isTimeUp(one: Open, seconds: number): boolean {
    if (one.caller.expiresAt > seconds) return false
    const newest = latest.get(one.caller.owner)
    if (!newest || newest.expiresAt <= seconds) return one.res.req.method === 'GET'
    one.caller = newest
    return false
  }

  return {
    enter(caller, res) {
      const one = { caller, res }
      open.add(one)
      if ((latest.get(caller.owner)?.expiresAt ?? 0) < caller.expiresAt) latest.set(caller.owner, caller)
      res.once('close', () => open.delete(one))
    },
    sweep(isOver) {
      const seconds = now() / 1000
      for (const [owner, caller] of latest) if (caller.expiresAt <= seconds || isOver(caller)) latest.delete(owner)
      for (const one of open) if (isOver(one.caller) || isTimeUp(one, seconds)) one.res.destroy()
    },
    get size() {
      return open.size
    },
  }
}
