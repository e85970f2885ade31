// What everything that is asked of a caller rests on: keys, rows, documents, trust, and what was taken back.
import { OpenMcpError } from '../errors.ts'
import { API_KEY_HOLDER } from '../http/guard.ts'
import type { HostRules } from '../http/hosts.ts'
import { createPlaces } from '../http/places.ts'
import { createGuardedFetch } from '../identity/guarded-fetch.ts'
import { openNodeKeys } from '../identity/key-store.ts'
import { createResolver } from '../identity/resolver.ts'
import type { GuardedFetch, KeepingResolver, NodeKeys } from '../identity/shapes.ts'
import { isVid } from '../identity/vid.ts'
import type { SecurityOptions } from '../oauth/options.ts'
import type { Log } from '../observe/log.ts'
import type { Standing, Trust } from '../policy/shapes.ts'
import { createTrust } from '../policy/trust.ts'
import { openStore } from '../store/open-store.ts'
import type { Store } from '../store/shapes.ts'
import { createLiveness, type Liveness } from '../tokens/liveness.ts'
import type { Places } from '../tokens/places.ts'
import type { OpenWebUi } from '../tokens/open-webui.ts'
import type { TrustedIssuer } from '../tokens/trusted-issuer.ts'
import { createReplay, type Replay } from '../tokens/replay.ts'
import { createRevocation, type Revocation } from '../tokens/revocation.ts'
import { knownLongForms } from '../tsp/known-vids.ts'

export interface SecurityPlace {
  rules: Pick<HostRules, 'allowsHost'>
  /** Undefined: plain http, here at least. */
  tls: { cert: string; key: string } | undefined
  publicUrl: URL | undefined
  pathPrefix: string
  /** What the server at the root is called; undefined: there is none, or it is all of them. */
  root: string | undefined
  /** What every path of ours stands behind for whoever named us in no request; undefined until we listen. */
  base(): string | undefined
}

export interface Ground {
  readonly keys: NodeKeys
  readonly store: Store
  readonly resolver: KeepingResolver
  /** What the operator named does not wait behind what strangers name. */
  readonly fetchForIssuers: GuardedFetch
  readonly fetchForClients: GuardedFetch
  readonly places: Places
  readonly trust: Trust
  readonly revocation: Revocation
  readonly liveness: Liveness
  readonly replay: Replay
  /** Undefined: somebody of them is not trusted, or not there any more. */
  standingOf(identities: readonly string[]): Standing | undefined
  isTrusted(identity: string): boolean
  /** Undefined: its word is not taken. */
  issuerOf(iss: string): TrustedIssuer | undefined
  takesSelfIssued(): boolean
  /** Undefined: its word is not taken. */
  openWebUi(): OpenWebUi | undefined
  /** This instead of what the operator configured before. Fails with `store_failed` when it counts, and not all is known of it. */
  configure(trust: ConfiguredTrust): Promise<void>
  /** Reads again what others may have changed in the store: whom to trust, what was taken back, which did:peer:4 are known. */
  reload(): Promise<void>
  close(): Promise<void>
}

type ConfiguredTrust = SecurityOptions['trust']

const LEAST_KEY_CHARACTERS = 32
/** Documents that strangers name at a login: they describe one client. */
const CLIENT_BYTES = 10_240

/** Fails with `keys_unsafe`, `store_failed` or `usage`: then nothing is served. */
export async function openGround(options: SecurityOptions, place: SecurityPlace, { log, now }: { log: Log; now: () => number }): Promise<Ground> {
  const { tokenSeconds, trustLoopback, apiKeys, didSeconds } = options
  if (apiKeys.some((key) => key.length < LEAST_KEY_CHARACTERS)) {
    throw new OpenMcpError('usage', 'an API key is too short', { hint: `${LEAST_KEY_CHARACTERS} characters at least, by chance: openssl rand -hex 32` })
  }
  const keys = await openNodeKeys(options.keys, { now, log, tokenLifeSeconds: tokenSeconds })
  const store = await openStore(options.store, { now })
  const forDocuments = createGuardedFetch({ trustLoopback })
  const forIssuers = createGuardedFetch({ trustLoopback })
  const forClients = createGuardedFetch({ trustLoopback, maxBytes: CLIENT_BYTES })
  const resolver = createResolver({ fetch: forDocuments.fetch, now, log, trustLoopback })
  const trust = await createTrust({ store, configured: options.trust.identities, now, log })
  const revocation = await createRevocation({ store, now })
  let configured = options.trust
  // By its short form alone nobody could resolve a did:peer:4.
  const showKnown = async (): Promise<void> =>
    resolver.keep([...(await knownLongForms(store)), ...configured.identities.flatMap(({ long }) => (isVid(long) ? [long] : []))])
  await showKnown()
  const liveness = createLiveness({ resolver, maxAgeMs: didSeconds * 1000, now })
  const standingOf: Ground['standingOf'] = (identities) => {
    if (identities.length === 1 && identities[0] === API_KEY_HOLDER) return EVERYTHING
    return identities.some(liveness.isGone) ? undefined : trust.standingOf(identities)
  }

  return {
    keys,
    store,
    resolver,
    fetchForIssuers: forIssuers.fetch,
    fetchForClients: forClients.fetch,
    places: createPlaces({ ...place, tls: place.tls !== undefined }),
    trust,
    revocation,
    liveness,
    replay: createReplay(store),
    standingOf,
    isTrusted: (identity) => standingOf([identity]) !== undefined,
    issuerOf: (iss) => configured.issuers.find(({ issuer }) => issuer === iss),
    takesSelfIssued: () => configured.selfIssued,
    openWebUi: () => configured.openWebUi,
    configure(next) {
      configured = next
      trust.configure(next.identities)
      return showKnown()
    },
    async reload() {
      await Promise.all([trust.reload(), revocation.reload(), showKnown()])
    },
    async close() {
      keys.close()
      for (const fetch of [forDocuments, forIssuers, forClients]) fetch.close()
      await store.close()
    },
  }
}

/** Whoever holds a key of the operator. */
const EVERYTHING: Standing = { scopes: ['mcp'], restricted: false, mayUse: () => true, mayReach: () => true }
