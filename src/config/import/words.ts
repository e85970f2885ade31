// `${…}` as others write it: what a person or a workspace says there is a variable here; what a command would say has no place.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import type { Notes } from './notes.ts'

export function inOurWords(value: JsonObject, at: string, notes: Notes): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, said(member, `${at}.${name}`, notes)]))
}

function said(value: unknown, path: string, notes: Notes): unknown {
  if (typeof value === 'string') return saidText(value, path, notes)
  if (Array.isArray(value)) return value.map((item: unknown, index) => said(item, `${path}[${index}]`, notes))
  return isObject(value) ? inOurWords(value, path, notes) : value
}

const REFERENCE = /\$\{(input|cmd|command|config):([^}]*)\}|\$\{(workspaceFolder(?:Basename)?|workspaceRoot|userHome|file|cwd|pathSeparator|\/)\}/g

function saidText(text: string, path: string, notes: Notes): string {
  return text.replaceAll(REFERENCE, (whole, kind: string | undefined, name: string, place: string | undefined) => {
    const variable = variableOf(kind === undefined ? (place ?? '') : name)
    notes.leftOut(path, `${kind === 'cmd' || kind === 'command' ? 'no command is run here: ' : ''}${JSON.stringify(whole)} is the variable ${variable}`)
    return `\${${variable}}`
  })
}

function variableOf(words: string): string {
  const name = words
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '')
    .toUpperCase()
  return /^[A-Z]/.test(name) ? name : `_${name}`
}
