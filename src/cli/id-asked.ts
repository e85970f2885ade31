import type { Io } from './io.ts'
import type { Reading } from './target-options.ts'

/** What `openmcp id SUBCOMMAND` was asked. */
export interface Asked {
  /** What follows the subcommand; '' when nothing does. */
  word: string
  /** What follows that. */
  second: string | undefined
  /** The directory of identities and keys. */
  keys: string
  reading: Reading
  now: () => number
  io: Io
}
