// How a request is sent again that may be.
import { about, meaning, number, object, yesOrNo, type Shape } from './shape.ts'

/** Undefined: what `run` says. */
export interface RetryEntry {
  readonly attempts: number | undefined
  readonly delayMs: number | undefined
}

export const RETRY: Shape<RetryEntry> = about(
  'How a request is sent again that may be: a tool call only when it cannot have been heard of.',
  meaning(
    object({
      attempts: about('How often; 3 unless given.', number({ from: 0, to: 100, whole: true })),
      delayMs: about('Milliseconds before the first, 250 unless given; doubled with each that follows.', number({ from: 0, to: 60_000, whole: true })),
      idempotent: about('Only false: a tool call is not sent again, whatever its server says of the tool.', onlyFalse()),
    }),
    ({ attempts, delayMs }) => ({ attempts, delayMs }),
  ),
)

/** What a server says of its tools is its word, and whoever wrote true takes it: refused, until somebody takes it here. */
function onlyFalse(): Shape<boolean> {
  const words = 'is not built yet; openmcp refuses it rather than run without it'
  return meaning(yesOrNo(), (value, at) => (value ? at.mistake(words, { notBuilt: true }) : value))
}
