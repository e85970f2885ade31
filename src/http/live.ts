// Answers that are open, and whose they are: what was let in can be let go again.
import type { ServerResponse } from 'node:http'

import type { Caller } from '../protocol/caller.ts'
import type { OnStream } from '../protocol/session.ts'

export interface Live {
  enter(caller: Caller, res: ServerResponse): void
  onStream: OnStream
  /**
   * Ends the answers of callers that are over, and streams (not calls in flight) whose caller's time ran out without a newer token.
   */
  sweep(isOver: (caller: Caller) => boolean): void
  readonly size: number
}

interface Open {
  caller: Caller
  isStream: boolean
  session: { readonly caller: Caller } | undefined
}

export function createLive(now: () => number): Live {
  const open = new Map<ServerResponse, Open>()

  /**
   * A client refreshes its token while its stream stays open: the stream then stands on the newer one. It has to be shown in the
   * session of the stream: whoever stole an older one would otherwise listen for as long as its owner comes back.
   */
  function isTimeUp(one: Open, seconds: number): boolean {
    if (!one.isStream || one.caller.expiresAt > seconds) return false
    const newest = one.session?.caller
    if (!newest || newest.expiresAt <= seconds) return true
    one.caller = newest
    return false
  }

  return {
    enter(caller, res) {
      open.set(res, { caller, isStream: res.req.method === 'GET', session: undefined })
      res.once('close', () => open.delete(res))
    },
    onStream(res, session) {
      const one = open.get(res)
      if (one) Object.assign(one, { isStream: true, session })
    },
    sweep(isOver) {
      const seconds = now() / 1000
      for (const [res, one] of open) if (isOver(one.caller) || isTimeUp(one, seconds)) res.destroy()
    },
    get size() {
      return open.size
    },
  }
}
