// What a command line of another proxy is made of, and what it becomes.
import type { Machine } from '../machine.ts'
import type { Mistakes } from '../mistakes.ts'

/** The words of a peer, and what each of them means here. */
export interface Dialect {
  readonly name: DialectName
  /** By what is typed, `--port` and `-p` alike. Options of `run` that are not among them are taken as they are. */
  readonly options: ReadonlyMap<string, Meaning>
  /** Whether options may stand behind its words: without it, a word that is no URL begins a COMMAND. */
  readonly mixed?: boolean
  /** Whether it is theirs, though no option of it is. */
  isMeant?(speech: Speech, machine: Machine): boolean
  /** Without which nothing is theirs. */
  isPossible?(speech: Speech): boolean
  /** Turns the words into what is served, with what its options have left in the draft. */
  finish(speech: Speech, draft: Draft): Target
}

export type DialectName = (typeof DIALECT_NAMES)[number]

/** What `--as` takes. */
export const DIALECT_NAMES = ['mcp-proxy', 'rmcp-proxy', 'mcp-connect', 'mcpo', 'supergateway', 'mcp-remote'] as const

export interface Meaning {
  /** How many of the words that follow are its values. `next` ends before the next option, and before `--`. */
  takes(next: readonly string[]): number
  /** It has none, also not behind a sign: `--debug=no` is no option of theirs. */
  readonly isFlag?: true
  /** The fewest that it needs. */
  readonly least: number
  /** Whether the option, so used, is theirs although `run` has one of that name. */
  isTheirs?(values: readonly string[]): boolean
  means(use: Use, draft: Draft): void
}

/** One use of an option. */
export interface Use {
  readonly as: string
  readonly values: readonly string[]
  /** The first value; '' when it takes none. */
  readonly value: string
}

export interface Speech {
  readonly uses: readonly (Use & { readonly meaning: Meaning })[]
  /** Options of `run`, each with its value, byte for byte. */
  readonly ours: readonly (readonly string[])[]
  readonly words: readonly string[]
  /** Whether the words stand behind `--`. */
  readonly terminated: boolean
  /** Options that are neither theirs nor ours. */
  readonly unknown: readonly string[]
  /** Options whose values are not all there. */
  readonly lacking: readonly string[]
  readonly isTheirs: boolean
}

/** What has been understood so far. */
export interface Draft {
  readonly machine: Machine
  /** Whether the dialect was named, and not recognised. */
  readonly isNamed: boolean
  /** Options of ours. */
  readonly options: string[]
  /** What other programs cannot read in our command line, because it came from the environment or from a file. */
  readonly env: Record<string, string>
  /** What differs from the peer's meaning, and why. */
  readonly warnings: string[]
  readonly mistakes: Mistakes
  /** What single options say and only all of them together mean. */
  readonly said: Map<string, Use>
  host: string | undefined
  port: string | undefined
}

export type Target =
  | { readonly kind: 'command'; readonly words: readonly string[] }
  | { readonly kind: 'upstream'; readonly upstream: string }
  /** Only what options name. */
  | { readonly kind: 'none' }

export interface Translation {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}
