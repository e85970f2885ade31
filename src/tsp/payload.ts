// What a message says, once it is open. Seven types (specification §9.3): an application's own, one in another's cover, and four about the
// relationship itself.
import type { Vid } from '../identity/vid.ts'
import { text } from './cesr.ts'
import type { Digest } from './digest.ts'

export const TYPE = {
  application: text('XSCS'),
  control: text('XCTL'),
  covered: text('XHOP'),
  padding: text('XPAD'),
  invite: text('XRFI'),
  accept: text('XRFA'),
  cancel: text('XRFD'),
} as const

/** A payload as it was read. */
export type Payload =
  | { readonly kind: 'application' | 'control'; readonly data: Buffer }
  /** For those who count messages: it says nothing. */
  | { readonly kind: 'padding' }
  /** A message between other VIDs of the same two parties. */
  | { readonly kind: 'nested'; readonly message: Buffer }
  /** A message to be passed on to the first of `hops`, with the others. */
  | { readonly kind: 'routed'; readonly hops: readonly [Vid, ...Vid[]]; readonly message: Buffer }
  | { readonly kind: 'invite'; readonly digest: Digest; readonly replyPath: readonly Vid[]; readonly referral?: Referral }
  /** `invite` is the digest of what is accepted, `digest` its own. */
  | { readonly kind: 'accept'; readonly invite: Digest; readonly digest: Digest }
  /** Of the relationship whose invite or accept has this digest. */
  | { readonly kind: 'cancel'; readonly digest: Digest }

/** A further VID of the sender. Nothing is proven of it before verifyReferral. */
export interface Referral {
  readonly vid: Vid
  readonly signature: Buffer
  readonly signed: Buffer
}
