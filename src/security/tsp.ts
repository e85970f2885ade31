// The node's own VID on the network of TSP: who may be related to it is who is trusted, and a relationship is a credential like a token.
import { isLoopbackHost } from '../protocol/loopback.ts'
import { ensureTspIdentity } from '../identity/tsp/own.ts'
import type { Vid } from '../identity/vid.ts'
import type { TspOptions } from '../oauth/options.ts'
import type { Log } from '../observe/log.ts'
import type { FirstTrust } from '../policy/first-trust.ts'
import type { Caller } from '../protocol/caller.ts'
import { createCarriage } from '../tsp/carriage.ts'
import type { Heard } from '../tsp/endpoint.ts'
import { openTspNode, type TspNode } from '../tsp/node.ts'
import { createKeptRelationships } from '../tsp/relationship-store.ts'
import type { Ground } from './ground.ts'

export interface SecuredTsp {
  readonly node: TspNode
  /** Who speaks in a relationship. Undefined: nobody that may. The same object for as long as the relationship lasts. */
  callerOf(heard: Pick<Heard, 'from' | 'relationship'>): Caller | undefined
  /** Whether a caller that came by TSP has to go: its relationship ended, or it is not trusted any more. */
  isOver(caller: Caller): boolean
  /** Ends relationships with whoever is not trusted any more. */
  sweep(): void
  close(): Promise<void>
}

export interface SecuredTspOptions {
  ground: Pick<Ground, 'keys' | 'store' | 'resolver' | 'standingOf' | 'isTrusted' | 'revocation'>
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

/** So long a relationship lasts that nobody renews. */
const LIFE_SECONDS = 24 * 3600

/** Fails as `ensureTspIdentity` and `openTspNode` do. */
export async function openSecuredTsp({ ground, firstTrust, options, keys, tls, trustLoopback, revoke, log, now }: SecuredTspOptions): Promise<SecuredTsp> {
  const { store, resolver, standingOf, isTrusted, revocation } = ground
  const own = await ensureTspIdentity({ dir: keys, name: options.id, now })
  const relationships = createKeptRelationships({ store, lifeSeconds: LIFE_SECONDS, now })
  // Peers of a node that lives on this machine alone live there too.
  const carriage = createCarriage({ trustLoopback: trustLoopback || isLoopbackHost(new URL(own.profile.endpoint).hostname) })
  const node = await openTspNode({
    own,
    place: { ...(options.listen && { listen: options.listen }), ...(tls && { tls }) },
    resolver,
    relationships,
    // An enrolment link is redeemed by somebody who is not trusted yet.
    trusts: async (vid) => isTrusted(vid) || firstTrust.isAwaited(),
    carry: carriage.carry,
    log,
    now,
  })
  const callers = new Map<Vid, Caller>()
  // By its short form no did:peer:4 can be resolved that was not shown to this process.
  for (const remote of await relationships.remotesOf(own.vid)) await resolver.resolve(remote)
  node.onChanged((remote, state, { id, untilMs }) => {
    if (state === 'formed') return log.info('a TSP relationship was formed', { with: remote })
    callers.delete(remote)
    log.info('a TSP relationship has ended', { with: remote })
    void revoke(tokenIdOf(id), untilMs).catch(() => log.error('the end of a TSP relationship could not be written down', { with: remote }))
  })

  return {
    node,
    callerOf({ from, relationship: { id, untilMs } }) {
      const standing = standingOf([from])
      if (!standing) return undefined
      const known = callers.get(from)
      const [tokenId, expiresAt] = [tokenIdOf(id), untilMs / 1000]
      if (known && known.tokenId === tokenId && known.expiresAt === expiresAt) return known
      const caller: Caller = { id: from, via: 'tsp', scopes: standing.scopes, act: [], tokenId, expiresAt, owner: from }
      callers.set(from, caller)
      return caller
    },
    isOver: ({ id, tokenId, expiresAt }) => revocation.isRevoked(tokenId) || !isTrusted(id) || expiresAt * 1000 <= now(),
    sweep() {
      for (const [vid] of callers) if (!isTrusted(vid)) void node.cancel(vid).catch(() => undefined)
    },
    async close() {
      await node.close()
      carriage.close()
    },
  }
}

/** What everything that was made in a relationship goes back to. */
export function tokenIdOf(relationship: string): string {
  return `tsp:${relationship}`
}
