// How a relationship between one of our VIDs and one of another begins and ends (specification §7.2–7.3): what each message changes, and
// nothing about who may have one.
import type { Digest } from './digest.ts'
import type { Payload } from './payload.ts'

export type Relationship =
  | { readonly state: 'none' }
  /** Known by the digest of its invite until it is accepted. */
  | { readonly state: 'invite-sent' | 'invite-received'; readonly invite: Digest }
  | { readonly state: 'bidirectional'; readonly invite: Digest; readonly accept: Digest }

export const NO_RELATIONSHIP: Relationship = { state: 'none' }

/** What a message about the relationship made of it; undefined when it changes nothing, and is to be forgotten in silence. */
export interface Step {
  readonly next: Relationship
  /** A cancellation is answered by one that names the same digest. */
  readonly cancelledBy?: Digest
}

type AboutRelationship = Extract<Payload, { kind: 'invite' | 'accept' | 'cancel' }>

/** Of an invite with a referral, and of one to other VIDs, the pair is another than the one that it came over. */
export function received(now: Relationship, message: AboutRelationship): Step | undefined {
  switch (message.kind) {
    case 'invite':
      return invited(now, message.digest)
    case 'accept':
      // It has to name the invite that we sent, and the last one: otherwise an old accept, or one of another pair, would form something.
      return now.state === 'invite-sent' && now.invite === message.invite
        ? { next: { state: 'bidirectional', invite: now.invite, accept: message.digest } }
        : undefined
    case 'cancel':
      return cancelled(now, message.digest)
  }
}

export function inviteSent(invite: Digest): Relationship {
  return { state: 'invite-sent', invite }
}

/** Undefined when there is no such invite to be accepted. */
export function acceptSent(now: Relationship, { invite, accept }: { invite: Digest; accept: Digest }): Relationship | undefined {
  return now.state === 'invite-received' && now.invite === invite ? { state: 'bidirectional', invite, accept } : undefined
}

/** Whether messages of the other are taken: he has invited us, or has accepted. Our own invite lets nobody in (§7.2.2). */
export function admits({ state }: Relationship): boolean {
  return state === 'invite-received' || state === 'bidirectional'
}

/** The digest that names the relationship to whoever shares it; undefined when there is none to be ended. */
export function nameOf(now: Relationship): Digest | undefined {
  return now.state === 'none' ? undefined : now.invite
}

function invited(now: Relationship, invite: Digest): Step | undefined {
  // Both have invited: both keep the lower digest, so that one relationship is left (§7.2.3).
  if (now.state === 'invite-sent' && now.invite < invite) return undefined
  if (now.state !== 'none' && now.invite === invite) return undefined
  // A peer that forgot the relationship begins again. It still admits what it did, so an old invite sent once more opens nothing.
  return { next: { state: 'invite-received', invite } }
}

function cancelled(now: Relationship, digest: Digest): Step | undefined {
  if (now.state === 'none') return undefined
  if (now.state === 'bidirectional') return digest === now.invite || digest === now.accept ? { next: NO_RELATIONSHIP, cancelledBy: digest } : undefined
  return digest === now.invite ? { next: NO_RELATIONSHIP } : undefined
}
