// Answers that are open, and whose they are: what was let in can be let go again.
import type { ServerResponse } from 'node:http'

import type { Caller } from '../protocol/caller.ts'
import type { OnStream } from '../protocol/session.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'

export interface Live {
  /** `server`: the name of the one that is asked, if it is one. */
  enter(caller: Caller, res: ServerResponse, server?: string): void
  onStream: OnStream
  /**
   * Ends the answers of callers that are over, and streams (not calls in flight) whose caller's time ran out without a newer token.
   */
  sweep(isOver: IsOver): void
  readonly size: number
}

/** Whether this caller may have nothing open any more, or nothing at this server. */
export type IsOver = (caller: Caller, server?: string) => boolean

interface Open {
  readonly server: string | undefined
  readonly res: ServerResponse
  caller: Caller
  isStream: boolean
  session: { readonly caller: Caller } | undefined
}

export function createLive(now: () => number): Live {
  const open = new TurnoverSet<Open>()

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
    enter(caller, res, server) {
      const one = { server, res, caller, isStream: res.req.method === 'GET', session: undefined }
      open.add(one)
      // It comes once; asking for one event alone would cost three objects more.
      res.on('close', () => open.delete(one))
    },
    onStream(res, session) {
      for (const one of open) if (one.res === res) Object.assign(one, { isStream: true, session })
    },
    sweep(isOver) {
      const seconds = now() / 1000
      for (const one of open) if (isOver(one.caller, one.server) || isTimeUp(one, seconds)) one.res.destroy()
    },
    get size() {
      return open.size
    },
  }
}
