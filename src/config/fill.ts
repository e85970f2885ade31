// `${NAME}` and `${file:PATH}` in the texts of a configuration: secrets stay where they are kept.
import { isObject } from '../protocol/message.ts'
import type { At } from './at.ts'
import { isSecretName } from './masked.ts'

export interface Filling {
  env: Readonly<Record<string, string | undefined>>
  /** The text of a file, seen from the configuration's directory. Throws as node:fs does. */
  readText(path: string): string
}

/** A file of a secret is small; one that is not is another file. */
const MAX_FILE_CHARS = 64 * 1024
/** What is told of something that is not there to be filled in begins so. */
export const NEEDS = 'needs the '
const HOW = 'write ${NAME}, ${NAME:-DEFAULT} or ${file:PATH}, and $${ for the characters themselves' // oxlint-disable-line no-template-curly-in-string -- what is to be written

/**
 * The same value with every text filled in; names of members are left alone. What is not set, or cannot be read, is a mistake, and
 * the text stays as it was. `secret` is told of what came from a file, or by the name of a secret.
 */
export function fill(value: unknown, at: At, filling: Filling, secret: (value: string) => void = () => {}): unknown {
  if (typeof value === 'string') return value.includes('${') ? fillText(value, at, filling, secret) : value
  if (Array.isArray(value)) return value.map((item: unknown, index) => fill(item, at.item(index), filling, secret))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fill(member, at.member(name), filling, secret)]))
}

function fillText(text: string, at: At, filling: Filling, secret: (value: string) => void): string {
  return text.replaceAll(/\$\$\{|\$\{([^{}]*)(\}?)/g, (whole, inside: string | undefined, closed: string) => {
    if (inside === undefined) return '${'
    const found = closed === '' ? at.mistake(`has a \${ without its }: ${HOW}`) : valueOf(inside, at, filling)
    if (found === undefined) return whole
    if (isSecretName(inside)) secret(found)
    return found
  })
}

function valueOf(inside: string, at: At, { env, readText }: Filling): string | undefined {
  if (inside.startsWith('file:')) return contentsOf(inside.slice('file:'.length), at, readText)
  const [, name, fallback] = /^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? []
  if (name === undefined) return at.mistake(`has a \${} that is not known: ${HOW}`)
  const value = env[name]
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
  return value ?? at.mistake(`${NEEDS}variable ${name}, which is not set`)
}

function contentsOf(path: string, at: At, readText: Filling['readText']): string | undefined {
  let text: string
  try {
    text = readText(path)
  } catch {
    return at.mistake(`${NEEDS}file ${JSON.stringify(path)}, which cannot be read`)
  }
  if (text.length > MAX_FILE_CHARS) return at.mistake(`${NEEDS}file ${JSON.stringify(path)}, which is larger than ${MAX_FILE_CHARS / 1024} KiB`)
  // Editors end a file with a line break that nobody means.
  return text.replace(/\r?\n$/, '')
}
