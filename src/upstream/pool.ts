// Who gets which pipe: one per session, one per owner, or one for all; one per owner for requests that have no session.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import { CHILDREN, createCap, type Cap } from '../protocol/cap.ts'
import { NO_EVENTS, type MessageUpstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { createMux, type Mux } from './mux.ts'
import type { Isolation } from './options.ts'
import type { OpenPipe } from './pipe.ts'

export interface PipePool extends MessageUpstream {
  /** Ends the pipes of owners whose last caller is over. Those of a session end with it. */
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  /** Pipes that are open now. */
  readonly size: number
  close(graceSeconds?: number): Promise<void>
}

export interface PoolOptions {
  /** Opens a pipe; throws `busy` never: the cap is kept here. */
  open: OpenPipe
  isolation: Isolation
  limits: Limits
  /** Pipes of others count with these. Undefined: these are all. */
  cap?: Cap | undefined
  log: Log
  now: () => number
}

/** A cap on pipes. At it one that nobody is joined to, and was not for longest, makes room: owners that never come back must not lock one out. */
export function createPipeCap({ children }: Limits, log: Log): Cap {
  const onEviction = (): void => log.warn('the cap on servers is reached; the one that was idle longest is ended', { children })
  return createCap({ most: children, words: CHILDREN, evicts: 'any', onEviction })
}

/** A pipe that the sessions, or the requests without one, of one owner share. */
interface Owned {
  mux: Mux
  /** Who used it last. */
  caller: Caller
  idleSinceMs: number
}

export function createPool({ open, isolation, limits, log, now, cap = createPipeCap(limits, log) }: PoolOptions): PipePool {
  /** Each with what gives its place back. */
  const muxes = new Map<Mux, () => void>()
  const perOwner = new Map<string, Owned>()
  const stateless = new Map<string, Owned>()
  let shared: Mux | undefined
  let closed = false

  function start(isShared: boolean, caller: Caller | undefined): Mux {
    if (closed) throw new OpenMcpError('stopping', 'openmcp is stopping')
    let ended = false
    let made: Mux | undefined
    const release = cap.take(caller, { idleSinceMs: () => idleSinceMs(made), end: () => void (made && end(made)) })
    try {
      const mux: Mux = createMux({
        open: (events) => open(events, caller),
        shared: isShared,
        limits,
        log,
        now,
        onEnd() {
          ended = true
          release()
          forget(made)
        },
      })
      made = mux
      if (!ended) muxes.set(mux, release)
      return mux
    } catch (error) {
      release()
      throw error
    }
  }
  function forget(mux: Mux | undefined): void {
    if (!mux) return
    muxes.get(mux)?.()
    muxes.delete(mux)
    if (shared === mux) shared = undefined
    for (const owned of [perOwner, stateless]) for (const [owner, entry] of owned) if (entry.mux === mux) owned.delete(owner)
  }
  /** Since when nobody is joined to a pipe that goes on without. */
  function idleSinceMs(mux: Mux | undefined): number | undefined {
    for (const entry of [...perOwner.values(), ...stateless.values()]) if (entry.mux === mux) return entry.mux.clients === 0 ? entry.idleSinceMs : undefined
    return undefined
  }
  function ownedBy(caller: Caller, owned: Map<string, Owned>): Mux {
    let entry = owned.get(caller.owner)
    if (!entry) {
      entry = { mux: start(true, caller), caller, idleSinceMs: now() }
      owned.set(caller.owner, entry)
    }
    entry.caller = caller
    entry.idleSinceMs = now()
    return entry.mux
  }
  async function end(mux: Mux, graceSeconds?: number): Promise<void> {
    forget(mux)
    await mux.close(graceSeconds)
  }

  const sweeper = setInterval(
    () => {
      const oldest = now() - limits.idleSeconds * 1000
      for (const entry of [...perOwner.values(), ...stateless.values()]) {
        if (entry.mux.clients > 0) entry.idleSinceMs = now()
        else if (entry.idleSinceMs <= oldest) void end(entry.mux)
      }
    },
    Math.max(50, Math.min(30_000, limits.idleSeconds * 250)),
  )
  sweeper.unref()

  return {
    kind: 'messages',
    open(events, caller) {
      if (isolation === 'shared') {
        shared ??= start(true, undefined)
        return shared.join(events)
      }
      if (isolation === 'identity') return ownedBy(caller, perOwner).join(events)
      const mux = start(false, caller)
      const link = mux.join(events)
      return {
        ...link,
        async close() {
          await link.close()
          forget(mux)
        },
      }
    },
    stateless: (caller) => ownedBy(caller, stateless).join(NO_EVENTS),
    async endOf(isOver) {
      const over = [...perOwner.values(), ...stateless.values()].filter(({ caller }) => isOver(caller))
      await Promise.all(over.map(({ mux }) => end(mux)))
    },
    get size() {
      return muxes.size
    },
    async close(graceSeconds) {
      closed = true
      clearInterval(sweeper)
      await Promise.all([...muxes.keys()].map((mux) => end(mux, graceSeconds)))
    },
  }
}
