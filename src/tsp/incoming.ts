// What a message that came to one of our VIDs does: who is asked what about it, in which order, and what it changes.
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { TspProfile } from '../identity/document.ts'
import type { Digest } from './digest.ts'
import { Dropped, shortened } from './dropped.ts'
import type { EndpointOptions, Waiting } from './endpoint-options.ts'
import { readFrame, type Frame } from './envelope.ts'
import { peerKeysOf } from './keys.ts'
import { openMessage, verifyReferral } from './open.ts'
import type { Outgoing } from './outgoing.ts'
import type { Payload, Referral } from './payload.ts'
import { TspRefusal } from './refusal.ts'
import type { Held } from './relationship-store.ts'
import { acceptSent, admits, received, type Relationship } from './relationship.ts'

/** Takes a message in its sender's order. Fails for one that is not taken; returns what has to be done in the order of another. */
export type Incoming = (frame: Frame, waiting: Waiting | undefined) => Promise<Next | undefined>

/** What a message of one VID brings of another, to be done in that one's order. */
interface Next {
  readonly of: Vid
  act(): Promise<void>
}

type Act = (remote: Vid, payload: Payload, known: Known, waiting: Waiting | undefined) => Promise<Next | undefined>

interface Known {
  readonly profile: TspProfile
  /** The VID as it was written: of a did:peer:4 perhaps the form by which it can be found again. */
  readonly written: Vid
}

export function createIncoming(options: EndpointOptions, { profileOf, carryTo }: Outgoing): Incoming {
  const { own, relationships, trusts, hear, changed = () => {}, mayInvite = freely, reading } = options

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
    if (step.cancelledBy !== undefined) await carryTo(remote, profile, { kind: 'cancel', digest: step.cancelledBy }, waiting)
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
    const { digest } = await carryTo(remote, profile, { kind: 'accept', invite }, waiting)
    const next = digest === undefined ? undefined : acceptSent(now, { invite, accept: digest })
    if (!next) return
    await relationships.put(own.vid, remote, next)
    changed(remote, 'formed', await relationships.get(own.vid, remote))
  }

  return taken
}

/** One cover is looked into, and none in it. */
function expectNoMore(next: Next | undefined): void {
  if (next) throw new TspRefusal('unsupported', 'a message in a message has another in it')
}

function freely(): { giveBack(): void } {
  return { giveBack() {} }
}
