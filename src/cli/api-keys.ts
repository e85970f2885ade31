// Keys that let in whoever holds one: from the environment, a file, or (with a warning) the command line.
import { OpenMcpError } from '../errors.ts'
import { checkedOperatorKey, HOW_TO_MAKE } from '../openmcp/operator-key.ts'
import { linesOf } from './env-file.ts'
import { textOf } from './machine.ts'
import { allOf, type Reading } from './target-options.ts'

const VARIABLE = 'OPENMCP_API_KEY'
const FILE_VARIABLE = 'OPENMCP_API_KEY_FILE'

/** Every key that was named, each once. None of them is ever repeated in a message. */
export function apiKeysOf(reading: Reading): string[] {
  const { machine, mistakes, warnings } = reading
  const keys: string[] = []
  const add = (key: string, as: string): void => void keys.push(...(mistakes.attempt(() => [checkedOperatorKey(key, as)]) ?? []))
  const addFile = (path: string, as: string): void => {
    const found = mistakes.attempt(() => keysIn(textOf(machine, as, path), path))
    for (const { key, where } of found ?? []) add(key, where)
  }
  for (const { as, value } of allOf(reading, 'api-key-file')) addFile(value, as)
  for (const { as, value } of allOf(reading, 'api-key')) {
    add(value, as)
    warnings.push(`${as}: other programs of this machine can read a command line; --api-key-file and ${VARIABLE} keep a key off it`)
  }
  const { [VARIABLE]: inEnv, [FILE_VARIABLE]: fileInEnv } = machine.env
  if (inEnv !== undefined && inEnv !== '') add(inEnv, VARIABLE)
  if (fileInEnv !== undefined && fileInEnv !== '') addFile(fileInEnv, FILE_VARIABLE)
  return [...new Set(keys)]
}

/** A key in the environment that nothing asks for: its owner thinks that somebody is asked. */
export function refuseUnusedApiKey({ machine, mistakes }: Reading): void {
  const set = [VARIABLE, FILE_VARIABLE].find((name) => (machine.env[name] ?? '') !== '')
  if (set !== undefined) mistakes.add(new OpenMcpError('usage', `${set} is set, and nobody is asked for a key`, { hint: 'add --security, or unset it' }))
}

/** One key a line; empty lines and lines that begin with # are skipped. */
function keysIn(text: string, file: string): { key: string; where: string }[] {
  const keys = linesOf(text).flatMap((line, index) => (/^\s*(?:#|$)/.test(line) ? [] : { key: line.trim(), where: `${file}:${index + 1}` }))
  if (keys.length === 0) throw new OpenMcpError('usage', `${file} holds no key`, { hint: HOW_TO_MAKE })
  return keys
}
