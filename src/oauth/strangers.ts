// Tells the operator who asked in vain, and how to let them in. A crowd of strangers does not fill the log.
import type { Log } from '../observe/log.ts'

const MOST_A_MINUTE = 10

export function createStrangers({ log, now }: { log: Log; now: () => number }): (identity: string) => void {
  let told = new Set<string>()
  let sinceMs = now()
  return (identity) => {
    if (now() - sinceMs > 60_000) {
      told = new Set()
      sinceMs = now()
    }
    if (told.has(identity) || told.size >= MOST_A_MINUTE) return
    told.add(identity)
    log.info('a token was refused: nobody has said that this identity is trusted', { id: identity, hint: `openmcp trust add ${quoted(identity)}` })
  }
}

/** As a shell takes it for one word: an issuer may call its people what it likes, and this is there to be pasted. */
function quoted(identity: string): string {
  return /^[\w:.%-]+$/.test(identity) ? identity : `'${identity.replaceAll("'", "'\\''")}'`
}
