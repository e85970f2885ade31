// One of our VIDs on the network: it takes what comes for it, keeps its relationships, and sends. What it refuses hears nothing of it.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { TspProfile } from '../identity/document.ts'
import type { Resolver } from '../identity/shapes.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import type { Digest } from './digest.ts'
import { readFrame, type Frame, type ReadOptions } from './envelope.ts'
import { peerKeysOf, type OwnKeys } from './keys.ts'
import { openMessage, verifyReferral } from './open.ts'
import { createOrder } from './order.ts'
import type { NewPayload } from './payload-write.ts'
import type { Payload, Referral } from './payload.ts'
import { TspRefusal, type RefusalReason } from './refusal.ts'
import type { Held, RelationshipStore } from './relationship-store.ts'
import { acceptSent, admits, inviteSent, nameOf, NO_RELATIONSHIP, received, type Relationship } from './relationship.ts'
import { sealMessage, type Receiver, type SealedMessage } from './seal.ts'

interface OwnVid {
  readonly vid: Vid
  /** What introduces a did:peer:4 to whoever has not seen it; of any other VID itself. */
  readonly long: Vid
  readonly keys: OwnKeys
}

/** Why something came to nothing: of the codec, or of what is known about its sender. */
export type DropReason = RefusalReason | 'busy' | 'untrusted' | 'unresolved' | 'unrelated' | 'unreachable'

export interface EndpointOptions {
  own: OwnVid
  resolver: Resolver
  relationships: RelationshipStore
  /** Whether a VID may have a relationship, and be heard in it: asked for every message, before anything of the sender is fetched. */
  trusts: (vid: Vid) => Promise<boolean>
  /** Done when it was written, not when it was taken. Fails with an OpenMcpError when the address cannot be reached. */
  carry: (address: URL, message: Buffer, to: Vid) => Promise<void>
  /** What a related VID sent, sealed. That it is new, and no message from before, is for the hearer to find out. */
  hear: (heard: Heard) => void
  /** A relationship began, in both directions, or ended. */
  changed?: (remote: Vid, state: 'formed' | 'ended', relationship: Pick<Held, 'id' | 'untilMs'>) => void
  /** Nobody else hears of it. */
  dropped?: (reason: DropReason, why: string) => void
  /**
   * A message in the cover of a related VID, for another VID of ours: without this there are no others, and it is refused. What it says is
   * heard as said by the related VID.
   */
  covered?: (over: Vid, frame: Frame) => Promise<{ readonly data: Buffer } | undefined>
  /** A share of the invites that are taken: each leaves something behind for long. Undefined: there is none left for this VID. */
  mayInvite?: ((vid: Vid) => { giveBack(): void } | undefined) | undefined
  log?: Log
  reading?: ReadOptions
  mostAtOnce?: number
}

export interface Heard {
  readonly from: Vid
  readonly data: Buffer
  readonly relationship: Pick<Held, 'id' | 'untilMs'>
}

/** A sender who waits for what is said to it, as in an HTTP exchange, and need not be reachable. */
interface Waiting {
  /** Nobody else is heard here. */
  readonly from: Vid
  hear(heard: Heard): void
  /** A message for the sender, in answer to what is taken. */
  carry(message: Buffer): void
}

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

type Act = (remote: Vid, payload: Payload, known: Known, waiting: Waiting | undefined) => Promise<Next | undefined>

/** What a message of one VID brings of another, to be done in that one's order. */
interface Next {
  readonly of: Vid
  act(): Promise<void>
}

interface Known {
  readonly profile: TspProfile
  /** The VID as it was written: of a did:peer:4 perhaps the form by which it can be found again. */
  readonly written: Vid
}

export function createTspEndpoint(options: EndpointOptions): TspEndpoint {
  const {
    own,
    resolver,
    relationships,
    trusts,
    carry,
    hear,
    changed = () => {},
    dropped = () => {},
    mayInvite = freely,
    log,
    reading,
    mostAtOnce = 256,
  } = options
  const inOrder = createOrder()
  const sentInOrder = createOrder()
  let atOnce = 0
  /** Of messages under one name, which anybody can write on them. */
  const under = new Map<Vid, number>()

  /** The sender is checked by what costs least first: address, trust, then its document, its signature, its seal. */
  async function taken(frame: Frame, waiting: Waiting | undefined): Promise<Next | undefined> {
    const remote = shortFormOf(frame.sender)
    if (frame.receiver === undefined || shortFormOf(frame.receiver) !== own.vid || remote === own.vid)
      throw new TspRefusal('receiver', 'it is not for this VID')
    if (waiting && waiting.from !== remote) throw new TspRefusal('sender', 'it came under the name of another')
    if (frame.protectedBy === 'none') throw new TspRefusal('unsupported', 'it is not sealed')
    if (!(await trusts(remote))) throw new Dropped('untrusted', `${shortened(remote)} is not trusted`)
    // By the VID as it was written: a long form is what makes its short form known.
    const profile = await profileOf(frame.sender)
    const payload = openMessage(frame, { from: peerKeysOf(profile), to: own.keys })
    return ACTS[payload.kind](remote, payload, { profile, written: frame.sender }, waiting)
  }

  const heard: Act = async (remote, payload, _known, waiting) => {
    const { id, untilMs } = await relationOf(remote)
    if ('data' in payload) (waiting ?? { hear }).hear({ from: remote, data: payload.data, relationship: { id, untilMs } })
    return undefined
  }

  /** A name whose document is slow keeps what comes under it waiting, and nobody else: of the places that are left none gets more than a third. */
  function placeFor(name: Vid): { leave(): void } {
    const others = under.get(name) ?? 0
    if (others >= (mostAtOnce - atOnce) / 3) throw new Dropped('busy', 'too many messages are being looked at')
    under.set(name, others + 1)
    atOnce++
    return {
      leave() {
        atOnce--
        const left = (under.get(name) ?? 1) - 1
        if (left > 0) under.set(name, left)
        else under.delete(name)
      },
    }
  }

  /** Drops the message of a VID that may not be heard. */
  async function relationOf(remote: Vid): Promise<Held> {
    const held = await relationships.get(own.vid, remote)
    if (!admits(held.relationship)) throw new Dropped('unrelated', `${shortened(remote)} has no relationship with ${shortened(own.vid)}`)
    return held
  }

  const related: Act = async (remote, payload, { profile, written }, waiting) => {
    if (payload.kind !== 'invite' && payload.kind !== 'accept' && payload.kind !== 'cancel') return undefined
    if (payload.kind === 'invite' && payload.replyPath.length > 0) throw new TspRefusal('unsupported', 'it asks for a route')
    if (payload.kind === 'invite' && payload.referral) return introduced(remote, payload, payload.referral)
    const before = await relationships.get(own.vid, remote)
    const step = received(before.relationship, payload)
    if (!step) throw new Dropped('unrelated', `the ${payload.kind} of ${shortened(remote)} is of nothing that is there`)
    if (payload.kind === 'invite') await once(remote, payload.digest)
    await relationships.put(own.vid, remote, step.next, written)
    if (payload.kind === 'invite') await accept(remote, step.next, payload.digest, profile, waiting)
    if (payload.kind === 'accept') changed(remote, 'formed', await relationships.get(own.vid, remote))
    if (payload.kind === 'cancel') changed(remote, 'ended', before)
    if (step.cancelledBy !== undefined) await carryTo(remote, profile, own.vid, { kind: 'cancel', digest: step.cancelledBy }, waiting)
    return undefined
  }

  /** Else a recorded invite would take the place of the relationship that is there, and its peer could not end what he does not know. */
  async function once(remote: Vid, invite: Digest): Promise<void> {
    const turn = mayInvite(remote)
    if (!turn) throw new Dropped('busy', `${shortened(remote)} invites too often`)
    if (await relationships.isFirst(own.vid, remote, invite)) return
    // Whoever has recorded an invite may not use up the share of the one who made it.
    turn.giveBack()
    throw new Dropped('unrelated', `the invite of ${shortened(remote)} was taken before`)
  }

  /** A parallel relationship (§7.2.5): a related VID brings another of its own, which is looked at as if it had come by itself. */
  async function introduced(by: Vid, { digest }: { digest: Digest }, referral: Referral): Promise<Next> {
    const remote = shortFormOf(referral.vid)
    await relationOf(by)
    if (remote === own.vid || remote === by) throw new TspRefusal('vid', 'it refers to who is known')
    if (!(await trusts(remote))) throw new Dropped('untrusted', `${shortened(remote)} is not trusted`)
    const profile = await profileOf(referral.vid)
    if (!verifyReferral(referral, peerKeysOf(profile))) throw new TspRefusal('signature', 'the VID that it refers to has not signed that')
    const invite = { kind: 'invite', digest, replyPath: [] } as const
    return { of: remote, act: async () => void (await related(remote, invite, { profile, written: referral.vid }, undefined)) }
  }

  /** Nested, or the end of a route: what we would pass on to another is refused. */
  const covered: Act = async (remote, payload, _known, waiting) => {
    if (payload.kind !== 'nested' && payload.kind !== 'routed') return undefined
    if (payload.kind === 'routed' && !(payload.hops.length === 1 && shortFormOf(payload.hops[0]) === own.vid))
      throw new TspRefusal('unsupported', 'it is to be passed on')
    const { id, untilMs } = await relationOf(remote)
    const frame = readFrame(payload.message, reading)
    if (frame.receiver !== undefined && shortFormOf(frame.receiver) === own.vid)
      return { of: shortFormOf(frame.sender), act: async () => expectNoMore(await taken(frame, waiting)) }
    if (!options.covered) throw new TspRefusal('receiver', 'it covers a message for nobody here')
    const said = await options.covered(remote, frame)
    if (said) (waiting ?? { hear }).hear({ from: remote, data: said.data, relationship: { id, untilMs } })
    return undefined
  }

  const refused: Act = async (_remote, payload) => {
    throw new TspRefusal('unsupported', `a ${payload.kind} message is not taken`)
  }

  const ACTS: Readonly<Record<Payload['kind'], Act>> = {
    application: heard,
    padding: async () => undefined,
    invite: related,
    accept: related,
    cancel: related,
    control: refused,
    nested: covered,
    routed: covered,
  }

  async function accept(remote: Vid, now: Relationship, invite: Digest, profile: TspProfile, waiting?: Waiting): Promise<void> {
    const { digest } = await carryTo(remote, profile, own.vid, { kind: 'accept', invite }, waiting)
    const next = digest === undefined ? undefined : acceptSent(now, { invite, accept: digest })
    if (!next) return
    await relationships.put(own.vid, remote, next)
    changed(remote, 'formed', await relationships.get(own.vid, remote))
  }

  async function carryTo(remote: Vid, profile: TspProfile, as: Vid, payload: NewPayload, waiting?: Waiting): Promise<SealedMessage> {
    const to: Receiver = { vid: remote, keys: peerKeysOf(profile) }
    const sealed = sealMessage({ from: { vid: as, keys: own.keys }, to, payload })
    if (waiting) waiting.carry(sealed.message)
    else await carry(new URL(profile.endpoint), sealed.message, remote)
    return sealed
  }

  /** Fails when there is no relationship in which it may be spoken to. */
  async function relatedProfile(given: Vid): Promise<TspProfile> {
    const profile = await unresolvedIsAnError(profileOf(given))
    const { relationship } = await relationships.get(own.vid, shortFormOf(given))
    if (!admits(relationship)) throw new OpenMcpError('untrusted', `there is no TSP relationship with ${shortened(given)}`)
    return profile
  }

  async function profileOf(vid: Vid): Promise<TspProfile> {
    const resolution = await resolver.resolve(vid)
    if (resolution.state !== 'found') throw new Dropped('unresolved', `${shortened(vid)} cannot be resolved: ${resolution.why}`)
    if (!resolution.tsp) throw new Dropped('unresolved', `the document of ${shortened(vid)} says nothing of TSP`)
    return resolution.tsp
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
        const place = placeFor(name)
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
      await sentInOrder(remote, async () => void (await carryTo(remote, await relatedProfile(given), own.vid, { kind: 'application', data })))
    },
    async cover(given, message) {
      const remote = shortFormOf(given)
      await sentInOrder(remote, async () => void (await carryTo(remote, await relatedProfile(given), own.vid, { kind: 'nested', message })))
    },
    async sealerFor(given) {
      const to: Receiver = { vid: shortFormOf(given), keys: peerKeysOf(await relatedProfile(given)) }
      return (data) => sealMessage({ from: { vid: own.vid, keys: own.keys }, to, payload: { kind: 'application', data } }).message
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
          .then((profile) => carryTo(remote, profile, own.vid, { kind: 'cancel', digest }))
          .catch((thrown: unknown) => log?.debug('the end of a TSP relationship was not told', { why: toOpenMcpError(thrown).message }))
      })
    },
  }
}

/** One cover is looked into, and none in it. */
function expectNoMore(next: Next | undefined): void {
  if (next) throw new TspRefusal('unsupported', 'a message in a message has another in it')
}

function freely(): { giveBack(): void } {
  return { giveBack() {} }
}

/** Dropped for what is known of its sender, and not for its bytes. */
class Dropped extends OpenMcpError {
  readonly reason: Exclude<DropReason, RefusalReason>

  constructor(reason: Exclude<DropReason, RefusalReason>, why: string) {
    super('tsp_refused', why)
    this.reason = reason
  }
}

async function unresolvedIsAnError<T>(found: Promise<T>): Promise<T> {
  return found.catch((thrown: unknown) => {
    throw thrown instanceof Dropped ? new OpenMcpError('identity_unresolved', thrown.message) : thrown
  })
}

function shortened(vid: Vid): string {
  return vid.length > 80 ? `${vid.slice(0, 79)}…` : vid
}
