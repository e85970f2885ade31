// `openmcp config`: the file of --config, made, looked at and changed.
import { configSchema } from '../../config/schema.ts'
import type { Arguments } from '../arguments.ts'
import type { Io } from '../io.ts'
import { machineOf } from '../machine.ts'
import { createMistakes } from '../mistakes.ts'
import { subcommandOf, type Subcommand } from '../subcommand.ts'
import { print } from '../terminal.ts'
import type { Asked } from './asked.ts'

const SUBCOMMANDS = {
  validate: { how: 'openmcp config validate [FILE]', least: 0, most: 1, options: [] },
  show: { how: 'openmcp config show [FILE]', least: 0, most: 1, options: [] },
  list: { how: 'openmcp config list [FILE] [--json]', least: 0, most: 1, options: ['json'] },
  test: { how: 'openmcp config test [FILE] [--server NAME] [--timeout SECONDS]', least: 0, most: 1, options: ['server', 'all', 'timeout'] },
  init: { how: 'openmcp config init [FILE] [--force]', least: 0, most: 1, options: ['force'] },
  add: {
    how: "openmcp config add NAME URL, or openmcp config add NAME -- COMMAND ARG..., with '--config FILE' where it is not openmcp.json",
    least: 2,
    most: 10_000,
    options: ['config', 'force', 'env', 'cwd', 'header', 'transport'],
  },
  remove: { how: 'openmcp config remove NAME [--config FILE]', least: 1, most: 1, options: ['config'] },
  import: { how: 'openmcp config import FILE > openmcp.json', least: 1, most: 1, options: [] },
  generate: { how: 'openmcp config generate --ide zed|claude|vscode|cursor [URL]', least: 0, most: 1, options: ['ide', 'config', 'name'] },
  schema: { how: 'openmcp config schema', least: 0, most: 0, options: [] },
} satisfies Record<string, Subcommand>

export async function config(args: Arguments, io: Io): Promise<number> {
  const reading: Asked['reading'] = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { name, words } = subcommandOf('config', SUBCOMMANDS, reading)
  const asked: Asked = { reading, words, io }
  if (name === 'add' || name === 'init' || name === 'remove') return (await import('./edit.ts'))[name](asked)
  if (name === 'generate') return (await import('./generate.ts')).generate(asked)
  if (name === 'test') return (await import('./test.ts')).testServers(asked)
  reading.mistakes.throwIfAny()
  if (name === 'import') return (await import('./import.ts')).bringOver(asked)
  if (name !== 'schema') return (await import('./look.ts'))[name](asked)
  await print(io, `${JSON.stringify(configSchema(), undefined, 2)}\n`)
  return 0
}
