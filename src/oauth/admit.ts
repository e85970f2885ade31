// Whoever proved who they are: whether they may come in. Every way in ends here.
import type { Log } from '../observe/log.ts'
import type { FirstTrust } from '../policy/first-trust.ts'
import type { Standing } from '../policy/shapes.ts'
import type { Replay } from '../tokens/replay.ts'
import type { Strangers } from './strangers.ts'

interface Proven {
  readonly identity: string
  /** Who acts for it, the one that calls first. */
  readonly act: readonly string[]
  /** What may be used once. */
  readonly once: readonly { readonly kind: Parameters<Replay['isFirst']>[0]; readonly by: string; readonly id: string; readonly expiresAtMs: number }[]
  /** The secret of an enrolment link. */
  readonly link: string | undefined
}

/** Trust first, then the memory of what was used: a stranger writes nothing into it. Fails with `store_failed`. */
export type Admit = (proven: Proven) => Promise<Standing | 'untrusted' | 'used'>

export interface AdmitOptions {
  standingOf(identities: readonly string[]): Standing | undefined
  replay: Replay
  firstTrust: Pick<FirstTrust, 'isOpen' | 'redeem'>
  strangers: Pick<Strangers, 'untrusted'>
  log: Log
}

export function createAdmit({ standingOf, replay, firstTrust, strangers, log }: AdmitOptions): Admit {
  return async ({ identity, act, once, link }) => {
    const everybody = [identity, ...act]
    const standing = standingOf(everybody)
    if (!standing && (link === undefined || act.length > 0 || !(await firstTrust.isOpen(link)))) return stranger(identity)
    for (const { kind, by, id, expiresAtMs } of once) if (!(await replay.isFirst(kind, by, id, expiresAtMs))) return 'used'
    if (standing) return standing
    if (link === undefined || !(await firstTrust.redeem(link, identity))) return stranger(identity)
    log.warn('an identity was trusted by the enrolment link', { id: identity })
    return standingOf(everybody) ?? stranger(identity)
  }

  function stranger(identity: string): 'untrusted' {
    strangers.untrusted(identity)
    return 'untrusted'
  }
}
