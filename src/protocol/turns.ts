// Who is worked for next, when many want it at once: one network after the other, so that none waits for all that another has sent.

export interface Turns {
  /** Acts at once where this network has had no turn yet since the event loop went round, and nobody waits; else when it is its turn. */
  take(network: string, act: () => void): void
}

/** Before the event loop goes round again, so that whatever else it is there for is not kept waiting either. */
const MOST_AT_ONCE = 8

export function createTurns(): Turns {
  const waiting = new Map<string, (() => void)[]>()
  const served = new Set<string>()
  let isComing = false

  function come(): void {
    if (isComing) return
    isComing = true
    setImmediate(goRound)
  }

  function goRound(): void {
    isComing = false
    served.clear()
    for (const [network, acts] of [...waiting].slice(0, MOST_AT_ONCE)) {
      // The last in the row again, if it has more to do.
      waiting.delete(network)
      served.add(network)
      const act = acts.shift()
      if (acts.length > 0) waiting.set(network, acts)
      act?.()
    }
    if (waiting.size > 0) come()
  }

  return {
    take(network, act) {
      come()
      if (waiting.size === 0 && !served.has(network)) {
        served.add(network)
        return act()
      }
      const acts = waiting.get(network)
      if (acts) acts.push(act)
      else waiting.set(network, [act])
    },
  }
}
