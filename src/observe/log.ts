// The log: words for people and machines, on stderr only. stdout belongs to the protocol.
import { sayable } from '../errors.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
export type LogFormat = 'text' | 'json'

/** Named fields only: whoever logs says which, and never a header, an argument or a body as a whole. */
type Fields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  error(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  debug(message: string, fields?: Fields): void
  /** Whether `debug` writes: asked before a line on a hot path is put together. */
  readonly debugging: boolean
}

const RANK: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 }

/** `heard`: who hears the same beside it, as text without our name before it. */
export function createLog(options: {
  level: LogLevel
  format: LogFormat
  write: (line: string) => void
  heard?: ((level: LogLevel, text: string) => void) | undefined
  now: () => number
}): Log {
  const { format, write, heard, now } = options
  const most = RANK[options.level]
  const line = format === 'json' ? jsonLine : textLine
  const at =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}) => {
      if (RANK[level] > most) return
      write(`${line(level, message, fields, now)}\n`)
      heard?.(level, wordsOf(message, fields))
    }
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), debugging: most >= RANK.debug }
}

function jsonLine(level: LogLevel, message: string, fields: Fields, now: () => number): string {
  const scrubbed = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? scrub(value) : value]))
  // JSON escapes the control characters below U+0020 itself.
  return printable(JSON.stringify({ time: new Date(now()).toISOString(), level, message: scrub(message), ...scrubbed }))
}

function textLine(level: LogLevel, message: string, fields: Fields): string {
  return `${level === 'info' ? 'openmcp:' : `openmcp: ${level === 'warn' ? 'warning' : level}:`} ${wordsOf(message, fields)}`
}

function wordsOf(message: string, fields: Fields): string {
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? quoted(printable(scrub(value))) : value}`)
  return `${printable(scrub(message))}${rest.join('')}`
}

function quoted(value: string): string {
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}

// Controls, line breaks of other alphabets, and marks that turn the direction of text.
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const UNPRINTABLE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Control characters of a stranger would move the reader's cursor or fake a line: they are shown, not sent. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const SECRETS: readonly [RegExp, string][] = [
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[token]'],
  [/\b(Bearer|DPoP|Basic)\s+[\w.~+/=-]{8,}/gi, '$1 [secret]'],
  [/\b(access_token|refresh_token|token|client_secret|api_key|apikey|password|code)=[^\s&"']+/gi, '$1=[secret]'],
  [/"(access_token|refresh_token|token|client_secret|api_key|apikey|password)"\s*:\s*"[^"]*"/gi, '"$1":"[secret]"'],
  [/\b(password|secret):\s*\S+/gi, '$1: [secret]'],
  [/:\/\/[^\s/@:]+:[^\s/@]+@/g, '://[secret]@'],
  [/\bsk_[\w-]{16,}/g, '[key]'],
]

/** The last stage before the terminal: what looks like a secret is not written, whoever put it there. */
export function scrub(text: string): string {
  let clean = sayable(text)
  for (const [pattern, stand] of SECRETS) clean = clean.replace(pattern, stand)
  return clean
}
