// Tells the operator who asked in vain and why, and how to let them in. A crowd of strangers does not fill the log.
import type { Log } from '../observe/log.ts'

const MOST_A_MINUTE = 10

export interface Strangers {
  /** Somebody proved who they are, and nobody trusts them. */
  untrusted(identity: string): void
  /** A proof was refused. `why` is in our words. */
  unproved(why: string): void
}

export function createStrangers({ log, now }: { log: Log; now: () => number }): Strangers {
  const isNewIdentity = atMost(MOST_A_MINUTE, now)
  const isNewReason = atMost(MOST_A_MINUTE, now)
  return {
    untrusted(id) {
      if (!isNewIdentity(id)) return
      log.info('an identity was proved and refused: nobody has said that it is trusted', { id, hint: `openmcp trust add ${quoted(id)}` })
    },
    unproved(why) {
      if (isNewReason(why)) log.info('a proof was refused', { why })
    },
  }
}

/** True for what was not seen in this minute yet, and only so often. */
function atMost(most: number, now: () => number): (text: string) => boolean {
  let seen = new Set<string>()
  let sinceMs = now()
  return (text) => {
    if (now() - sinceMs > 60_000) {
      seen = new Set()
      sinceMs = now()
    }
    if (seen.has(text) || seen.size >= most) return false
    seen.add(text)
    return true
  }
}

/** As a shell takes it for one word: an issuer may call its people what it likes, and this is there to be pasted. */
function quoted(identity: string): string {
  return /^[\w:.%-]+$/.test(identity) ? identity : `'${identity.replaceAll("'", "'\\''")}'`
}
