// Who a request was let in as, kept with the request itself. A WeakMap beside it costs a tenth of the calls: V8 looks through its table
// at every collection.
import { IncomingMessage } from 'node:http'

import type { Caller } from '../protocol/caller.ts'

const CALLER = Symbol('caller')

/** A request that has a place for its caller from the start: added later, it would be another shape to V8. */
export class GuardedRequest extends IncomingMessage {
  [CALLER]: Caller | undefined = undefined
}

export function hold(req: IncomingMessage, caller: Caller): void {
  // What a server of ours receives is a GuardedRequest; elsewhere the place is made now.
  ;(req as GuardedRequest)[CALLER] = caller
}

export function heldBy(req: IncomingMessage): Caller | undefined {
  return (req as GuardedRequest)[CALLER] // undefined where nobody was let in
}
