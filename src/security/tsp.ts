// The node's own VID on the network of TSP: who may be related to it is who is trusted, and a relationship is a credential like a token.
import { toOpenMcpError } from '../errors.ts'
import { ensureTspIdentity } from '../identity/tsp/own.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { TspOptions } from '../oauth/options.ts'
import { createTspDesk, type TspDeskOptions } from '../oauth/tsp-desk.ts'
import type { Log } from '../observe/log.ts'
import type { FirstTrust } from '../policy/first-trust.ts'
import type { Caller } from '../protocol/caller.ts'
import { createRate } from '../protocol/rate.ts'
import { createCarriage } from '../tsp/carriage.ts'
import { nearOf } from '../tsp/near.ts'
import type { EndpointOptions, Heard } from '../tsp/endpoint-options.ts'
import { openTspNode, type TspNode } from '../tsp/node.ts'
import { createKeptRelationships } from '../tsp/relationship-store.ts'
import { createTmcp, type Tmcp } from '../tsp/tmcp.ts'
import type { Ground } from './ground.ts'

export interface SecuredTsp {
  readonly node: TspNode
  /** What is asked over HTTP under a seal. Undefined: nobody is served so. */
  readonly tmcp: Tmcp | undefined
  /** Who speaks in a relationship. Undefined: nobody that may. The same object for as long as the relationship lasts. */
  callerOf(heard: Pick<Heard, 'from' | 'relationship'>): Caller | undefined
  /** Whether a caller that came by TSP has to go: its relationship ended, or it is not trusted any more. */
  isOver(caller: Caller): boolean
  /** Everybody who is related, and so may have something open. */
  identities(): Iterable<string>
  /** Ends relationships with whoever is not trusted any more. Cheap: nothing is read. */
  sweep(): void
  close(): Promise<void>
}

export interface SecuredTspOptions {
  ground: Pick<Ground, 'store' | 'resolver' | 'places' | 'standingOf' | 'isTrusted' | 'revocation'>
  /** How tokens are given. */
  issuing: Pick<TspDeskOptions, 'challenges' | 'admit' | 'mint' | 'base'>
  firstTrust: Pick<FirstTrust, 'isAwaited'>
  options: TspOptions
  /** Directory of identities. */
  keys: string
  tls: { cert: string; key: string } | undefined
  trustLoopback: boolean
  /** What was made in it ends with a relationship. */
  revoke: (origin: string, expiresAtMs: number) => Promise<void>
  log: Log
  now: () => number
}

type TspCaller = Caller & { expiresAt: number }

/** So long a relationship lasts that nobody renews. */
const LIFE_SECONDS = 24 * 3600

/** Fails as `ensureTspIdentity` and `openTspNode` do. */
export async function openSecuredTsp(secured: SecuredTspOptions): Promise<SecuredTsp> {
  const { ground, issuing, firstTrust, options, keys, tls, trustLoopback, revoke, log, now } = secured
  const { store, resolver, places, standingOf, isTrusted, revocation } = ground
  const own = await ensureTspIdentity({ dir: keys, name: options.id, now })
  const relationships = createKeptRelationships({ store, lifeSeconds: LIFE_SECONDS, now })
  const remotes = await relationships.remotesOf(own.vid)
  /** With whom, and until when at most. */
  const related = new Map<Vid, number>(remotes.map((remote) => [shortFormOf(remote), now() + LIFE_SECONDS * 1000]))
  const ending = new Set<Vid>()
  const peers = new Set((options.peers ?? []).map(shortFormOf))
  /** What is open in a relationship goes on when that is renewed. */
  const callers = new Map<Vid, TspCaller>()
  const near = nearOf(new URL(own.profile.endpoint).hostname, ...(options.listen ? [options.listen.host] : []))
  const carriage = createCarriage({ ...near, trustLoopback: trustLoopback || near.trustLoopback })
  /** An enrolment link is redeemed by somebody who is not trusted yet, and by TSP by asking for a token. */
  const isAwaited = (): boolean => options.modes.includes('verify') && firstTrust.isAwaited()
  const node = await openTspNode({
    own,
    place: {
      ...(options.listen && { listen: options.listen }),
      ...(tls && { tls }),
      receive: (address, receiving) => carriage.receiveFrom(address, { ...receiving, log }),
    },
    resolver,
    relationships,
    trusts: async (vid) => isTrusted(vid) || peers.has(vid) || isAwaited(),
    carry: carriage.carry,
    mayInvite: createMayInvite(now),
    log,
    now,
  })
  node.onChanged((remote, state, { id, untilMs }) => {
    if (state === 'formed') {
      related.set(remote, untilMs)
      const known = callers.get(remote)
      if (known?.tokenId === tokenIdOf(id)) known.expiresAt = untilMs / 1000
      resolver.keep([remote])
      return log.info('a TSP relationship was formed', { with: remote })
    }
    related.delete(remote)
    callers.delete(remote)
    log.info('a TSP relationship has ended', { with: remote })
    void revoke(tokenIdOf(id), untilMs).catch(() => log.error('the end of a TSP relationship could not be written down', { with: remote }))
  })
  if (options.modes.includes('verify')) {
    const desk = createTspDesk({ ...issuing, resourceOf: places.resourceOf, answer: node.send, log, now })
    node.onHeard(({ from, data, relationship: { id, untilMs } }) => {
      if (!desk({ from, data, relationship: { origin: tokenIdOf(id), untilMs } })) return false
      // Whoever has invited us is heard, whether or not our accept could be carried: that ends as well.
      related.set(from, untilMs)
      return true
    })
  }

  function end(remote: Vid): void {
    if (ending.has(remote)) return
    ending.add(remote)
    const untilMs = related.get(remote)
    void node
      .cancel(remote)
      .then(() => {
        // Unless it began anew while the end was carried.
        if (related.get(remote) === untilMs) related.delete(remote)
      })
      // It is tried again with the next sweep; meanwhile the peer is not heard, because it is not trusted.
      .catch((thrown: unknown) => log.error('a TSP relationship could not be ended', { with: remote, why: toOpenMcpError(thrown).message }))
      .finally(() => ending.delete(remote))
  }

  const callerOf: SecuredTsp['callerOf'] = ({ from, relationship: { id, untilMs } }) => {
    const standing = standingOf([from])
    if (!standing) return undefined
    related.set(from, untilMs)
    const known = callers.get(from)
    const [tokenId, expiresAt] = [tokenIdOf(id), untilMs / 1000]
    if (known && known.tokenId === tokenId && known.scopes.join(' ') === standing.scopes.join(' ')) return Object.assign(known, { expiresAt })
    const caller: TspCaller = { id: from, via: 'tsp', scopes: standing.scopes, act: [], tokenId, expiresAt, owner: from }
    callers.set(from, caller)
    return caller
  }

  return {
    node,
    tmcp: options.modes.includes('message') ? createTmcp({ node, admits: (heard) => callerOf(heard) !== undefined, now }) : undefined,
    callerOf,
    isOver: ({ id, tokenId, expiresAt }) => revocation.isRevoked(tokenId) || !isTrusted(id) || expiresAt * 1000 <= now(),
    identities: () => related.keys(),
    sweep() {
      const strangersMay = isAwaited()
      for (const [remote, untilMs] of related) {
        if (untilMs <= now()) related.delete(remote)
        else if (!strangersMay && !isTrusted(remote) && !peers.has(remote)) end(remote)
      }
    },
    async close() {
      await node.close()
      carriage.close()
    },
  }
}

/** Of one VID, and of all: trust may be open to whoever makes one. Each leaves a row for a week, and a store in memory holds a million. */
const INVITES = { each: { limit: 30, perMs: 300_000 }, all: { limit: 400, perMs: 300_000 } }

function createMayInvite(now: () => number): NonNullable<EndpointOptions['mayInvite']> {
  const [each, all] = [createRate({ ...INVITES.each, now }), createRate({ ...INVITES.all, now })]
  return (vid) => {
    if (each.take(vid) > 0) return undefined
    if (all.take('') > 0) {
      each.giveBack(vid)
      return undefined
    }
    return {
      giveBack() {
        each.giveBack(vid)
        all.giveBack('')
      },
    }
  }
}

/** What everything that was made in a relationship goes back to. */
function tokenIdOf(relationship: string): string {
  return `tsp:${relationship}`
}
