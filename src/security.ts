// Joins what is asked of every caller: the guard and the gate, who issues what they are shown, and how what is over ends.
import type { IncomingMessage } from 'node:http'
import type { Router } from 'express'

import { createKeyEndpoints } from './api-keys/endpoints.ts'
import { createKeyEnds } from './api-keys/ends.ts'
import { createKnownKeys } from './api-keys/known-keys.ts'
import { createKeyRouter } from './api-keys/router.ts'
import { createGuard, type Guard } from './http/guard.ts'
import { createLive, type IsOver } from './http/live.ts'
import { createBrowserLogin, type BrowserLogin } from './oauth/browser/browser-login.ts'
import { createGrants } from './oauth/grants.ts'
import { createIntrospection, createRevocationEndpoint } from './oauth/introspect.ts'
import { createIssuer } from './oauth/issuer.ts'
import type { SecurityOptions } from './oauth/options.ts'
import { createTokenEndpoint } from './oauth/token.ts'
import type { Log } from './observe/log.ts'
import type { Standing } from './policy/shapes.ts'
import type { Caller } from './protocol/caller.ts'
import { NO_MESSAGES } from './protocol/message.ts'
import type { TakeTurn } from './protocol/rate.ts'
import { createGate } from './relay/gate.ts'
import { openGround, type SecurityPlace } from './security/ground.ts'
import { createProofs } from './security/proofs.ts'
import { openSecuredTsp, type SecuredTsp } from './security/tsp.ts'
import { followStore } from './store/follow.ts'
import { createAdmission } from './tokens/admission.ts'
import { isApiKey } from './tokens/api-key.ts'
import { createMint } from './tokens/mint.ts'
import type { Places } from './tokens/places.ts'
import { OPEN_WEBUI } from './tokens/open-webui.ts'
import { createVerifier, type Verdict, type Verification, type Verifier } from './tokens/verifier.ts'

export interface Security {
  guard: Guard
  /** What a caller may do now; undefined: nothing. */
  standingOf(caller: Caller): Standing | undefined
  issuer: Router
  /** The documented key flow. */
  keys: Router
  /** Undefined: nobody is heard by TSP. */
  tsp: SecuredTsp | undefined
  /** Who is in front of a browser. */
  browser: Pick<BrowserLogin, 'ours' | 'cookies'> & {
    places: Places
    mayBegin: TakeTurn
    /** The user of an Open WebUI at this host, by its cookie. Undefined: there is none, or none that comes in. */
    webUiUser(req: IncomingMessage): Promise<string | undefined>
  }
  /** What to do when a caller is over; called within a second of the news. */
  onOver(end: (isOver: IsOver) => void): void
  /** This instead of what was configured before; whoever is not trusted by it is over at once. */
  configure(trust: SecurityOptions['trust']): Promise<void>
  /** The secret of an enrolment link, when nobody is trusted yet. */
  enrol(): Promise<string | undefined>
  close(): Promise<void>
}

const SWEEP_MS = 500
/** So long what was taken back elsewhere may stay unknown; then nobody is let in until the store can be read. */
const BLIND_MS = 30_000
/** A token that is being made while its login ends. */
const ON_ITS_WAY_MS = 60_000

/** Fails with `keys_unsafe`, `store_failed` or `usage`: then nothing is served. */
export async function createSecurity(options: SecurityOptions, place: SecurityPlace, io: { log: Log; now: () => number }): Promise<Security> {
  const { log, now } = io
  const { pathPrefix } = place
  const { dpop: dpopMode, tokenSeconds, trustLoopback, apiKeys } = options
  const ground = await openGround(options, place, io)
  const { keys, store, resolver, places, revocation, liveness, replay, standingOf, issuerOf, takesSelfIssued, openWebUi, isTrusted } = ground
  const proofs = createProofs(ground, options, place, io)
  const { assertions, dpop, firstTrust, strangers } = proofs

  const verifyToken = createVerifier({ keys, resolver, issuerKeys: proofs.issuerKeys, issuerOf, takesSelfIssued, openWebUi, isTrusted, places, now })
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
  /** Whether the word that the caller came in by still counts. */
  const isTaken = ({ via, id }: Caller): boolean => {
    if (via === 'self-issued') return takesSelfIssued()
    const [by = ''] = id.split('|', 1)
    if (via === 'issuer' && by === OPEN_WEBUI) return openWebUi() !== undefined
    return via !== 'issuer' || issuerOf(by)?.audience !== undefined
  }
  let published = new Set<string>()
  const isPublished = (kid: string): boolean => published.has(kid) || keys.verifying(kid) !== undefined
  const admission = createAdmission({ verify, revocation, isTrusted: (caller) => isTaken(caller) && standingNow(caller) !== undefined, isPublished, now })
  // The issuer is about tokens: a key is not exchanged, described or ended there.
  const look = async (token: string): Promise<Verification> => (isApiKey(token) ? { rejected: 'a key is no token' } : admission.look(token))
  const holding = async (token: string): Promise<Verdict | undefined> => (isApiKey(token) ? undefined : admission.holding(token))

  const gate = createGate({ standingOf: standingNow })
  const live = createLive(now)
  const over: ((isOver: IsOver) => void)[] = [live.sweep]
  const mint = createMint({ keys, lifeSeconds: tokenSeconds, now })
  const tsp =
    options.tsp &&
    (await openSecuredTsp({
      ground,
      issuing: { ...proofs, mint, base: place.base },
      firstTrust,
      options: options.tsp,
      keys: options.keys,
      tls: place.tls,
      trustLoopback,
      revoke,
      log,
      now,
    }))
  /** Whoever may do nothing here any more, or nothing at a server, has nothing open there, whatever the credential is still good for. */
  const isOut: IsOver = (caller, server) =>
    (server !== undefined && standingNow(caller)?.mayReach(server) !== true) ||
    (caller.via === 'tsp' ? !tsp || tsp.isOver(caller) : admission.isOver(caller)) ||
    gate.refusalOf(caller, NO_MESSAGES) !== undefined
  function sweep(): void {
    published = new Set(keys.published().map(({ kid }) => kid))
    standings = new WeakMap()
    tsp?.sweep()
    for (const end of over) end(isOut)
  }
  async function revoke(tokenId: string, expiresAtMs: number): Promise<void> {
    await revocation.revoke(tokenId, expiresAtMs).finally(sweep)
  }
  const following = followStore(
    store,
    async () => {
      await ground.reload()
      sweep()
    },
    { log },
  )
  const sweeper = setInterval(() => {
    sweep()
    void liveness.look(tsp ? [...admission.identities(), ...tsp.identities()] : admission.identities())
  }, SWEEP_MS)
  sweeper.unref()

  const issuing = { ...proofs, keys, replay, mint, standingOf, places, pathPrefix, log, now }
  const browserLogin = createBrowserLogin({
    ...issuing,
    store,
    revoke: (origin) => revoke(origin, now() + tokenSeconds * 1000 + ON_ITS_WAY_MS),
    fetch: ground.fetchForClients,
    trustLoopback,
    isStillThere: liveness.isStillThere,
  })
  const state = { ...issuing, look, holding, revocation: { ...revocation, revoke }, refreshTokens: browserLogin.refreshTokens }

  async function webUiUser({ headers: { cookie = '' } }: IncomingMessage): Promise<string | undefined> {
    if (openWebUi()?.sameHost !== true) return undefined
    const tokens = cookie.split(';').flatMap((one) => (one.trim().startsWith('token=') ? [one.trim().slice('token='.length)] : []))
    const [token = ''] = tokens
    // Of two, one was put there by a host beside this one.
    const verdict = tokens.length === 1 ? await admission.holding(token) : undefined
    return verdict?.caller.id.startsWith(`${OPEN_WEBUI}|`) === true && admission.wrong(verdict) === undefined ? verdict.caller.id : undefined
  }

  return {
    guard: createGuard({
      admission,
      dpop,
      replay,
      places,
      live,
      isBlind: () => following.silentMs() > BLIND_MS,
      apiKeys,
      mayTryKey: proofs.mayTryKey,
      dpopMode,
      pathPrefix,
      root: place.root,
      log,
    }),
    standingOf: standingNow,
    issuer: createIssuer({
      token: createTokenEndpoint({ ...issuing, grants: createGrants({ assertions, holding, resolver }) }),
      browserLogin,
      introspect: createIntrospection(state),
      revoke: createRevocationEndpoint(state),
      keys,
      places,
      dpopRequired: dpopMode !== 'optional',
      pathPrefix,
      strangers,
      log,
    }),
    keys: createKeyRouter({ endpoints: createKeyEndpoints({ ...issuing, ...known }), closed: known.closed, takeTurn: proofs.mayProve, pathPrefix, log }),
    tsp,
    browser: { ...browserLogin, places, mayBegin: proofs.mayBegin, webUiUser },
    onOver: (end) => void over.push(end),
    configure: (trust) => ground.configure(trust).finally(sweep),
    // Whoever holds a key of the operator is in already.
    enrol: async () => (apiKeys.length > 0 ? undefined : firstTrust.issue()),
    async close() {
      clearInterval(sweeper)
      following.stop()
      await tsp?.close()
      await ground.close()
    },
  }
}
