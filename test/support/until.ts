const EVERY_MS = 10
const WITHIN_MS = 15_000

type Nothing = undefined | null | false

/** Looks until there is something to see, and returns it. A wait without a clock: it takes as long as it takes, up to a deadline. */
export async function until<T>(what: string, look: () => T | Nothing | Promise<T | Nothing>, withinMs = WITHIN_MS): Promise<T> {
  for (const deadline = performance.now() + withinMs; ;) {
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false) return seen
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}
