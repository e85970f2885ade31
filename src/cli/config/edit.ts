// `openmcp config init`, `add` and `remove`: a file is changed as a person would change it, and never into one that is wrong.
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, statSync, writeSync } from 'node:fs'
import { STARTING_FILE, withServer } from '../../config/edit.ts'
import { readAsWritten } from '../../config/config.ts'
import { OpenMcpError } from '../../errors.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { schemeOf } from '../../protocol/target.ts'
import { isEnvName } from '../env-file.ts'
import { namesSecret, parseHeader } from '../headers.ts'
import { textOf } from '../machine.ts'
import { allOf, oneOf, type Reading } from '../target-options.ts'
import { say, warn } from '../terminal.ts'
import { USUAL_FILE, type Asked } from './asked.ts'

export async function init({ reading, words: [file = USUAL_FILE], io }: Asked): Promise<number> {
  reading.mistakes.throwIfAny()
  const path = reading.machine.resolve(file)
  const isForced = allOf(reading, 'force').length > 0
  if (isForced && existsSync(path)) replace(path, STARTING_FILE)
  else create(path, file, STARTING_FILE)
  say(io, `${file} is made: openmcp run --config ${file}`)
  return 0
}

export async function add({ reading, words: [name = '', ...behind], io }: Asked): Promise<number> {
  const entry = entryOf(reading, behind)
  reading.mistakes.throwIfAny()
  const file = fileOf(reading)
  const path = reading.machine.resolve(file)
  const text = existsSync(path) ? textOf(reading.machine, '--config', file) : undefined
  if (text !== undefined && hasServer(text, name) && allOf(reading, 'force').length === 0) {
    throw new OpenMcpError('usage', `${file} has a server ${JSON.stringify(name)} already`, { hint: '--force puts this one in its place' })
  }
  const changed = withServer(text ?? '{}\n', name, entry)
  refuseWrong(file, text, changed)
  for (const warning of reading.warnings) warn(io, warning)
  if (text === undefined) create(path, file, changed)
  else replace(path, changed)
  say(io, `${name} is in ${file}`)
  return 0
}

export async function remove({ reading, words: [name = ''], io }: Asked): Promise<number> {
  reading.mistakes.throwIfAny()
  const file = fileOf(reading)
  const text = textOf(reading.machine, '--config', file)
  if (!hasServer(text, name))
    throw new OpenMcpError('usage', `${file} has no server ${JSON.stringify(name)}`, { hint: 'openmcp config list says which there are' })
  replace(reading.machine.resolve(file), withServer(text, name, undefined))
  say(io, `${name} is not in ${file} any more`)
  return 0
}

function fileOf(reading: Reading): string {
  return allOf(reading, 'config')[0]?.value ?? USUAL_FILE
}

/** What is typed as an entry. What is to be filled in is left to be filled in. */
function entryOf(reading: Reading, [first = '', ...rest]: readonly string[]): JsonObject {
  const { mistakes, warnings } = reading
  const env = allOf(reading, 'env').flatMap(({ as, value }) => mistakes.attempt(() => settingOf(value, as)) ?? [])
  const headers = allOf(reading, 'header').flatMap(({ as, value }) => mistakes.attempt(() => [parseHeader(value, as)]) ?? [])
  for (const [name, value] of [...env, ...headers]) {
    if (namesSecret(name) && !value.includes('${')) warnings.push(`${name} stands in the file as it is; '\${NAME}' and '\${file:PATH}' keep a secret out of it`)
  }
  const transport = oneOf(reading, 'transport', (text) => text)
  const cwd = oneOf(reading, 'cwd', (text) => text)
  const settings = {
    ...(transport !== undefined && { type: transport }),
    ...(cwd !== undefined && { cwd }),
    ...(env.length > 0 && { env: Object.fromEntries(env) }),
    ...(headers.length > 0 && { headers: Object.fromEntries(headers) }),
  }
  const isUrl = schemeOf(first) !== undefined
  if (isUrl && rest.length > 0) mistakes.add(new OpenMcpError('usage', `one word too many behind the URL: '${rest[0]}'`))
  return isUrl ? { url: first, ...settings } : { command: first, ...(rest.length > 0 && { args: rest }), ...settings }
}

function settingOf(text: string, as: string): [string, string][] {
  const equals = text.indexOf('=')
  if (equals > 0 && isEnvName(text.slice(0, equals))) return [[text.slice(0, equals), text.slice(equals + 1)]]
  // The text is not repeated: it may be a secret whose name was forgotten.
  throw new OpenMcpError('usage', `${as} takes NAME=VALUE`)
}

function hasServer(text: string, name: string): boolean {
  const { value } = readAsWritten(text)
  return isObject(value) && isObject(value['mcpServers']) && Object.hasOwn(value['mcpServers'], name)
}

/** What was wrong before, and what is to be filled in later, is for others to mend. */
function refuseWrong(file: string, before: string | undefined, after: string): void {
  const known = new Set(before === undefined ? [] : readAsWritten(before).mistakes.map(({ path, words }) => `${path} ${words}`))
  const found = readAsWritten(after).mistakes.filter(({ path, words }) => !known.has(`${path} ${words}`))
  const [first] = found
  if (first) throw new OpenMcpError('usage', found.map(({ path, words }) => `${path}: ${words}`).join('; '), { hint: first.hint ?? `${file} is left as it is` })
}

/** It may come to hold secrets: it is nobody else's to read. */
function create(path: string, file: string, text: string): void {
  try {
    write(path, text, 'wx', 0o600)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      throw new OpenMcpError('usage', `there is a ${file} already`, { hint: '--force writes over it' })
    }
    throw new OpenMcpError('usage', `cannot write ${file}`, { cause })
  }
}

/** All of it at once: a running openmcp never reads half of it. */
function replace(path: string, text: string): void {
  // What a symbolic link leads to is what is changed.
  const real = realpathSync(path)
  const beside = `${real}.new-${process.pid}`
  write(beside, text, 'wx', statSync(real).mode & 0o777)
  renameSync(beside, real)
}

function write(path: string, text: string, flags: string, mode: number): void {
  const file = openSync(path, flags, mode)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
