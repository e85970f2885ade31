// All servers as one: an upstream of its own, which has nothing to start and nothing to end.
import type { Caller } from '../protocol/caller.ts'
import type { Gate } from '../protocol/gate.ts'
import { createAggregate, type AggregateOptions } from '../relay/aggregate/aggregate.ts'
import { createGate, type GateOptions } from '../relay/gate.ts'
import type { Connection } from '../upstream/options.ts'

export interface Joined {
  readonly connection: Connection
  /** There are other servers now. */
  changed(): void
  /** Somebody may not reach a server any more. */
  ended(): void
}

export function createJoined(options: AggregateOptions): Joined {
  const aggregate = createAggregate(options)
  return {
    connection: {
      upstream: () => aggregate,
      messages: () => aggregate,
      started: Promise.resolve(),
      state: () => 'idle',
      failure: () => undefined,
      pipes: () => 0,
      endOf: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
    changed: aggregate.changed,
    ended: aggregate.ended,
  }
}

type Standing = NonNullable<ReturnType<GateOptions['standingOf']>>

/** Scopes alone: of tools each server's own gate says by its own names which may be used. */
export function createJoinedGate(standingOf: GateOptions['standingOf']): Gate {
  const known = new WeakMap<Standing, Standing>()
  const unrestricted = (standing: Standing): Standing => {
    const of = known.get(standing) ?? { ...standing, restricted: false, mayUse: () => true }
    known.set(standing, of)
    return of
  }
  return createGate({
    standingOf(caller: Caller) {
      const standing = standingOf(caller)
      return standing && unrestricted(standing)
    },
  })
}
