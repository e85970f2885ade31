import type { Io } from '../io.ts'
import type { Reading } from '../target-options.ts'

/** Where a configuration is when nobody says where. */
export const USUAL_FILE = 'openmcp.json'

/** What a subcommand is told. */
export interface Asked {
  /** The mistakes of the options are not thrown yet. */
  readonly reading: Reading
  readonly words: readonly string[]
  readonly io: Io
}
