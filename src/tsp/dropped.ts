// What came to nothing for what is known of its sender, and not for its bytes.
import { OpenMcpError } from '../errors.ts'
import type { Vid } from '../identity/vid.ts'
import type { RefusalReason } from './refusal.ts'

/** Why something came to nothing: of the codec, or of what is known about its sender. */
export type DropReason = RefusalReason | 'busy' | 'untrusted' | 'unresolved' | 'unrelated' | 'unreachable'

export class Dropped extends OpenMcpError {
  readonly reason: Exclude<DropReason, RefusalReason>

  constructor(reason: Exclude<DropReason, RefusalReason>, why: string) {
    super('tsp_refused', why)
    this.reason = reason
  }
}

/** A VID as it is told in the log. */
export function shortened(vid: Vid): string {
  return vid.length > 80 ? `${vid.slice(0, 79)}…` : vid
}
