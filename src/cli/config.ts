// `openmcp config`: what a configuration means, before it is run.
import { importConfig } from '../config/import.ts'
import { configSchema } from '../config/schema.ts'
import { createAt, type Finding } from '../config/shape.ts'
import { readSource } from '../config/source.ts'
import { OpenMcpError } from '../errors.ts'
import { readArguments, type Arguments } from './arguments.ts'
import { parseConfig } from './config-file.ts'
import { RUN_OPTIONS } from './option-table.ts'
import type { Io } from './io.ts'
import { besideFile, machineOf, textOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { runOptions } from './run-options.ts'
import { subcommandOf, type Subcommand } from './subcommand.ts'
import { print, say, warn } from './terminal.ts'

const SUBCOMMANDS = {
  validate: { how: 'openmcp config validate FILE', least: 1, most: 1, options: [] },
  import: { how: 'openmcp config import FILE > openmcp.json', least: 1, most: 1, options: [] },
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
  return name === 'import' ? bringOver(words[0] ?? '', io) : validate(words[0] ?? '', io)
}

/** Nothing is filled in on the way: a secret stays where it was kept. */
async function bringOver(file: string, io: Io): Promise<number> {
  const told: OpenMcpError[] = []
  const mistake = ({ path, words, line }: Finding): void =>
    void told.push(new OpenMcpError('usage', `${file}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path}: `}${words}`))
  const source = readSource(textOf(machineOf(io), 'FILE', file), createAt({ mistake, warning: () => {} }))
  createMistakes(told).throwIfAny()
  const imported = importConfig(source?.value)
  if (!imported) {
    throw new OpenMcpError('usage', `${file} is the configuration of no program that is known`, {
      hint: 'there is mcpServers (Claude Desktop and others), servers (VS Code), context_servers (Zed)',
    })
  }
  for (const note of imported.notes) say(io, `${file}: ${note}`)
  await print(io, `${JSON.stringify(imported.config, undefined, 2)}\n`)
  return 0
}

/** As `run` would read it, so that what is right here is right there: with its environment and its files. */
async function validate(file: string, io: Io): Promise<number> {
  const machine = machineOf(io)
  const beside = besideFile(machine, file)
  const { isSecured } = parseConfig(textOf(machine, 'FILE', file), file, { env: machine.env, readText: (path) => machine.readText(beside(path)) })
  const typed = ['--config', file, '-p', '0', ...(isSecured ? ['--security'] : [])]
  const { servers, warnings } = runOptions(readArguments(typed, RUN_OPTIONS), machine, parseConfig)
  for (const warning of warnings) warn(io, warning)
  await print(io, servers.map(({ name }) => `${name}\n`).join(''))
  return 0
}
