// Whether a token lets somebody in now. What was verified once is remembered until it ends; what can change (revocation, trust,
// a DID that is no more) is asked every time.
import { hash } from 'node:crypto'

import type { Caller } from '../protocol/caller.ts'
import type { Revocation } from './revocation.ts'
import type { Verdict, Verification, Verifier } from './verifier.ts'

export interface Admission {
  /** What is known of this token; undefined: it has to be looked at. */
  known(token: string): Verdict | undefined
  /** Verifies it. Does not say whether it still holds: `wrong` does. */
  look(token: string): Promise<Verification>
  /** Why it does not let in now; undefined: it does. */
  wrong(verdict: Verdict): string | undefined
  /** Verified, and lets in now. */
  holding(token: string): Promise<Verdict | undefined>
  /** Whether what this caller has open must end: taken back or not trusted any more. Its time running out is no end yet. */
  isOver(caller: Caller): boolean
  /** Everybody who showed a token lately, and who acted for them. */
  identities(): Iterable<string>
}

export interface AdmissionOptions {
  verify: Verifier
  revocation: Revocation
  /** Whether everybody the caller stands for is trusted now. Asked on every request. */
  isTrusted(caller: Caller): boolean
  /** Whether a key of ours still vouches for what it signed: one that leaked does not. */
  isPublished(kid: string): boolean
  now: () => number
}

/** Distinct tokens; one that is forgotten is verified again. */
const KEPT = 10_000

export function createAdmission({ verify, revocation, isTrusted, isPublished, now }: AdmissionOptions): Admission {
  const verdicts = new Map<string, Verdict>()
  const byCaller = new WeakMap<Caller, Verdict>()
  const keyOf = (token: string): string => hash('sha256', token, 'base64url')

  function keep(key: string, verdict: Verdict): void {
    const [oldest] = verdicts.keys()
    if (verdicts.size >= KEPT && oldest !== undefined) verdicts.delete(oldest)
    verdicts.set(key, verdict)
  }

  async function look(token: string): Promise<Verification> {
    const verification = await verify(token)
    if ('rejected' in verification) return verification
    byCaller.set(verification.caller, verification)
    // What strangers show is not remembered: it would crowd out the others, and their DIDs would be watched.
    if (wrong(verification) === undefined) keep(keyOf(token), verification)
    return verification
  }

  function isTakenBack({ caller, lineage, kid }: Verdict): string | undefined {
    if (kid !== undefined && !isPublished(kid)) return 'the key that signed it was dropped'
    for (const tokenId of lineage) if (revocation.isRevoked(tokenId)) return 'revoked'
    return isTrusted(caller) ? undefined : 'its identity is not trusted'
  }

  function wrong(verdict: Verdict): string | undefined {
    const seconds = now() / 1000
    if (verdict.caller.expiresAt <= seconds) return 'expired'
    if (verdict.notBefore > seconds + 60) return 'not valid yet'
    return isTakenBack(verdict)
  }

  return {
    known(token) {
      const key = keyOf(token)
      const verdict = verdicts.get(key)
      if (!verdict) return undefined
      if (verdict.caller.expiresAt * 1000 > now() && verdict.freshUntilMs > now()) return verdict
      verdicts.delete(key)
      return undefined
    },
    look,
    wrong,
    async holding(token) {
      const verdict = await look(token)
      return 'rejected' in verdict || wrong(verdict) !== undefined ? undefined : verdict
    },
    isOver(caller) {
      const verdict = byCaller.get(caller)
      // A key of the operator is no token: it ends with the process.
      return verdict ? isTakenBack(verdict) !== undefined : caller.via !== 'api-key'
    },
    *identities() {
      for (const { caller } of verdicts.values()) {
        if (caller.expiresAt * 1000 <= now()) continue
        yield caller.id
        yield* caller.act
      }
    },
  }
}
