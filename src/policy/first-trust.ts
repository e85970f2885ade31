// Who is trusted first: whoever holds the link that was printed when nobody was. With the first trust it ends.
import type { Enrolment } from './enrolment.ts'
import type { Trust } from './shapes.ts'

export interface FirstTrust {
  /** The secret of a link; undefined when somebody is trusted already. */
  issue(): Promise<string | undefined>
  /** Whether somebody nobody has heard of may be the one with the link. */
  isAwaited(): boolean
  /** Whether this secret could let somebody in: asked before anything is written for whoever shows it. */
  isOpen(secret: string): Promise<boolean>
  /** True for one identity alone, which is trusted when this settles. */
  redeem(secret: string, identity: string): Promise<boolean>
}

const LIFE_SECONDS = 15 * 60

export function createFirstTrust({ enrolment, trust, now }: { enrolment: Enrolment; trust: Trust; now: () => number }): FirstTrust {
  let untilMs = 0
  return {
    async issue() {
      if (trust.hasRules) return undefined
      untilMs = now() + LIFE_SECONDS * 1000
      return enrolment.issue({ lifetimeSeconds: LIFE_SECONDS })
    },
    isAwaited() {
      // Nor is it when that trust has ended.
      if (trust.hasRules) untilMs = 0
      return now() < untilMs
    },
    isOpen: async (secret) => !trust.hasRules && (await enrolment.isOpen(secret)),
    async redeem(secret, identity) {
      // Somebody may be trusted by now: a link that lies about in a log is no second way in.
      await trust.reload()
      if (trust.hasRules || !(await enrolment.redeem(secret, identity))) return false
      // Here at once, not with the next news of the store.
      await trust.reload()
      return true
    },
  }
}
