// The ways to prove who one is, each made once: whatever is issued here, token or key, is issued to somebody who went one of them.
import { createAdmit, type Admit } from '../oauth/admit.ts'
import type { SecurityOptions } from '../oauth/options.ts'
import { createProvedKeyOf, type ProvedKeyOf } from '../oauth/proved-key.ts'
import { createTakeTurn, type TakeTurn } from '../protocol/rate.ts'
import { createProvedBy, type ProvedBy } from '../oauth/signed-proof.ts'
import { createStrangers, type Strangers } from '../oauth/strangers.ts'
import type { Log } from '../observe/log.ts'
import { createEnrolment } from '../policy/enrolment.ts'
import { createFirstTrust, type FirstTrust } from '../policy/first-trust.ts'
import { createAssertions, type Assertions } from '../tokens/assertion.ts'
import { createChallenges, type Challenges } from '../tokens/challenge.ts'
import { createDpop, type Dpop } from '../tokens/dpop.ts'
import { createIssuerKeys, type IssuerKeys } from '../tokens/issuer-keys.ts'
import { createProve } from '../tokens/signed-challenge.ts'
import type { Ground, SecurityPlace } from './ground.ts'

export interface Proofs {
  readonly assertions: Assertions
  readonly issuerKeys: IssuerKeys
  readonly challenges: Challenges
  /** A challenge that was signed. */
  readonly provedBy: ProvedBy
  readonly dpop: Dpop
  /** The key behind a DPoP proof. */
  readonly provedKeyOf: ProvedKeyOf
  readonly admit: Admit
  readonly firstTrust: FirstTrust
  readonly strangers: Strangers
  /** A share of the proofs that prove nothing. */
  readonly mayProve: TakeTurn
  /** A share of the logins that are begun. */
  readonly mayBegin: TakeTurn
  /** A share of the keys that are shown and are none. */
  readonly mayTryKey: TakeTurn
}

/** Proofs that prove nothing. What costs most, the address behind a wallet's signature, takes a millisecond: 3 % of one core. */
const PROOFS = { each: { limit: 60, perMs: 60_000 }, all: { limit: 300, perMs: 10_000 } }
/** Logins that are begun: each leaves a row of a kilobyte or two for ten minutes. */
const LOGINS = { each: { limit: 30, perMs: 60_000 }, all: { limit: 600, perMs: 60_000 } }

/** Keys that are none. For all of them there is the key server's own bound: of one address there must be something left of it for others. */
const KEYS = { each: { limit: 20, perMs: 1000 }, all: { limit: Infinity, perMs: 1000 } }

export function createProofs(ground: Ground, options: SecurityOptions, { publicUrl }: SecurityPlace, { log, now }: { log: Log; now: () => number }): Proofs {
  const { keys, store, resolver, fetchForIssuers, trust, replay, standingOf, issuerOf, isTrusted } = ground
  const { dpop: dpopMode } = options
  const strangers = createStrangers({ log, now })
  // Names cost nothing before they are proved: they must not use up the lines of those that were.
  const named = createStrangers({ log, now })
  const firstTrust = createFirstTrust({ enrolment: createEnrolment({ store, now }), trust, now })
  const mayFetch = (did: string): boolean => {
    const may = isTrusted(did) || firstTrust.isAwaited()
    if (!may) named.untrusted(did)
    return may
  }
  const issuerKeys = createIssuerKeys({ fetch: fetchForIssuers, resolver })
  const challenges = createChallenges({ sealing: keys.sealing, now })
  const dpop = createDpop({ sealing: keys.sealing, needsNonce: dpopMode === 'nonce', now })
  const admit = createAdmit({ standingOf, replay, firstTrust, strangers, log })
  const turns = { proxied: publicUrl !== undefined, now }

  return {
    assertions: createAssertions({ resolver, issuerKeys, issuerOf, mayFetch, now }),
    issuerKeys,
    challenges,
    provedBy: createProvedBy({ prove: createProve({ challenges, resolver, mayFetch }), admit }),
    dpop,
    provedKeyOf: createProvedKeyOf({ dpop, dpopMode }),
    admit,
    firstTrust,
    strangers,
    mayProve: createTakeTurn({ ...PROOFS, ...turns }),
    mayBegin: createTakeTurn({ ...LOGINS, ...turns }),
    mayTryKey: createTakeTurn({ ...KEYS, ...turns }),
  }
}
