// `openmcp config validate`, `show` and `list`: what a configuration means, before it is run.
import { createAt } from '../../config/at.ts'
import { isOff } from '../../config/config.ts'
import { effective } from '../../config/effective.ts'
import { fill } from '../../config/fill.ts'
import { masked, MASKED_FILLING } from '../../config/masked.ts'
import { readSource } from '../../config/source.ts'
import { isObject } from '../../protocol/message.ts'
import { shownTarget } from '../../protocol/target.ts'
import { readArguments } from '../arguments.ts'
import { parseConfig } from '../config-file.ts'
import { fillingOf, textOf, type Machine } from '../machine.ts'
import { createMistakes } from '../mistakes.ts'
import { RUN_OPTIONS } from '../option-table.ts'
import { runOptions, type RunOptions } from '../run-options.ts'
import { allOf } from '../target-options.ts'
import { print, warn } from '../terminal.ts'
import { USUAL_FILE, type Asked } from './asked.ts'

/** As `run` would read it, so that what is right here is right there: with its environment and its files. */
export function read(file: string, machine: Machine): RunOptions {
  // What comes by a pipe can be read once.
  const text = textOf(machine, 'FILE', file)
  const { isSecured, servers } = parseConfig(text, file, fillingOf(machine, file))
  const asksCallers = isSecured || [...servers.values()].some((entry) => entry?.kind === 'remote' && entry.oauth?.per === 'caller')
  const typed = ['--config', file, '-p', '0', ...(asksCallers ? ['--security'] : [])]
  const readText = (path: string): string => (path === file ? text : machine.readText(path))
  return runOptions(readArguments(typed, RUN_OPTIONS), { ...machine, readText }, parseConfig)
}

/** stdout is the names of its servers. */
export async function validate({ reading: { machine }, words: [file = USUAL_FILE], io }: Asked): Promise<number> {
  const { servers, warnings } = read(file, machine)
  for (const warning of warnings) warn(io, warning)
  await print(io, servers.map(({ name }) => `${name}\n`).join(''))
  return 0
}

/** What holds: all that the file says and, where it says nothing, what openmcp does then. No secret is among it. */
export async function show({ reading: { machine }, words: [file = USUAL_FILE], io }: Asked): Promise<number> {
  const text = textOf(machine, 'FILE', file)
  const { mistakes, warnings } = parseConfig(text, file, fillingOf(machine, file))
  createMistakes(mistakes).throwIfAny()
  for (const warning of warnings) warn(io, warning)
  const value = valueIn(text)
  await print(io, `${JSON.stringify(masked(effective(value)), undefined, 2)}\n`)
  return 0
}

/** A line each: its name, what it is, and whether it is switched off. */
export async function list({ reading, words: [file = USUAL_FILE], io }: Asked): Promise<number> {
  const text = textOf(reading.machine, 'FILE', file)
  const { value: written, mistakes } = parseConfig(text, file)
  if (written === undefined) for (const mistake of mistakes) reading.mistakes.add(mistake)
  reading.mistakes.throwIfAny()
  const value = valueIn(text)
  const entries = isObject(value) && isObject(value['mcpServers']) ? Object.entries(value['mcpServers']) : []
  const rows = entries.map(([name, entry]) => ({ name, ...(isObject(entry) && { serves: servedBy(entry), enabled: !isOff(entry) }) }))
  const lines = rows.map(({ name, serves = '', enabled = true }) => `${name}\t${serves}${enabled ? '' : '\toff'}`)
  await print(io, allOf(reading, 'json').length > 0 ? `${JSON.stringify(rows, undefined, 2)}\n` : lines.map((line) => `${line}\n`).join(''))
  return 0
}

/** With a mask for everything that would be filled in. */
function valueIn(text: string): unknown {
  const at = createAt({ mistake: () => {}, warning: () => {} })
  return fill(readSource(text, at)?.value, at, MASKED_FILLING)
}

function servedBy(entry: Readonly<Record<string, unknown>>): string {
  const { command, url, serverUrl, endpoints } = entry
  const urls = Array.isArray(endpoints) ? endpoints : [url ?? serverUrl]
  return typeof command === 'string' ? command : urls.map((each) => shownTarget(String(each))).join(' ')
}
