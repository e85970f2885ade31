// Who gets which pipe: one per session, or one for all; one per caller for requests that have no session.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { LinkEvents, MessageUpstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { createMux, type Mux } from './mux.ts'
import type { OpenPipe } from './pipe.ts'

export interface PipePool extends MessageUpstream {
  /** Pipes that are open now. */
  readonly size: number
  close(): Promise<void>
}

export interface PoolOptions {
  /** Opens a pipe; throws `busy` never: the cap is kept here. */
  open: OpenPipe
  isolation: 'session' | 'shared'
  limits: Limits
  log: Log
  now: () => number
}

const NOBODY: LinkEvents = { unsolicited: () => {}, ended: () => {} }

export function createPool({ open, isolation, limits, log, now }: PoolOptions): PipePool {
  const muxes = new Set<Mux>()
  const stateless = new Map<string, { mux: Mux; idleSinceMs: number }>()
  let shared: Mux | undefined
  let closed = false

  function start(isShared: boolean): Mux {
    if (closed) throw new OpenMcpError('stopping', 'openmcp is stopping')
    if (muxes.size >= limits.children)
      throw new OpenMcpError('busy', `${limits.children} servers run already`, { hint: 'try again later, or raise --max-children' })
    let ended = false
    const mux: Mux = createMux({
      open,
      shared: isShared,
      limits,
      log,
      now,
      onEnd() {
        ended = true
        forget(mux)
      },
    })
    if (!ended) muxes.add(mux)
    return mux
  }
  function forget(mux: Mux | undefined): void {
    if (!mux) return
    muxes.delete(mux)
    if (shared === mux) shared = undefined
    for (const [caller, entry] of stateless) if (entry.mux === mux) stateless.delete(caller)
  }
  async function end(mux: Mux): Promise<void> {
    forget(mux)
    await mux.close()
  }

  const sweeper = setInterval(
    () => {
      const oldest = now() - limits.idleSeconds * 1000
      for (const entry of stateless.values()) {
        if (entry.mux.clients > 0) entry.idleSinceMs = now()
        else if (entry.idleSinceMs <= oldest) void end(entry.mux)
      }
    },
    Math.max(50, Math.min(30_000, limits.idleSeconds * 250)),
  )
  sweeper.unref()

  return {
    kind: 'messages',
    open(events) {
      if (isolation === 'shared') {
        shared ??= start(true)
        return shared.join(events)
      }
      const mux = start(false)
      const link = mux.join(events)
      return {
        ...link,
        async close() {
          await link.close()
          forget(mux)
        },
      }
    },
    stateless(caller) {
      let entry = stateless.get(caller)
      if (!entry) {
        entry = { mux: start(true), idleSinceMs: now() }
        stateless.set(caller, entry)
      }
      entry.idleSinceMs = now()
      return entry.mux.join(NOBODY)
    },
    get size() {
      return muxes.size
    },
    async close() {
      closed = true
      clearInterval(sweeper)
      await Promise.all([...muxes].map(end))
    },
  }
}
