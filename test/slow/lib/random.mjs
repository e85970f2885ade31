// Chances that can be had again: the same seed, the same choices.

export function createRandom(seed) {
  let state = seed >>> 0
  /** mulberry32 */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit) => Math.floor(next() * limit)
  return {
    next,
    below,
    pick: (from) => from[below(from.length)],
    chance: (share) => next() < share,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => below(256))),
  }
}

/** `--name value` as a number. */
export function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`)
  const value = at < 0 ? otherwise : Number(process.argv[at + 1])
  if (Number.isFinite(value)) return value
  process.stderr.write(`--${name} takes a number\n`)
  process.exit(2)
}
