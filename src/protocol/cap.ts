// How many there may be of what callers hold (sessions, children): one count for whoever keeps them, in which no caller has more than its share.
import { OpenMcpError } from '../errors.ts'
import { shareOf, type Caller } from './caller.ts'

export interface Cap {
  /**
   * A place for one more; returns what gives it back (once counts). At the cap one that lies idle makes room. Refuses with `busy`
   * when none does, and to a caller that has its share of places (`shareOf`). Without a caller it is for everybody.
   */
  take(caller: Caller | undefined, holder: Holder): () => void
  readonly size: number
  readonly most: number
}

/** What stands in a place. */
export interface Holder {
  /** When it was used last, in milliseconds; undefined: it is in use. */
  idleSinceMs(): number | undefined
  /** Ends it; it gives its place back before this returns. */
  end(): void
}

export interface CapWords {
  full(most: number): string
  ofCaller(share: number): string
  readonly option: string
}

export const SESSIONS: CapWords = {
  full: (most) => `${most} sessions are open`,
  ofCaller: (share) => `${share} sessions of this caller are open`,
  option: '--max-sessions',
}

export const CHILDREN: CapWords = {
  full: (most) => `${most} servers run already`,
  ofCaller: (share) => `${share} servers run for this caller already`,
  option: '--max-children',
}

interface Place {
  readonly caller: Caller | undefined
  readonly holder: Holder
}

export interface CapOptions {
  most: number
  words: CapWords
  /** Whose idle ones make room: the caller's own, or anybody's. */
  evicts: 'own' | 'any'
  /** Told when one that lay idle had to go. */
  onEviction(): void
}

export function createCap({ most, words, evicts, onEviction }: CapOptions): Cap {
  const places = new Set<Place>()
  const isOf =
    (caller: Caller | undefined) =>
    (place: Place): boolean =>
      place.caller?.owner === caller?.owner

  function makeRoom(may: (place: Place) => boolean): boolean {
    let oldest: { holder: Holder; sinceMs: number } | undefined
    for (const place of places) {
      const sinceMs = may(place) ? place.holder.idleSinceMs() : undefined
      if (sinceMs !== undefined && (!oldest || sinceMs < oldest.sinceMs)) oldest = { holder: place.holder, sinceMs }
    }
    if (!oldest) return false
    onEviction()
    oldest.holder.end()
    return true
  }

  return {
    take(caller, holder) {
      const own = isOf(caller)
      if (caller && caller.via !== 'nobody') {
        const share = shareOf(caller, most)
        const held = [...places].filter(own).length
        if (held >= share && !makeRoom(own)) {
          throw new OpenMcpError('busy', words.ofCaller(share), { hint: `close those that are not needed, or raise ${words.option}` })
        }
      }
      if (places.size >= most && !makeRoom(evicts === 'own' ? own : () => true)) {
        throw new OpenMcpError('busy', words.full(most), { hint: `try again later, or raise ${words.option}` })
      }
      const place = { caller, holder }
      places.add(place)
      return () => void places.delete(place)
    },
    get size() {
      return places.size
    },
    most,
  }
}

/** The same places for callers that stand for others: what they take is counted as those others'. */
export function capAs(cap: Cap, countedAs: (caller: Caller) => Caller): Cap {
  return {
    take: (caller, holder) => cap.take(caller && countedAs(caller), holder),
    get size() {
      return cap.size
    },
    most: cap.most,
  }
}
