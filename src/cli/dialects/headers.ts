// Headers in the spellings of the peers, and `${NAME}` in them where a peer fills it in.
import { isObject } from '../../protocol/message.ts'
import type { Draft, Use } from './dialect.ts'
import { put, refuse } from './meanings.ts'

/** For all headers that are on no command line, one a line. */
const VARIABLE = 'OPENMCP_HEADER'

/** A header whose value was typed. */
export function putHeader(draft: Draft, name: string, value: string): void {
  put(draft, '-H', `${name}: ${value}`)
}

/** A header whose value may name variables: what came from the environment stays off the command line. Its name is that of a header. */
export function putFilledHeader(draft: Draft, use: Use, name: string, value: string): void {
  const text = filledIn(value, use, draft)
  if (text === undefined || text === value) return putHeader(draft, name, value)
  if (/[\r\n]/.test(text)) return refuse(draft, `${use.as}: a variable in the value of ${name} holds a line end, and no header can`, 'look at what is set')
  const line = `${name}: ${text}`
  const before = draft.env[VARIABLE] ?? draft.machine.env[VARIABLE] ?? ''
  draft.env[VARIABLE] = before === '' ? line : `${before}\n${line}`
}

/** `${NAME}` from the environment. Undefined, and a mistake, when one of them is not set. */
export function filledIn(text: string, { as }: Use, draft: Draft): string | undefined {
  const missing = new Set<string>()
  const filled = text.replace(/\$\{([A-Za-z_]\w*)\}/g, (_all, name: string) => {
    const value = draft.machine.env[name]
    if (value === undefined || value === '') missing.add(name)
    return value ?? ''
  })
  for (const name of missing) refuse(draft, `${as}: \${${name}} is not set`, `set ${name} in the environment, or write the value`)
  return missing.size === 0 ? filled : undefined
}

/** `Name: value`; undefined when it is no header. */
export function headerIn(text: string): [name: string, value: string] | undefined {
  const [, name, value] = /^([A-Za-z][!#$%&'*+.^_`|~\w-]*)[ \t]*:[ \t]*(.*)$/s.exec(text.trim()) ?? []
  return name === undefined || value === undefined || value === '' ? undefined : [name, value.trim()]
}

/** `k:v,k:v` where every piece is a header; one header where only the first is; undefined where it could be read in two ways. */
export function headersIn(text: string): [name: string, value: string][] | undefined {
  const bare = /^"(.*)"$/s.exec(text.trim())?.[1] ?? text
  const pieces = bare.split(',')
  const headers = pieces.map(headerIn)
  const found = headers.filter((header) => header !== undefined)
  if (found.length === pieces.length) return found
  const whole = headerIn(bare)
  return found.length === 1 && headers[0] && whole ? [whole] : undefined
}

/** The headers of a JSON object of texts. */
export function headersInJson(text: string): [name: string, value: string][] | undefined {
  const value = jsonIn(text)
  if (!isObject(value)) return undefined
  const headers = Object.entries(value).map(([name, each]): [string, string] | undefined => (typeof each === 'string' ? [name, each] : undefined))
  return headers.every((header) => header !== undefined) ? headers : undefined
}

/** Undefined: it is no JSON. Its text is never repeated. */
export function jsonIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
