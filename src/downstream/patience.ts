// How long an answer may take before the client is told that it is being served. One timer for all: a timer per call costs.
import { TurnoverMap } from '../protocol/turnover-map.ts'
import type { PostReply } from './post-reply.ts'

/** Most calls are answered before this, and then in one piece. */
const PATIENCE_MS = 25

export interface Patience {
  begin(reply: PostReply): void
  over(reply: PostReply): void
}

export function createPatience(): Patience {
  // In the order of beginning: the first that is young enough ends the round.
  const waiting = new TurnoverMap<PostReply, number>()
  let timer: NodeJS.Timeout | undefined
  const round = (): void => {
    timer = undefined
    const oldest = performance.now() - PATIENCE_MS
    for (const [reply, since] of waiting) {
      if (since > oldest) break
      waiting.delete(reply)
      reply.openNow()
    }
    if (waiting.size > 0) arm()
  }
  const arm = (): void => {
    timer ??= setTimeout(round, PATIENCE_MS)
  }
  return {
    begin(reply) {
      waiting.set(reply, performance.now())
      arm()
    },
    over(reply) {
      waiting.delete(reply)
    },
  }
}
