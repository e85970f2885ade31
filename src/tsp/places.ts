// How many messages are looked at at once, for all and under one name: anybody can write any name on them.
import { createTally } from '../protocol/tally.ts'
import { Dropped } from './dropped.ts'

export interface Places {
  /** A name whose document is slow keeps what comes under it waiting, and nobody else: of the places that are left none gets more than a third. Fails with a drop for `busy`. */
  take(name: string): { leave(): void }
}

export function createPlaces(mostAtOnce: number): Places {
  let atOnce = 0
  const under = createTally()
  return {
    take(name) {
      if (under.of(name) >= (mostAtOnce - atOnce) / 3) throw new Dropped('busy', 'too many messages are being looked at')
      under.add(name, 1)
      atOnce++
      return {
        leave() {
          atOnce--
          under.takeAway(name, 1)
        },
      }
    },
  }
}
