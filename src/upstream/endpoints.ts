// Several ways to one server: who gets the next session, who is left alone for a while, and who is tried again.
import { createBackOff, type BackOff } from './back-off.ts'

export interface Endpoints<T> {
  /**
   * One to begin something with: of the first tier that has one that is up, the least loaded. While none is up: the one whose time
   * comes first, if it was not tried already.
   */
  pick(tried?: ReadonlySet<T>): T | undefined
  /** Something lasts on it: a session, a call. Returns what to call when it is over (once counts). */
  begin(endpoint: T): () => void
  failed(endpoint: T): void
  works(endpoint: T): void
  /** Those that were left alone for long enough to be looked at. */
  due(): readonly T[]
  isUp(endpoint: T): boolean
  readonly all: readonly T[]
}

const LONGEST_MS = 30_000

interface State<T> {
  readonly endpoint: T
  readonly tier: number
  load: number
  readonly backOff: BackOff
}

/** The first tier is what is balanced; each further one is a fall-back that the operator named. */
export function createEndpoints<T>(tiers: readonly (readonly T[])[], { now, random }: { now: () => number; random: () => number }): Endpoints<T> {
  const states = tiers.flatMap((tier, index) =>
    tier.map((endpoint): State<T> => ({ endpoint, tier: index, load: 0, backOff: createBackOff({ longestMs: LONGEST_MS, now, random }) })),
  )
  const stateOf = new Map(states.map((state) => [state.endpoint, state]))

  return {
    all: states.map(({ endpoint }) => endpoint),
    pick(tried) {
      const open = states.filter(({ endpoint }) => !tried?.has(endpoint))
      const up = open.filter(({ backOff }) => backOff.untilMs <= now())
      const tier = Math.min(...up.map((state) => state.tier))
      const least = Math.min(...up.filter((state) => state.tier === tier).map(({ load }) => load))
      const best = up.filter((state) => state.tier === tier && state.load === least)
      const chosen = best[Math.floor(random() * best.length)] ?? open.toSorted((a, b) => a.backOff.untilMs - b.backOff.untilMs)[0]
      return chosen?.endpoint
    },
    begin(endpoint) {
      const state = stateOf.get(endpoint)
      if (state) state.load++
      let isOver = false
      return () => {
        if (state && !isOver) state.load--
        isOver = true
      }
    },
    failed: (endpoint) => stateOf.get(endpoint)?.backOff.failed(),
    works: (endpoint) => stateOf.get(endpoint)?.backOff.works(),
    due: () => states.filter(({ backOff }) => backOff.failures > 0 && backOff.untilMs <= now()).map(({ endpoint }) => endpoint),
    isUp: (endpoint) => (stateOf.get(endpoint)?.backOff.untilMs ?? 0) <= now(),
  }
}
