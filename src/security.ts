// Joins what the proof of a caller is made of: keys, store, trust, issuer, guard, gate.
import type { Router } from 'express'

import { createKeyEndpoints } from './api-keys/endpoints.ts'
import { createKeyEnds } from './api-keys/ends.ts'
import { createKnownKeys } from './api-keys/known-keys.ts'
import { createKeyRouter } from './api-keys/router.ts'
import { OpenMcpError } from './errors.ts'
import { createGuard, API_KEY_HOLDER, type Guard } from './http/guard.ts'
import type { HostRules } from './http/hosts.ts'
import { createLive } from './http/live.ts'
import { createPlaces } from './http/places.ts'
import { createGuardedFetch } from './identity/guarded-fetch.ts'
import { openNodeKeys } from './identity/key-store.ts'
import { createResolver } from './identity/resolver.ts'
import { createAdmit } from './oauth/admit.ts'
import { createBrowserLogin } from './oauth/browser/browser-login.ts'
import { createGrants } from './oauth/grants.ts'
import { createIntrospection, createRevocationEndpoint } from './oauth/introspect.ts'
import { createIssuer } from './oauth/issuer.ts'
import type { SecurityOptions } from './oauth/options.ts'
import { createProvedKeyOf } from './oauth/proved-key.ts'
import { createTakeTurn } from './oauth/rate.ts'
import { createProvedBy } from './oauth/signed-proof.ts'
import { createStrangers } from './oauth/strangers.ts'
import { createTokenEndpoint } from './oauth/token.ts'
import type { Log } from './observe/log.ts'
import { createEnrolment } from './policy/enrolment.ts'
import { createFirstTrust } from './policy/first-trust.ts'
import type { Standing } from './policy/shapes.ts'
import { createTrust } from './policy/trust.ts'
import type { Caller } from './protocol/caller.ts'
import type { Gate } from './protocol/gate.ts'
import { NO_MESSAGES } from './protocol/message.ts'
import { createGate } from './relay/gate.ts'
import { followStore } from './store/follow.ts'
import { openStore } from './store/open-store.ts'
import { createAdmission } from './tokens/admission.ts'
import { isApiKey } from './tokens/api-key.ts'
import { createAssertions } from './tokens/assertion.ts'
import { createChallenges } from './tokens/challenge.ts'
import { createDpop } from './tokens/dpop.ts'
import { createIssuerKeys } from './tokens/issuer-keys.ts'
import { createLiveness } from './tokens/liveness.ts'
import { createMint } from './tokens/mint.ts'
import { createReplay } from './tokens/replay.ts'
import { createRevocation } from './tokens/revocation.ts'
import { createProve } from './tokens/signed-challenge.ts'
import { createVerifier, type Verdict, type Verification, type Verifier } from './tokens/verifier.ts'

export interface Security {
  guard: Guard
  gate: Gate
  issuer: Router
  /** The documented key flow. */
  keys: Router
  /** What to do when a caller is over; called within a second of the news. */
  onOver(end: (isOver: (caller: Caller) => boolean) => void): void
  /** The secret of an enrolment link, when nobody is trusted yet. */
  enrol(): Promise<string | undefined>
  close(): Promise<void>
}

export interface SecurityPlace {
  rules: Pick<HostRules, 'allowsHost'>
  tls: boolean
  publicUrl: URL | undefined
  pathPrefix: string
}

const SWEEP_MS = 500
/** So long what was taken back elsewhere may stay unknown; then nobody is let in until the store can be read. */
const BLIND_MS = 30_000
const ON_ITS_WAY_MS = 60_000
const LEAST_KEY_CHARACTERS = 32
/** Logins that are begun: each leaves a row of a kilobyte or two for ten minutes. */
const LOGINS = { each: { limit: 30, perMs: 60_000 }, all: { limit: 600, perMs: 60_000 } }
/** Documents that strangers name at a login: they describe one client. */
const DOCUMENT_BYTES = 10_240
/** Proofs that prove nothing. What costs most, the address behind a wallet's signature, takes a millisecond: 3 % of one core. */
const PROOFS = { each: { limit: 60, perMs: 60_000 }, all: { limit: 300, perMs: 10_000 } }

/** Fails with `keys_unsafe`, `store_failed` or `usage`: then nothing is served. */
export async function createSecurity(options: SecurityOptions, place: SecurityPlace, { log, now }: { log: Log; now: () => number }): Promise<Security> {
  const { pathPrefix } = place
  const { dpop: dpopMode, tokenSeconds, trustLoopback, apiKeys } = options
  if (apiKeys.some((key) => key.length < LEAST_KEY_CHARACTERS)) {
    throw new OpenMcpError('usage', 'an API key is too short', { hint: `${LEAST_KEY_CHARACTERS} characters at least, by chance: openssl rand -hex 32` })
  }
  const keys = await openNodeKeys(options.keys, { now, log, tokenLifeSeconds: tokenSeconds })
  const store = await openStore(options.store, { now })
  const { fetch, close: closeFetch } = createGuardedFetch({ trustLoopback })
  const resolver = createResolver({ fetch, now, log, trustLoopback })
  const places = createPlaces(place)
  const trust = await createTrust({ store, configured: options.trust.identities, now, log })
  const revocation = await createRevocation({ store, now })
  const liveness = createLiveness({ resolver, maxAgeMs: options.didSeconds * 1000, now })
  const standingOf = (identities: readonly string[]): Standing | undefined => {
    if (identities.length === 1 && identities[0] === API_KEY_HOLDER) return EVERYTHING
    return identities.some(liveness.isGone) ? undefined : trust.standingOf(identities)
  }

  const { issuers, selfIssued } = options.trust
  // What the operator named does not wait behind what strangers name.
  const forIssuers = createGuardedFetch({ trustLoopback })
  const issuerKeys = createIssuerKeys({ fetch: forIssuers.fetch, resolver })
  const isTrusted = (identity: string): boolean => standingOf([identity]) !== undefined
  const verifyToken = createVerifier({ keys, resolver, issuerKeys, issuers, selfIssued, isTrusted, places, now })
  const known = await createKnownKeys({
    ...options,
    store,
    hashing: keys.hashing,
    ends: createKeyEnds({ revocation, now, ended: sweep }),
    // Nothing is fetched for whoever is turned away anyhow.
    isStillThere: async (identity) => !isTrusted(identity) || liveness.isStillThere(identity),
    log,
    now,
  })
  const verify: Verifier = (token) => (isApiKey(token) ? known.verify(token) : verifyToken(token))
  // Asked on every request: looked up anew twice a second, and with all news.
  let standings = new WeakMap<Caller, { standing: Standing | undefined }>()
  const standingNow = (caller: Caller): Standing | undefined => {
    let last = standings.get(caller)
    if (!last) standings.set(caller, (last = { standing: standingOf(caller.act.length === 0 ? [caller.id] : [caller.id, ...caller.act]) }))
    return last.standing
  }
  let published = new Set<string>()
  const isPublished = (kid: string): boolean => published.has(kid) || keys.verifying(kid) !== undefined
  const admission = createAdmission({ verify, revocation, isTrusted: (caller) => standingNow(caller) !== undefined, isPublished, now })
  const strangers = createStrangers({ log, now })
  // Names cost nothing before they are proved: they must not use up the lines of those that were.
  const named = createStrangers({ log, now })
  const firstTrust = createFirstTrust({ enrolment: createEnrolment({ store, now }), trust, now })
  const mayFetch = (did: string): boolean => {
    const may = isTrusted(did) || firstTrust.isAwaited()
    if (!may) named.untrusted(did)
    return may
  }
  const assertions = createAssertions({ resolver, issuerKeys, issuers, mayFetch, now })
  const replay = createReplay(store)
  const admit = createAdmit({ standingOf, replay, firstTrust, strangers, log })
  const challenges = createChallenges({ sealing: keys.sealing, now })
  const dpop = createDpop({ sealing: keys.sealing, needsNonce: dpopMode === 'nonce', now })
  const provedKeyOf = createProvedKeyOf({ dpop, dpopMode })
  const mint = createMint({ keys, lifeSeconds: tokenSeconds, now })
  const prove = createProve({ challenges, resolver, mayFetch })
  const turns = { proxied: place.publicUrl !== undefined, now }
  const mayProve = createTakeTurn({ ...PROOFS, ...turns })
  const forClients = createGuardedFetch({ trustLoopback, maxBytes: DOCUMENT_BYTES })
  const { isOver } = admission
  // The issuer is about tokens: a key is not exchanged, described or ended there.
  const look = async (token: string): Promise<Verification> => (isApiKey(token) ? { rejected: 'a key is no token' } : admission.look(token))
  const holding = async (token: string): Promise<Verdict | undefined> => (isApiKey(token) ? undefined : admission.holding(token))
  const state = { assertions, look, holding, standingOf, replay, revocation: { ...revocation, revoke }, places }
  const live = createLive(now)
  const over: ((isOver: (caller: Caller) => boolean) => void)[] = [live.sweep]

  const gate = createGate({ standingOf: standingNow })
  /** Whoever may do nothing here any more has nothing open here, whatever the credential is still good for. */
  const isOut = (caller: Caller): boolean => isOver(caller) || gate.refusalOf(caller, NO_MESSAGES) !== undefined

  function sweep(): void {
    published = new Set(keys.published().map(({ kid }) => kid))
    standings = new WeakMap()
    for (const end of over) end(isOut)
  }
  async function revoke(tokenId: string, expiresAtMs: number): Promise<void> {
    await revocation.revoke(tokenId, expiresAtMs).finally(sweep)
  }
  const browserLogin = createBrowserLogin({
    store,
    // A token of this login may be on its way while it ends.
    revoke: (origin) => revoke(origin, now() + tokenSeconds * 1000 + ON_ITS_WAY_MS),
    ...{
      fetch: forClients.fetch,
      trustLoopback,
      keys,
      challenges,
      provedBy: createProvedBy({ prove, admit }),
      provedKeyOf,
      replay,
      mint,
      standingOf,
      isStillThere: liveness.isStillThere,
      places,
    },
    ...{ mayBegin: createTakeTurn({ ...LOGINS, ...turns }), mayProve, pathPrefix, log, now },
  })
  const following = followStore(
    store,
    async () => {
      await Promise.all([trust.reload(), revocation.reload()])
      sweep()
    },
    { log },
  )
  const sweeper = setInterval(() => {
    sweep()
    void liveness.look(admission.identities())
  }, SWEEP_MS)
  sweeper.unref()

  return {
    guard: createGuard({ admission, dpop, replay, places, live, isBlind: () => following.silentMs() > BLIND_MS, apiKeys, dpopMode, pathPrefix, log }),
    gate,
    issuer: createIssuer({
      token: createTokenEndpoint({
        assertions,
        grants: createGrants({ assertions, holding, resolver }),
        admit,
        replay,
        provedKeyOf,
        mint,
        places,
        log,
      }),
      browserLogin,
      introspect: createIntrospection({ ...state, refreshTokens: browserLogin.refreshTokens }),
      revoke: createRevocationEndpoint({ ...state, refreshTokens: browserLogin.refreshTokens }),
      keys,
      places,
      dpopRequired: dpopMode !== 'optional',
      pathPrefix,
      strangers,
      log,
    }),
    keys: createKeyRouter({
      endpoints: createKeyEndpoints({
        ...known,
        challenges,
        prove,
        assertions,
        replay,
        admit,
        standingOf,
        places,
        now,
      }),
      closed: known.closed,
      takeTurn: mayProve,
      pathPrefix,
      log,
    }),
    onOver: (end) => void over.push(end),
    // Whoever holds a key of the operator is in already.
    enrol: async () => (apiKeys.length > 0 ? undefined : firstTrust.issue()),
    async close() {
      clearInterval(sweeper)
      following.stop()
      keys.close()
      closeFetch()
      forIssuers.close()
      forClients.close()
      await store.close()
    },
  }
}

/** Whoever holds a key of the operator. */
const EVERYTHING: Standing = { scopes: ['mcp'], restricted: false, mayUse: () => true }
