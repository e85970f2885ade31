// Several servers as one: what lists hold is put together under joined names, and each call goes to the server that it names.
import type { Log } from '../../observe/log.ts'
import type { MessageUpstream } from '../../protocol/exchange.ts'
import type { Limits } from '../../protocol/limits.ts'
import type { Member } from './member.ts'
import { openSession, type AggregateSession } from './session.ts'
import { UNSUPPORTED } from './stateless.ts'

export interface Aggregate extends MessageUpstream {
  /** There are other members now: sessions that are open follow, and tell their clients. */
  changed(): void
  /** Somebody may not reach a server any more: what is open there ends. */
  ended(): void
}

export interface AggregateOptions {
  /** Those that there are now, each the same object for as long as it is the same server. Their gates say which are there for whom. */
  members(): readonly Member[]
  server: { name: string; version: string }
  /** `connectSeconds`: how long a session waits for a server to answer, and a list for the list of one. */
  limits: Pick<Limits, 'connectSeconds'>
  log: Log
  now: () => number
}

export function createAggregate({ limits, ...options }: AggregateOptions): Aggregate {
  const sessions = new Set<AggregateSession>()
  return {
    kind: 'messages',
    open(events, caller) {
      const session = openSession({ ...options, events, caller, patienceMs: limits.connectSeconds * 1000 })
      const link: AggregateSession = {
        ...session,
        async close() {
          sessions.delete(link)
          await session.close()
        },
      }
      sessions.add(link)
      return link
    },
    stateless: () => UNSUPPORTED,
    changed() {
      for (const session of sessions) session.look()
    },
    ended() {
      for (const session of sessions) session.lookAtJoined()
    },
  }
}
