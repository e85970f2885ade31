// `openmcp config`: what a configuration means, before it is run.
import { dirname, resolve } from 'node:path'
import { configSchema } from '../config/schema.ts'
import { readArguments, type Arguments } from './arguments.ts'
import { parseConfig } from './config-file.ts'
import { RUN_OPTIONS } from './option-table.ts'
import type { Io } from './io.ts'
import { machineOf, textOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { runOptions } from './run-options.ts'
import { subcommandOf, type Subcommand } from './subcommand.ts'
import { print, warn } from './terminal.ts'

const SUBCOMMANDS = {
  validate: { how: 'openmcp config validate FILE', least: 1, most: 1, options: [] },
  schema: { how: 'openmcp config schema', least: 0, most: 0, options: [] },
} satisfies Record<string, Subcommand>

export async function config(args: Arguments, io: Io): Promise<number> {
  const mistakes = createMistakes(args.mistakes)
  const { name, words } = subcommandOf('config', SUBCOMMANDS, { args, mistakes })
  mistakes.throwIfAny()
  if (name === 'schema') {
    await print(io, `${JSON.stringify(configSchema(), undefined, 2)}\n`)
    return 0
  }
  return validate(words[0] ?? '', io)
}

/** As `run` would read it, so that what is right here is right there: with its environment and its files. */
async function validate(file: string, io: Io): Promise<number> {
  const machine = machineOf(io)
  const readText = (path: string): string => machine.readText(resolve(dirname(machine.resolve(file)), path))
  const { isSecured } = parseConfig(textOf(machine, 'FILE', file), file, { env: machine.env, readText })
  const typed = ['--config', file, '-p', '0', ...(isSecured ? ['--security'] : [])]
  const { servers, warnings } = runOptions(readArguments(typed, RUN_OPTIONS), machine, parseConfig)
  for (const warning of warnings) warn(io, warning)
  await print(io, servers.map(({ name }) => `${name}\n`).join(''))
  return 0
}
