// A session that travels sealed, as the ways in and out see it; what keeps it honest is in the tsp room.
import type { OpenMcpError } from '../errors.ts'
import type { Text } from './exchange.ts'

/** One side of a session that both know. */
export interface SealedSession {
  readonly id: string
  /** The frame of our next message. */
  wrap(message: Text): Buffer
  /** True once for each number of the other side, in any order within the last 1024: then what it numbers is new. */
  takes(n: number): boolean
}

/** What came of a frame that was for the node. */
export type Hearing =
  /** To be said to the peer. Nothing is kept for it. */
  | { readonly kind: 'answer'; readonly frame: Buffer }
  /** A new message. `isFirst`: with it the session becomes real. An empty one says that its sender is there, and is answered by an empty one. */
  | { readonly kind: 'message'; readonly session: SealedSession; readonly isFirst: boolean; readonly message: Buffer }
  /** The peer has ended it, and it is forgotten. */
  | { readonly kind: 'closed'; readonly session: string }
  /** It was there before, or is too old to tell. Nothing is said to anybody. */
  | { readonly kind: 'repeated' }

/** Our end of a session with a node. */
export interface SealedEnd {
  /** Done when it was written. Fails when it could not be. */
  send(message: Text): Promise<void>
  /** Tells the node that we left. Never throws. */
  close(): Promise<void>
}

export interface SealedEndEvents {
  heard(message: Buffer): void
  /** The session is over: nothing is heard after it. Not said of one that we closed. */
  ended(error: OpenMcpError): void
}

/** Begins a session of its own. Fails, within the time to connect, with the reason in words. */
export type OpenSealed = (events: SealedEndEvents) => Promise<SealedEnd>
