// NAME=VALUE lines, as dotenv and docker --env-file have them: comments, quotes, `export`. Nothing is filled in or executed.
import { OpenMcpError } from '../errors.ts'

/** The settings of one file, in its order. All mistakes are told at once, by line; a value is never repeated. */
export function parseEnvFile(text: string, file: string): [name: string, value: string][] {
  const settings: [string, string][] = []
  const mistakes: string[] = []
  for (const [index, line] of linesOf(text).entries()) {
    const setting = parseLine(line.trim())
    if (typeof setting === 'string') mistakes.push(`${file}:${index + 1}: ${setting}`)
    else if (setting !== undefined) settings.push(setting)
  }
  if (mistakes.length > 0) throw new OpenMcpError('usage', mistakes.join('; '), { hint: 'one NAME=VALUE a line; a value may stand in quotes' })
  return settings
}

/** The lines of a file, whoever wrote it: without a byte order mark, and with either line end. */
export function linesOf(text: string): string[] {
  return text.replace(/^\uFEFF/, '').split(/\r?\n/)
}

/** A name that an environment can hold. What uses it may be pickier. */
export function isEnvName(name: string): boolean {
  return /^[^\s=\0]+$/.test(name)
}

/** A setting, nothing, or what is wrong. */
function parseLine(line: string): [string, string] | string | undefined {
  if (line === '' || line.startsWith('#')) return undefined
  const setting = line.replace(/^export\s+/, '')
  const equals = setting.indexOf('=')
  if (equals === -1) return "no '='"
  const name = setting.slice(0, equals).trim()
  if (!isEnvName(name)) return "no name before '='"
  const value = valueOf(setting.slice(equals + 1).trim())
  if (typeof value === 'string') return value
  if (value.value.includes('\0')) return 'a NUL character in the value'
  return [name, value.value]
}

function valueOf(text: string): { value: string } | string {
  const quote = text[0]
  if (quote !== '"' && quote !== "'") return { value: withoutComment(text) }
  const [whole, inside] = (quote === '"' ? /^"((?:[^"\\]|\\.)*)"/ : /^'([^']*)'/).exec(text) ?? []
  if (whole === undefined || inside === undefined) return 'a quote that does not end on its line'
  if (!/^\s*(?:#.*)?$/.test(text.slice(whole.length))) return 'something behind the closing quote'
  return { value: quote === "'" ? inside : inside.replace(/\\(.)/g, (kept, letter: string) => ESCAPED.get(letter) ?? kept) }
}

function withoutComment(text: string): string {
  const comment = text.search(/(?:^|\s)#/)
  return comment === -1 ? text : text.slice(0, comment).trimEnd()
}

const ESCAPED = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['"', '"'],
  ['\\', '\\'],
])
