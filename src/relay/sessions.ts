// Sessions: each belongs to one owner (an identity with those who act for it) and for anybody else does not exist. They end when
// left, when idle, or when their upstream does; there are never more than the cap, and no owner has more than its share of it.
import { randomBytes } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { shareOf, type Caller } from '../protocol/caller.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Session, SessionValue, Sessions } from '../protocol/session.ts'

interface Entry<V> extends Session<V> {
  caller: Caller
  holds: number
  usedMs: number
}

export function createSessions<V extends SessionValue>({ limits, log, now }: { limits: Limits; log: Log; now: () => number }): Sessions<V> {
  const entries = new Map<string, Entry<V>>()
  const idleMs = limits.idleSeconds * 1000

  const sweeper = setInterval(
    () => {
      const oldest = now() - idleMs
      for (const entry of entries.values()) {
        if (entry.holds > 0 || entry.usedMs > oldest) continue
        log.info('a session was idle for too long and is ended', { idleSeconds: limits.idleSeconds })
        void end(entry)
      }
    },
    Math.max(50, Math.min(30_000, idleMs / 4)),
  )
  sweeper.unref()

  async function end(session: Session<V>): Promise<void> {
    if (!entries.delete(session.id)) return
    await session.value.close()
  }

  function heldBy({ owner }: Caller): number {
    let held = 0
    for (const entry of entries.values()) if (entry.caller.owner === owner) held++
    return held
  }

  /** At the cap the owner's own session that lay idle longest makes room: clients that never say goodbye must not lock one out. */
  function makeRoom({ owner }: Caller): boolean {
    let oldest: Entry<V> | undefined
    for (const entry of entries.values()) {
      if (entry.holds === 0 && entry.caller.owner === owner && (!oldest || entry.usedMs < oldest.usedMs)) oldest = entry
    }
    if (!oldest) return false
    log.warn('the cap on sessions is reached; the one that was idle longest is ended', { sessions: limits.sessions })
    void end(oldest)
    return true
  }

  return {
    open(caller, value) {
      const share = shareOf(caller, limits.sessions)
      if (caller.via !== 'nobody' && heldBy(caller) >= share && !makeRoom(caller)) {
        throw new OpenMcpError('busy', `${share} sessions of this caller are open`, { hint: 'close those that are not needed, or raise --max-sessions' })
      }
      if (entries.size >= limits.sessions && !makeRoom(caller)) {
        throw new OpenMcpError('busy', `${limits.sessions} sessions are open`, { hint: 'try again later, or raise --max-sessions' })
      }
      const entry: Entry<V> = {
        id: randomBytes(32).toString('base64url'),
        caller,
        value,
        holds: 0,
        usedMs: now(),
        hold() {
          entry.holds++
          let held = true
          return () => {
            if (!held) return
            held = false
            entry.holds--
            entry.usedMs = now()
          }
        },
      }
      entries.set(entry.id, entry)
      return entry
    },
    find(caller, id) {
      const entry = entries.get(id)
      if (!entry || entry.caller.owner !== caller.owner) return undefined
      entry.caller = caller
      entry.usedMs = now()
      return entry
    },
    end,
    async endOf(isOver) {
      await Promise.all([...entries.values()].filter(({ caller }) => isOver(caller)).map(end))
    },
    get size() {
      return entries.size
    },
    get held() {
      let held = 0
      for (const entry of entries.values()) if (entry.holds > 0) held++
      return held
    },
    async close() {
      clearInterval(sweeper)
      await Promise.all([...entries.values()].map(end))
    },
  }
}
