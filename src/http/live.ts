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
  /** Its place among those that are open. */
  at: number
}

export function createLive(now: () => number): Live {
  /**
   * A list in which the last takes the place of one that leaves. A Set makes a new table every few dozen requests, and each old table
   * points to the next: once one of them is old, V8 keeps all that follow, with their requests, until it collects everything.
   */
  const open: Open[] = []
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

  function leave(one: Open): void {
    const last = open.pop()
    if (!last || last === one) return
    open[one.at] = last
    last.at = one.at
  }

  return {
    enter(caller, res) {
      const one = { caller, res, at: open.length }
      open.push(one)
      if ((latest.get(caller.owner)?.expiresAt ?? 0) < caller.expiresAt) latest.set(caller.owner, caller)
      res.once('close', () => leave(one))
    },
    sweep(isOver) {
      const seconds = now() / 1000
      for (const [owner, caller] of latest) if (caller.expiresAt <= seconds || isOver(caller)) latest.delete(owner)
      // A copy: whoever is ended leaves the list.
      for (const one of [...open]) if (isOver(one.caller) || isTimeUp(one, seconds)) one.res.destroy()
    },
    get size() {
      return open.length
    },
  }
}
