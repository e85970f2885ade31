// One of our VIDs on the network: it takes what comes for it, keeps its relationships, and sends. What it refuses hears nothing of it.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { TspProfile } from '../identity/document.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import { Dropped, shortened, type DropReason } from './dropped.ts'
import type { EndpointOptions, Heard, Waiting } from './endpoint-options.ts'
import { readFrame } from './envelope.ts'
import { createIncoming } from './incoming.ts'
import { peerKeysOf } from './keys.ts'
import { createOrder } from './order.ts'
import { createOutgoing } from './outgoing.ts'
import { createPlaces } from './places.ts'
import { TspRefusal } from './refusal.ts'
import { admits, inviteSent, nameOf, NO_RELATIONSHIP } from './relationship.ts'
import { sealMessage, type Receiver } from './seal.ts'

export interface TspEndpoint {
  /** Never fails: a message that is not taken is counted and forgotten. */
  take(bytes: Buffer, waiting?: Waiting): Promise<void>
  /** Invites; `changed` tells of the answer. Fails with `identity_unresolved` or as `carry` does. */
  invite(remote: Vid): Promise<void>
  /** Fails with `untrusted` where there is no relationship, or as `invite` does. */
  send(remote: Vid, data: Uint8Array): Promise<void>
  /** Sends a message between other VIDs of the same two parties in the cover of this relationship. Fails as `send` does. */
  cover(remote: Vid, message: Buffer): Promise<void>
  /** What seals data to a VID, for whoever carries it himself. Fails as `send` does. */
  sealerFor(remote: Vid): Promise<(data: Uint8Array) => Buffer>
  /** The relationship with a VID, when it is formed. */
  relationshipWith(remote: Vid): Promise<Heard['relationship'] | undefined>
  /** A relationship that is there begins its time anew, as if it were formed now. For whoever knows that the other is there. */
  renew(remote: Vid): Promise<void>
  /** Ends the relationship, if there is one, whether or not the other can be told. */
  cancel(remote: Vid): Promise<void>
}

export function createTspEndpoint(options: EndpointOptions): TspEndpoint {
  const { own, relationships, carry, changed = () => {}, dropped = () => {}, log, reading, mostAtOnce = 256 } = options
  const outgoing = createOutgoing(options)
  const { profileOf, carryTo } = outgoing
  const taken = createIncoming(options, outgoing)
  const places = createPlaces(mostAtOnce)
  const inOrder = createOrder()
  const sentInOrder = createOrder()

  /** Fails when there is no relationship in which it may be spoken to. */
  async function relatedProfile(given: Vid): Promise<TspProfile> {
    const profile = await unresolvedIsAnError(profileOf(given))
    const { relationship } = await relationships.get(own.vid, shortFormOf(given))
    if (!admits(relationship)) throw new OpenMcpError('untrusted', `there is no TSP relationship with ${shortened(given)}`)
    return profile
  }

  function forget(thrown: unknown): void {
    const { code, message, detail } = toOpenMcpError(thrown)
    const isGone = code === 'upstream_unreachable' || code === 'egress_refused'
    const reason: DropReason = thrown instanceof TspRefusal || thrown instanceof Dropped ? thrown.reason : isGone ? 'unreachable' : 'busy'
    if (!(thrown instanceof OpenMcpError)) log?.error('a TSP message could not be taken', { why: message, detail })
    dropped(reason, message)
  }

  return {
    async take(bytes, waiting) {
      try {
        const frame = readFrame(bytes, reading)
        const name = shortFormOf(frame.sender)
        const place = places.take(name)
        try {
          const next = await inOrder(name, () => taken(frame, waiting))
          // Not while the order of the first is kept: two who bring messages of each other would wait for ever.
          if (next) await inOrder(next.of, () => next.act())
        } finally {
          place.leave()
        }
      } catch (thrown) {
        forget(thrown)
      }
    },
    async invite(given) {
      const remote = shortFormOf(given)
      const profile = await unresolvedIsAnError(profileOf(given))
      await inOrder(remote, async () => {
        const to: Receiver = { vid: remote, keys: peerKeysOf(profile) }
        const { message, digest } = sealMessage({ from: { vid: own.long, keys: own.keys }, to, payload: { kind: 'invite' } })
        // Written down first: the accept may be here before the sending has ended.
        if (digest !== undefined) await relationships.put(own.vid, remote, inviteSent(digest), given)
        await carry(new URL(profile.endpoint), message, remote)
      })
    },
    async send(given, data) {
      const remote = shortFormOf(given)
      await sentInOrder(remote, async () => void (await carryTo(remote, await relatedProfile(given), { kind: 'application', data })))
    },
    async cover(given, message) {
      const remote = shortFormOf(given)
      await sentInOrder(remote, async () => void (await carryTo(remote, await relatedProfile(given), { kind: 'nested', message })))
    },
    async sealerFor(given) {
      const to: Receiver = { vid: shortFormOf(given), keys: peerKeysOf(await relatedProfile(given)) }
      return (data) => sealMessage({ from: own, to, payload: { kind: 'application', data } }).message
    },
    async relationshipWith(given) {
      const { relationship, id, untilMs } = await relationships.get(own.vid, shortFormOf(given))
      return relationship.state === 'bidirectional' ? { id, untilMs } : undefined
    },
    async renew(remote) {
      await inOrder(remote, async () => {
        const { relationship } = await relationships.get(own.vid, remote)
        if (relationship.state === 'bidirectional') await relationships.put(own.vid, remote, relationship)
      })
    },
    async cancel(given) {
      const remote = shortFormOf(given)
      await inOrder(remote, async () => {
        const before = await relationships.get(own.vid, remote)
        const digest = nameOf(before.relationship)
        if (digest === undefined) return
        await relationships.put(own.vid, remote, NO_RELATIONSHIP)
        changed(remote, 'ended', before)
        await profileOf(given)
          .then((profile) => carryTo(remote, profile, { kind: 'cancel', digest }))
          .catch((thrown: unknown) => log?.debug('the end of a TSP relationship was not told', { why: toOpenMcpError(thrown).message }))
      })
    },
  }
}

async function unresolvedIsAnError<T>(found: Promise<T>): Promise<T> {
  return found.catch((thrown: unknown) => {
    throw thrown instanceof Dropped ? new OpenMcpError('identity_unresolved', thrown.message) : thrown
  })
}
