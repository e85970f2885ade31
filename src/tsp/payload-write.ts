// Writes a payload, and finds the digest of one that begins or answers a relationship.
import type { Vid } from '../identity/vid.ts'
import { DATA, FIXED, GROUP, NOTHING } from './cesr.ts'
import { writeData, writeFixed, writeGroup } from './cesr-write.ts'
import { digestOver, DUMMY, writeDigest, type Digest, type DigestKind } from './digest.ts'
import { writeSignature, writeVid } from './envelope.ts'
import { TYPE } from './payload.ts'

/** A payload to be sent; digests of its own are found while it is written. */
export type NewPayload =
  | { readonly kind: 'application' | 'control'; readonly data: Uint8Array }
  | { readonly kind: 'padding' }
  | { readonly kind: 'nested'; readonly message: Uint8Array }
  | { readonly kind: 'routed'; readonly hops: readonly [Vid, ...Vid[]]; readonly message: Uint8Array }
  | { readonly kind: 'invite'; readonly replyPath?: readonly Vid[]; readonly referral?: NewReferral }
  | { readonly kind: 'accept'; readonly invite: Digest }
  | { readonly kind: 'cancel'; readonly digest: Digest }

/** Another VID of the sender's, and how its key signs. */
interface NewReferral {
  readonly vid: Vid
  readonly sign: (bytes: Buffer) => Buffer
}

export interface PayloadPlace {
  /** Version and VIDs of the envelope. */
  readonly prefix: Buffer
  /** In the payload; none is the empty VID. */
  readonly sender: Vid | undefined
  readonly digestKind: DigestKind
  /** 16 bytes, for an invite and for padding. */
  readonly nonce: () => Uint8Array
  /** Bytes that say nothing, to hide a length. */
  readonly padding: Uint8Array
}

/** `digest` names what an invite or an accept begins. */
export function writePayload(payload: NewPayload, place: PayloadPlace): { bytes: Buffer; digest?: Digest } {
  const sender = place.sender === undefined ? NOTHING : writeVid(place.sender)
  const padding = writeData(DATA.bytes, place.padding)
  const whole = (...fields: readonly Uint8Array[]): { bytes: Buffer } => ({ bytes: writeGroup(GROUP.payload, ...fields) })
  switch (payload.kind) {
    case 'application':
    case 'control':
      return whole(TYPE[payload.kind], sender, padding, writeGroup(GROUP.stream, writeData(DATA.bytes, payload.data)))
    case 'padding':
      return whole(TYPE.padding, sender, writeFixed(FIXED.nonce, place.nonce()), padding)
    case 'nested':
      return whole(TYPE.covered, sender, writeVids([]), padding, payload.message)
    case 'routed':
      return whole(TYPE.covered, sender, writeVids(payload.hops), padding, payload.message)
    case 'invite': {
      const { before, digest, after } = inviteFields(payload, sender, place)
      return { ...whole(before, writeDigest(digest), after, padding), digest }
    }
    case 'accept': {
      const before = Buffer.concat([TYPE.accept, sender, writeDigest(payload.invite)])
      const digest = digestOver(place.digestKind, place.prefix, before, DUMMY)
      return { ...whole(before, writeDigest(digest), padding), digest }
    }
    case 'cancel':
      return whole(TYPE.cancel, sender, writeDigest(payload.digest), padding)
  }
}

/** What stands before and behind the digest. A referral is signed after the digest was found, and the digest covers its VID alone. */
function inviteFields({ replyPath = [], referral }: Invite, sender: Buffer, { prefix, digestKind, nonce }: PayloadPlace): InviteFields {
  const before = Buffer.concat([TYPE.invite, sender])
  const middle = Buffer.concat([writeFixed(FIXED.nonce, nonce()), writeVids(replyPath)])
  if (!referral) {
    const after = Buffer.concat([middle, writeVids([])])
    return { before, digest: digestOver(digestKind, prefix, before, DUMMY, after), after }
  }
  const vid = writeVid(referral.vid)
  const digest = digestOver(digestKind, prefix, before, DUMMY, middle, vid)
  const signature = referral.sign(Buffer.concat([before, writeDigest(digest), middle, vid]))
  return { before, digest, after: Buffer.concat([middle, writeGroup(GROUP.vids, vid, writeSignature(signature))]) }
}

type Invite = Extract<NewPayload, { kind: 'invite' }>

interface InviteFields {
  readonly before: Buffer
  readonly digest: Digest
  readonly after: Buffer
}

function writeVids(vids: readonly Vid[]): Buffer {
  return writeGroup(GROUP.vids, ...vids.map(writeVid))
}
