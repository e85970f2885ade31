// How a request is sent again that may be.
import { about, meaning, number, object, yesOrNo, type Shape } from './shape.ts'

/** Undefined: what `run` says. */
export interface RetryEntry {
  readonly attempts: number | undefined
  readonly delayMs: number | undefined
  /** Whether a tool call is repeated, too, when the server says of the tool that this does no harm. */
  readonly idempotent: boolean
}

export const RETRY: Shape<RetryEntry> = about(
  'How a request is sent again that may be: a tool call only when it cannot have been heard of.',
  meaning(
    object({
      attempts: about('How often; 3 unless given.', number({ from: 0, to: 100, whole: true })),
      delayMs: about('Milliseconds before the first, 250 unless given; doubled with each that follows.', number({ from: 0, to: 60_000, whole: true })),
      idempotent: about('Also tool calls, when the server says of the tool that it only reads, or that a second call changes nothing.', yesOrNo()),
    }),
    ({ attempts, delayMs, idempotent }) => ({ attempts, delayMs, idempotent: idempotent ?? false }),
  ),
)
