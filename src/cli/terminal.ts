// The two streams: results go to stdout, words for people to stderr.
import { toOpenMcpError } from '../errors.ts'
import { mistakesIn } from './mistakes.ts'
import { printable, scrub } from '../observe/log.ts'
import type { Io } from './io.ts'

type Words = Pick<Io, 'stderr'>

/** Waits until it is written: the process may end next. A reader that went away (`--help | head -1`) is no failure. */
export function print({ stdout }: Pick<Io, 'stdout'>, text: string): Promise<void> {
  return new Promise((resolve) => {
    stdout.once('error', () => resolve())
    stdout.write(text, () => resolve())
  })
}

/** Words about what was done. */
export function say({ stderr }: Words, text: string): void {
  stderr.write(`openmcp: ${clean(text)}\n`)
}

export function warn({ stderr }: Words, text: string): void {
  stderr.write(`openmcp: warning: ${clean(text)}\n`)
}

/** What failed, and a thing to try. With `debug` also where; without it never a stack. */
export function tellFailure({ stderr }: Words, thrown: unknown, { debug }: { debug: boolean }): void {
  const error = toOpenMcpError(thrown)
  const parts = mistakesIn(error)
  for (const [index, { code, message, hint: own }] of parts.entries()) {
    const hint = code === 'internal' ? '--debug shows where; please report it' : own
    stderr.write(`openmcp: error: ${clean(message)}\n`)
    // What helps with several in a row is said behind the last of them.
    if (hint !== undefined && hint !== parts[index + 1]?.hint) stderr.write(`openmcp: hint: ${clean(hint)}\n`)
  }
  if (debug) for (const line of traceOf(thrown)) stderr.write(`openmcp: debug: ${clean(line)}\n`)
}

/** One line that moves no cursor and shows nothing that looks like a secret. */
export function clean(text: string): string {
  return printable(scrub(text))
}

/** The stack of an error and of what caused it. */
function traceOf(thrown: unknown, depth = 0): string[] {
  if (!(thrown instanceof Error) || depth > 8) return []
  const own = (thrown.stack ?? thrown.message).split('\n')
  return [...own, ...(thrown.cause instanceof Error ? ['caused by', ...traceOf(thrown.cause, depth + 1)] : [])]
}
