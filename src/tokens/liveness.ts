// Whether the DIDs that have something open here still are what they were: a document can be withdrawn while a token lives.
import type { Resolver } from '../identity/shapes.ts'
import { isVid } from '../identity/vid.ts'
import { isFetched } from './did-signature.ts'

export interface Liveness {
  /** Known to be deactivated, withdrawn or broken. A document that cannot be had just now changes nothing. */
  isGone(identity: string): boolean
  /** The same of somebody who comes by and has nothing open: read again first when that is due. */
  isStillThere(identity: string): Promise<boolean>
  /** Reads again what is older than it may be. Never fails. */
  look(identities: Iterable<string>): Promise<void>
}

/** Looked at in one go; the others have their turn in the next. */
const AT_ONCE = 8
const REMEMBERED = 10_000

export function createLiveness({ resolver, maxAgeMs, now }: { resolver: Resolver; maxAgeMs: number; now: () => number }): Liveness {
  /** Until when what was seen is believed: somebody who has nothing open any more is not looked at, and may be back. */
  const gone = new Map<string, number>()
  const lookedMs = new Map<string, number>()

  async function lookAt(identity: string): Promise<void> {
    if (!isVid(identity)) return
    const resolution = await resolver.resolve(identity, { maxAgeMs })
    // A document without a key to log in with is how a did:web ends.
    if (resolution.state === 'found' && resolution.authentication.length > 0) gone.delete(identity)
    else if (resolution.state !== 'failed') gone.set(identity, now() + 2 * maxAgeMs)
  }

  const isGone = (identity: string): boolean => gone.size > 0 && (gone.get(identity) ?? -Infinity) > now()

  return {
    isGone,
    async isStillThere(identity) {
      if (isFetched(identity)) await lookAt(identity)
      return !isGone(identity)
    },
    async look(identities) {
      const due: string[] = []
      for (const identity of new Set(identities)) {
        // What is computed from the DID itself cannot be withdrawn.
        if (!isFetched(identity) || (lookedMs.get(identity) ?? -Infinity) > now() - maxAgeMs) continue
        due.push(identity)
        if (due.length === AT_ONCE) break
      }
      if (lookedMs.size > REMEMBERED) lookedMs.clear()
      for (const [identity, untilMs] of gone) if (untilMs <= now()) gone.delete(identity)
      for (const identity of due) lookedMs.set(identity, now())
      await Promise.all(due.map(lookAt))
    },
  }
}
