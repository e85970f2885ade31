// A spare pipe stands in a place of the cap like every other, and leaves it to whoever takes it.
import type { Cap } from '../protocol/cap.ts'
import type { Spare } from './spare.ts'

export interface PlaceOfSpare extends Cap {
  giveBack(): void
  /** Ends the spare, unless it was taken. */
  end(): void
}

/** Returns the cap as those see it who may take the spare. */
export function createPlaceOfSpare(cap: Cap, spare: Pick<Spare, 'close' | 'started'>, sinceMs: number): PlaceOfSpare {
  const stand = (): (() => void) => cap.take(undefined, { idleSinceMs: () => sinceMs, end })
  let giveBack: (() => void) | undefined = stand()

  function leave(): boolean {
    giveBack?.()
    const stood = giveBack !== undefined
    giveBack = undefined
    return stood
  }
  function end(): void {
    leave()
    void spare.close()
  }

  spare.started.catch(leave)
  return {
    take(caller, holder) {
      const stood = leave()
      try {
        return cap.take(caller, holder)
      } catch (error) {
        // Whoever is refused does not take it.
        if (stood) giveBack = stand()
        throw error
      }
    },
    get size() {
      return cap.size
    },
    most: cap.most,
    giveBack: () => void leave(),
    end,
  }
}
