import type { Readable, Writable } from 'node:stream'

/** What a command sees of the process it runs in. */
export interface Io {
  /** What was typed behind the program's own name. */
  argv: readonly string[]
  env: Readonly<Record<string, string | undefined>>
  platform: NodeJS.Platform
  cwd: string
  stdin: Readable
  /** For results, or the protocol. */
  stdout: Writable
  /** For words. */
  stderr: Writable
}
