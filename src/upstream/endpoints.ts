// Several ways to one server: who gets the next session, who is left alone for a while, and who is tried again.

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

/** The wait after the first failure, doubled with each that follows; by chance half of it more, so that nobody is found by all at once. */
const FIRST_MS = 1000
const LONGEST_MS = 30_000

interface State<T> {
  readonly endpoint: T
  readonly tier: number
  load: number
  failures: number
  /** Left alone until then. */
  untilMs: number
}

/** The first tier is what is balanced; each further one is a fall-back that the operator named. */
export function createEndpoints<T>(tiers: readonly (readonly T[])[], { now, random }: { now: () => number; random: () => number }): Endpoints<T> {
  const states = tiers.flatMap((tier, index) => tier.map((endpoint): State<T> => ({ endpoint, tier: index, load: 0, failures: 0, untilMs: 0 })))
  const stateOf = new Map(states.map((state) => [state.endpoint, state]))

  return {
    all: states.map(({ endpoint }) => endpoint),
    pick(tried) {
      const open = states.filter(({ endpoint }) => !tried?.has(endpoint))
      const up = open.filter(({ untilMs }) => untilMs <= now())
      const tier = Math.min(...up.map((state) => state.tier))
      const least = Math.min(...up.filter((state) => state.tier === tier).map(({ load }) => load))
      const best = up.filter((state) => state.tier === tier && state.load === least)
      const chosen = best[Math.floor(random() * best.length)] ?? open.toSorted((a, b) => a.untilMs - b.untilMs)[0]
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
    failed(endpoint) {
      const state = stateOf.get(endpoint)
      // Many find out at once that one is away: that is one failure.
      if (!state || state.untilMs > now()) return
      const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** state.failures)
      state.failures++
      state.untilMs = now() + waitMs * (1 + random() / 2)
    },
    works(endpoint) {
      const state = stateOf.get(endpoint)
      if (state && state.failures > 0) Object.assign(state, { failures: 0, untilMs: 0 })
    },
    due: () => states.filter(({ failures, untilMs }) => failures > 0 && untilMs <= now()).map(({ endpoint }) => endpoint),
    isUp: (endpoint) => (stateOf.get(endpoint)?.untilMs ?? 0) <= now(),
  }
}
