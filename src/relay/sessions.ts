// Sessions: each belongs to one owner (an identity with those who act for it) and for anybody else does not exist. They end when
// left, when idle, or when their upstream does; there are never more than the cap, and no owner has more than its share of it.
import { randomBytes } from 'node:crypto'

import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { createCap, SESSIONS, type Cap } from '../protocol/cap.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Session, SessionValue, Sessions } from '../protocol/session.ts'

interface Entry<V> extends Session<V> {
  caller: Caller
  holds: number
  usedMs: number
  release(): void
}

export interface SessionsOptions {
  limits: Limits
  /** Those of others count with these. Undefined: these are all. */
  cap?: Cap | undefined
  log: Log
  now: () => number
}

/** A cap on sessions. At it the owner's own one that lay idle longest makes room: clients that never say goodbye must not lock one out. */
export function createSessionCap({ sessions }: Limits, log: Log): Cap {
  const onEviction = (): void => log.warn('the cap on sessions is reached; the one that was idle longest is ended', { sessions })
  return createCap({ most: sessions, words: SESSIONS, evicts: 'own', onEviction })
}

export function createSessions<V extends SessionValue>({ limits, log, now, cap = createSessionCap(limits, log) }: SessionsOptions): Sessions<V> {
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
    const entry = entries.get(session.id)
    if (!entry) return
    entries.delete(session.id)
    entry.release()
    await entry.value.close()
  }

  return {
    open(caller, value) {
      const entry: Entry<V> = {
        id: randomBytes(32).toString('base64url'),
        caller,
        value,
        holds: 0,
        usedMs: now(),
        release: cap.take(caller, { idleSinceMs: () => (entry.holds === 0 ? entry.usedMs : undefined), end: () => void end(entry) }),
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
