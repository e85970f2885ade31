// What a command line of another proxy becomes: by its options, or by the name of the proxy.
import { MCP_CONNECT_WORDS } from '../../../src/cli/dialects/mcp-connect.ts'
import { recognise, translateAs, translateWord } from '../../../src/cli/dialects/translate.ts'
import type { Translation } from '../../../src/cli/dialects/dialect.ts'
import { splitWords } from '../../../src/cli/split-words.ts'
import { machineWith } from '../machine.ts'

export interface Surroundings {
  as?: string
  env?: Record<string, string>
  files?: Record<string, string>
}

/** `typed` as in a shell, without the program's own name. Throws what is wrong in it. */
export function translated(typed: string, { as, ...surroundings }: Surroundings = {}): Translation | undefined {
  const argv = splitWords(typed) ?? []
  const machine = machineWith(surroundings)
  if (as !== undefined) return translateAs(as, argv, machine)
  return MCP_CONNECT_WORDS.has(argv[0] ?? '') ? translateWord(argv, machine) : recognise(argv, machine)
}

/** The words of a canonical command line, as in a shell. */
export function wordsOf(canonical: string): string[] {
  return splitWords(canonical) ?? []
}

/** What is wrong, in words. */
export function refusalOf(typed: string, surroundings?: Surroundings): string {
  try {
    return `taken as ${translated(typed, surroundings)?.argv.join(' ') ?? 'nothing'}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
