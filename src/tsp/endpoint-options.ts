// What an endpoint of TSP is told, and what it tells.
import type { Resolver } from '../identity/shapes.ts'
import type { Vid } from '../identity/vid.ts'
import type { Log } from '../observe/log.ts'
import type { DropReason } from './dropped.ts'
import type { Frame, ReadOptions } from './envelope.ts'
import type { OwnKeys } from './keys.ts'
import type { Held, RelationshipStore } from './relationship-store.ts'

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
export interface Waiting {
  /** Nobody else is heard here. */
  readonly from: Vid
  hear(heard: Heard): void
  /** A message for the sender, in answer to what is taken. */
  carry(message: Buffer): void
}

interface OwnVid {
  readonly vid: Vid
  /** What introduces a did:peer:4 to whoever has not seen it; of any other VID itself. */
  readonly long: Vid
  readonly keys: OwnKeys
}
