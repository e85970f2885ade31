// What the ways in may ask of sessions. They are kept by the relay.
import type { ServerResponse } from 'node:http'

import type { Caller } from './caller.ts'

export interface Session<V> {
  /** 256 random bits, base64url. A name, not a credential: whoever uses it is checked on every request. */
  readonly id: string
  /** Who used it last. A session belongs to this caller's `owner`. */
  readonly caller: Caller
  readonly value: V
  /** While held (a call in flight, a stream open) a session is not idle. Returns the release. */
  hold(): () => void
}

export interface Sessions<V extends SessionValue> {
  /** A new session; refuses with `busy` at the cap when none of the caller's own lies idle. */
  open(caller: Caller, value: V): Session<V>
  /** Undefined for another owner, as for a name that was never given. What is found is from now on this caller's, whose credential is the fresher one. */
  find(caller: Caller, id: string): Session<V> | undefined
  /** Ends it and what it stands on. Safe to repeat. */
  end(session: Session<V>): Promise<void>
  /** Ends every session whose last caller is over: revoked, expired, trusted no more. */
  endOf(isOver: (caller: Caller) => boolean): Promise<void>
  readonly size: number
  /** Sessions with a call in flight or a stream open. */
  readonly held: number
  close(): Promise<void>
}

export interface SessionValue {
  /** Ends what the session stands on: streams, the link upstream. */
  close(): Promise<void>
}

/** Told of every answer that is a stream and no call. It ends with the time of its caller, or, in a session, of the session's. */
export type OnStream = (res: ServerResponse, session: { readonly caller: Caller } | undefined) => void
