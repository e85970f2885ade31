// Nested relationships (specification §7.3): VIDs of ours that one peer alone knows, and in whose messages nobody else sees more than the
// cover of the relationship around them. They end with it, and are not kept: who wants one after a restart begins it anew.
import { randomBytes } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import { publicTextOf } from '../identity/okp.ts'
import { peerFourOf } from '../identity/peer-four.ts'
import type { Resolver } from '../identity/shapes.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import type { Digest } from './digest.ts'
import type { Frame } from './envelope.ts'
import { ownKeysOf, peerKeysOf, type OwnKeys, type PeerKeys } from './keys.ts'
import { openMessage } from './open.ts'
import type { Payload } from './payload.ts'
import { TspRefusal } from './refusal.ts'
import { acceptSent, inviteSent, nameOf, NO_RELATIONSHIP, received, type Relationship } from './relationship.ts'
import { sealMessage, signMessage } from './seal.ts'

export interface NestedOptions {
  /** Sends a message in the cover of the relationship with a peer. Fails when there is none. */
  cover: (over: Vid, message: Buffer) => Promise<void>
  /** Inner VIDs bring their documents along: nothing is fetched for them. */
  resolver: Resolver
  changed?: (nested: NestedPair, state: 'formed' | 'ended') => void
  /** With one peer, those that are not formed yet among them. */
  mostWithEach?: number
}

export interface NestedPair {
  /** The peer in whose relationship it is. */
  readonly over: Vid
  readonly own: Vid
  readonly remote: Vid
}

export interface NestedHeard extends NestedPair {
  readonly data: Buffer
}

export interface Nested {
  /** What is said by a message in the cover of a relationship, if it says something. Throws for what is not taken: its sender hears nothing. */
  take(over: Vid, frame: Frame): Promise<NestedHeard | undefined>
  /** Invites a peer under a new VID of ours, which it returns; `changed` tells of the answer. Fails with `busy`, or as `cover` does. */
  invite(over: Vid): Promise<Vid>
  /** Fails with `untrusted` where there is no such relationship, or as `cover` does. */
  send(own: Vid, data: Uint8Array): Promise<void>
  /** Ends the relationship of this VID of ours, if there is one, whether or not the other can be told. */
  cancel(own: Vid): Promise<void>
  /** The relationship around them has ended: so have all in it. */
  endAll(over: Vid): void
}

interface Entry {
  readonly over: Vid
  readonly own: { readonly vid: Vid; readonly long: Vid; readonly keys: OwnKeys }
  remote: { readonly vid: Vid; readonly keys: PeerKeys } | undefined
  relationship: Relationship
}

/** As tsp_sdk writes it: whoever is inside is reached through the relationship around him alone. */
const NOWHERE = 'tsp://'

export function createNested({ cover, resolver, changed = () => {}, mostWithEach = 8 }: NestedOptions): Nested {
  const entries = new Map<Vid, Entry>()

  function begin(over: Vid): Entry {
    const withHim = [...entries.values()].filter((entry) => entry.over === over)
    if (withHim.length >= mostWithEach) throw new OpenMcpError('busy', `there are ${mostWithEach} nested TSP relationships with one peer`)
    const entry: Entry = { over, own: newVid(), remote: undefined, relationship: NO_RELATIONSHIP }
    entries.set(entry.own.vid, entry)
    return entry
  }

  function end(entry: Entry): void {
    entry.relationship = NO_RELATIONSHIP
    entries.delete(entry.own.vid)
    if (entry.remote) changed(pairOf(entry, entry.remote), 'ended')
  }

  /** To nobody by name, since nobody knows who they are yet, and readable, since nobody knows their keys: the cover hides both. */
  async function invited(over: Vid, frame: Frame): Promise<void> {
    const remote = { vid: shortFormOf(frame.sender), keys: await introducedBy(frame) }
    const payload = openMessage(frame, { from: remote.keys, to: undefined })
    if (payload.kind !== 'invite' || payload.referral || payload.replyPath.length > 0) throw unexpected(payload)
    if ([...entries.values()].some((entry) => entry.remote?.vid === remote.vid)) throw new TspRefusal('unsupported', 'it is known already')
    const entry = begin(over)
    try {
      const from = { vid: entry.own.long, keys: entry.own.keys }
      const { message, digest } = signMessage({ from, to: remote.vid, payload: { kind: 'accept', invite: payload.digest } })
      entry.remote = remote
      entry.relationship = formedBy(payload.digest, digest)
      await cover(over, message)
    } catch (thrown) {
      entries.delete(entry.own.vid)
      throw thrown
    }
    changed(pairOf(entry, remote), 'formed')
  }

  async function accepted(entry: Entry, frame: Frame): Promise<void> {
    const remote = { vid: shortFormOf(frame.sender), keys: await introducedBy(frame) }
    const payload = openMessage(frame, { from: remote.keys, to: entry.own.keys })
    const step = payload.kind === 'accept' ? received(entry.relationship, payload) : undefined
    if (!step) throw unexpected(payload)
    entry.remote = remote
    entry.relationship = step.next
    changed(pairOf(entry, remote), 'formed')
  }

  async function told(entry: Entry, remote: NonNullable<Entry['remote']>, frame: Frame): Promise<NestedHeard | undefined> {
    if (shortFormOf(frame.sender) !== remote.vid) throw new TspRefusal('sender', 'it is of another than who is known here')
    // Inside the cover a message that is only signed could still be shown to others by its receiver.
    if (frame.protectedBy === 'none') throw new TspRefusal('unsupported', 'it is not sealed')
    const payload = openMessage(frame, { from: remote.keys, to: entry.own.keys })
    if (payload.kind === 'application') return { ...pairOf(entry, remote), data: payload.data }
    if (payload.kind === 'padding') return undefined
    const step = payload.kind === 'cancel' ? received(entry.relationship, payload) : undefined
    if (!step) throw unexpected(payload)
    end(entry)
    if (step.cancelledBy !== undefined) await cover(entry.over, cancelOf(entry, remote, step.cancelledBy))
    return undefined
  }

  async function introducedBy({ sender, protectedBy }: Frame): Promise<PeerKeys> {
    if (protectedBy !== 'none') throw new TspRefusal('unsupported', 'who introduces himself cannot be asked for his keys')
    if (!sender.startsWith('did:peer:4') || sender === shortFormOf(sender)) throw new TspRefusal('vid', 'it does not bring its document along')
    const resolution = await resolver.resolve(sender)
    if (resolution.state !== 'found' || !resolution.tsp) throw new TspRefusal('vid', 'its document says nothing of TSP')
    return peerKeysOf(resolution.tsp)
  }

  return {
    async take(over, frame) {
      const entry = frame.receiver && entries.get(shortFormOf(frame.receiver))
      if (entry?.over === over && entry.remote) return told(entry, entry.remote, frame)
      if (entry?.over === over) await accepted(entry, frame)
      else if (frame.receiver === undefined) await invited(over, frame)
      else throw new TspRefusal('receiver', 'it is for no VID of ours that this peer knows')
      return undefined
    },
    async invite(over) {
      const entry = begin(over)
      const { message, digest } = signMessage({ from: { vid: entry.own.long, keys: entry.own.keys }, payload: { kind: 'invite' } })
      if (digest !== undefined) entry.relationship = inviteSent(digest)
      try {
        await cover(over, message)
      } catch (thrown) {
        entries.delete(entry.own.vid)
        throw thrown
      }
      return entry.own.vid
    },
    async send(own, data) {
      const entry = entries.get(own)
      if (!entry?.remote) throw new OpenMcpError('untrusted', 'there is no such nested TSP relationship')
      const from = { vid: own, keys: entry.own.keys }
      await cover(entry.over, sealMessage({ from, to: entry.remote, payload: { kind: 'application', data } }).message)
    },
    async cancel(own) {
      const entry = entries.get(own)
      const digest = entry && nameOf(entry.relationship)
      if (!entry || digest === undefined) return
      const { remote } = entry
      end(entry)
      if (remote) await cover(entry.over, cancelOf(entry, remote, digest)).catch(() => {})
    },
    endAll(over) {
      for (const entry of entries.values()) if (entry.over === over) end(entry)
    },
  }
}

function newVid(): Entry['own'] {
  const keys = ownKeysOf({ signing: randomBytes(32).toString('base64url'), opening: randomBytes(32).toString('base64url') })
  const { short, long } = peerFourOf({ verifying: publicTextOf(keys.signing), sealing: publicTextOf(keys.opening), endpoint: NOWHERE })
  return { vid: short, long, keys }
}

function formedBy(invite: Digest, accept: Digest | undefined): Relationship {
  return (accept && acceptSent({ state: 'invite-received', invite }, { invite, accept })) ?? NO_RELATIONSHIP
}

function cancelOf({ own }: Entry, remote: NonNullable<Entry['remote']>, digest: Digest): Buffer {
  return sealMessage({ from: { vid: own.vid, keys: own.keys }, to: remote, payload: { kind: 'cancel', digest } }).message
}

function pairOf({ over, own }: Entry, remote: { vid: Vid }): NestedPair {
  return { over, own: own.vid, remote: remote.vid }
}

function unexpected({ kind }: Payload): TspRefusal {
  return new TspRefusal('unsupported', `a ${kind} message is not expected there`)
}
