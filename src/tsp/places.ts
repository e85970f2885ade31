// How many messages are looked at at once, for all and under one name: anybody can write any name on them.
import { Dropped } from './dropped.ts'

export interface Places {
  /** A name whose document is slow keeps what comes under it waiting, and nobody else: of the places that are left none gets more than a third. Fails with a drop for `busy`. */
  take(name: string): { leave(): void }
}

export function createPlaces(mostAtOnce: number): Places {
  let atOnce = 0
  const under = new Map<string, number>()
  return {
    take(name) {
      const others = under.get(name) ?? 0
      if (others >= (mostAtOnce - atOnce) / 3) throw new Dropped('busy', 'too many messages are being looked at')
      under.set(name, others + 1)
      atOnce++
      return {
        leave() {
          atOnce--
          const left = (under.get(name) ?? 1) - 1
          if (left > 0) under.set(name, left)
          else under.delete(name)
        },
      }
    },
  }
}
