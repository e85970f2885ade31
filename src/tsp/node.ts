// One of our VIDs, with all that it needs on the network: where it listens, who is related to it, and who hears what it is told.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import type { Resolver } from '../identity/shapes.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import { listenFor, type ListenPlace } from './carriage.ts'
import { createDropLog } from './drop-log.ts'
import type { EndpointOptions, Heard } from './endpoint-options.ts'
import { createTspEndpoint, type TspEndpoint } from './endpoint.ts'
import { ownKeysOf } from './keys.ts'
import { createNested } from './nested.ts'
import type { Held, RelationshipStore } from './relationship-store.ts'

export interface TspNodeOptions {
  own: TspIdentity
  /** Where to bind, when that is not what the endpoint of the VID says. */
  place: ListenPlace
  resolver: Resolver
  relationships: RelationshipStore
  trusts: EndpointOptions['trusts']
  carry: EndpointOptions['carry']
  mayInvite?: EndpointOptions['mayInvite']
  log: Log
  now: () => number
}

type Related = Pick<Held, 'id' | 'untilMs'>

export interface TspNode extends Pick<TspEndpoint, 'take' | 'send' | 'sealerFor' | 'relationshipWith' | 'cancel'> {
  readonly vid: Vid
  /** What introduces a did:peer:4; of any other VID itself. */
  readonly long: Vid
  /** What comes is told to one hearer after the other, the newest first, until one says that it was for it. Returns what stops it. */
  onHeard(hear: (heard: Heard) => boolean): () => void
  onChanged(act: (remote: Vid, state: 'formed' | 'ended', related: Related) => void): () => void
  /** Invites, and waits to be accepted. Fails with `timeout`, `identity_unresolved`, or as carrying does. */
  relate(remote: Vid, seconds: number): Promise<void>
  /** Said of a message that is surely new: a relationship in which there are such goes on. */
  isUsed(heard: Pick<Heard, 'from' | 'relationship'>): void
  /** Counts a message that a door of ours did not let in. */
  missed(reason: string): void
  /** How many messages were not taken, by reason. */
  dropped(): Readonly<Record<string, number>>
  close(): Promise<void>
}

/** Of a relationship that is used and has less time left, the time begins anew. */
const RENEWED_BELOW_MS = 12 * 3600 * 1000

/** Fails with `port_taken`, or with `usage` when the endpoint does not say where to listen. */
export async function openTspNode({ own, place, resolver, relationships, trusts, carry, mayInvite, log, now }: TspNodeOptions): Promise<TspNode> {
  const hearers = new Set<(heard: Heard) => boolean>()
  const watchers = new Set<(remote: Vid, state: 'formed' | 'ended', related: Related) => void>()
  const misses = new Set<(reason: string, why: string) => void>()
  const drops = createDropLog({ log, now })
  const renewing = new Set<Vid>()
  // Inside a relationship a peer may use VIDs that nobody else knows. To whoever hears him here he is who he is outside, and is answered there.
  const nested = createNested({ cover: (over, message) => endpoint.cover(over, message), resolver })
  const endpoint = createTspEndpoint({
    own: { vid: own.vid, long: own.long, keys: ownKeysOf(own.secrets) },
    resolver,
    relationships,
    trusts,
    carry,
    mayInvite,
    hear(heard) {
      for (const hear of [...hearers].toReversed()) if (hear(heard)) return
      drops.dropped('unheard', 'nobody here takes what it says')
    },
    covered: nested.take,
    changed(remote, state, related) {
      if (state === 'ended') nested.endAll(remote)
      for (const watch of watchers) watch(remote, state, related)
    },
    dropped(reason, why) {
      drops.dropped(reason, why)
      for (const miss of misses) miss(reason, why)
    },
    log,
  })
  const listener = await listenFor({
    // A did:peer:4 could not know its own name while it was made.
    endpoint: new URL(own.profile.endpoint.replace('[vid_placeholder]', own.vid)),
    ...place,
    take: (message) => endpoint.take(message),
    refused: (why) => drops.dropped(why, 'a connection was closed'),
  })

  return {
    vid: own.vid,
    long: own.long,
    ...endpoint,
    onHeard: (hear) => added(hearers, hear),
    onChanged: (act) => added(watchers, act),
    async relate(given, seconds) {
      const remote = shortFormOf(given)
      let stop = (): unknown => undefined
      const formed = new Promise<void>((resolve) => {
        stop = added(watchers, (other, state) => {
          if (other === remote && state === 'formed') resolve()
        })
      })
      let otherRevision: string | undefined
      const stopMissing = added(misses, (reason, why) => {
        if (reason === 'revision') otherRevision = why
      })
      let patience: NodeJS.Timeout | undefined
      const silence = new Promise<never>((_resolve, reject) => {
        patience = setTimeout(() => reject(unanswered(seconds, own, otherRevision)), seconds * 1000)
      })
      try {
        await Promise.race([endpoint.invite(given).then(() => formed), silence])
      } finally {
        clearTimeout(patience)
        stop()
        stopMissing()
      }
    },
    isUsed({ from, relationship: { untilMs } }) {
      if (untilMs - now() > RENEWED_BELOW_MS || renewing.has(from)) return
      renewing.add(from)
      void endpoint
        .renew(from)
        .catch((thrown: unknown) => log.debug('a TSP relationship was not renewed', { with: from, why: toOpenMcpError(thrown).message }))
        .finally(() => renewing.delete(from))
    },
    missed: (reason) => drops.dropped(reason, 'a door did not let it in'),
    dropped: drops.counts,
    close: listener.close,
  }
}

function added<T>(all: Set<T>, one: T): () => void {
  all.add(one)
  return () => void all.delete(one)
}

/** TSP has no refusals: who is not wanted hears nothing, and neither does who is not understood. */
function unanswered(seconds: number, { vid, profile: { endpoint } }: TspIdentity, otherRevision: string | undefined): OpenMcpError {
  if (otherRevision !== undefined) {
    return new OpenMcpError('timeout', `no answer by TSP within ${seconds} s that could be read: ${otherRevision}`, {
      hint: 'openmcp speaks revision 3 (YTSP-AAC), as tsp_sdk 0.11 does: no two revisions understand each other',
    })
  }
  return new OpenMcpError('timeout', `no answer by TSP within ${seconds} s`, {
    hint: `is it running, does it trust us (openmcp trust add ${vid}), can it reach us at ${endpoint}, and does it speak revision 3?`,
  })
}
