// Tells what was typed in the words of another proxy, and hands it on in ours.
import type { Io } from '../io.ts'
import { machineOf } from '../machine.ts'
import { say, warn } from '../terminal.ts'
import type { Translation } from './dialect.ts'
import { shownCommand } from './shown.ts'
import { recognise, translateAs, translateWord } from './translate.ts'

/** What begins with `--as NAME`, or with a word of mcp-connect. */
export function named(io: Io): Io {
  const argv = io.argv[0] === 'run' ? io.argv.slice(1) : io.argv
  const [first = '', second = '', ...rest] = argv
  if (first === '--as') return told(translateAs(second, rest, machineOf(io)), io)
  if (first.startsWith('--as=')) return told(translateAs(first.slice('--as='.length), argv.slice(1), machineOf(io)), io)
  return told(translateWord(argv, machineOf(io)), io)
}

/** What `run` does not understand. Undefined: nobody else would either. */
export function recognised(io: Io): Io | undefined {
  const translation = recognise(io.argv[0] === 'run' ? io.argv.slice(1) : io.argv, machineOf(io))
  return translation && told(translation, io)
}

function told({ argv, env, warnings }: Translation, io: Io): Io {
  say(io, `taken as: ${shownCommand(argv, env)}`)
  for (const warning of warnings) warn(io, warning)
  return { ...io, argv, env: { ...io.env, ...env } }
}
