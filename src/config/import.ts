// Configurations of other programs, as ours: what means the same is taken over, what has no place here is told.
import { isObject, type JsonObject } from '../protocol/message.ts'

export interface Imported {
  readonly config: { readonly mcpServers: JsonObject }
  /** What was left out or is meant otherwise, by its path. */
  readonly notes: readonly string[]
}

/** Undefined: it is of no program that is known. */
export function importConfig(value: unknown): Imported | undefined {
  if (!isObject(value)) return undefined
  const notes: string[] = []
  const found = DIALECTS.find(({ key }) => isObject(value[key]))
  const servers = found && value[found.key]
  if (!found || !isObject(servers)) return undefined
  const taken = Object.entries(servers).map(([name, entry]): [string, unknown] => {
    const at = `${found.key}.${name}`
    if (isObject(entry)) return [name, inOurWords(found.entry(entry, at, notes), at, notes)]
    notes.push(`${at}: is no object, and left as it is`)
    return [name, entry]
  })
  for (const name of Object.keys(value)) if (name !== found.key) notes.push(`${name}: is left out`)
  return { config: { mcpServers: Object.fromEntries(taken) }, notes }
}

type Entry = (entry: JsonObject, at: string, notes: string[]) => JsonObject

/** By the member that holds the servers, the more telling first. */
const DIALECTS: readonly { key: string; entry: Entry }[] = [
  { key: 'context_servers', entry: zed },
  { key: 'mcpServers', entry: claude },
  { key: 'servers', entry: (entry, at, notes) => ('remote' in entry ? mcpConnect(entry, at, notes) : claude(entry, at, notes)) },
]

/** Claude Desktop, VS Code, mcp-proxy, mcpo, mcp-hub; with the options of TBXark's mcp-proxy. */
function claude({ options, ...entry }: JsonObject, at: string, notes: string[]): JsonObject {
  if (!isObject(options)) return entry
  const filter = isObject(options['toolFilter']) ? options['toolFilter'] : undefined
  const { toolFilter: _tools, ...others } = options
  for (const name of Object.keys(others)) notes.push(`${at}.options.${name}: is left out`)
  return filter ? { ...entry, tools: { [filter['mode'] === 'block' ? 'block' : 'allow']: filter['list'] ?? [] } } : entry
}

function zed({ command, source: _source, settings, ...entry }: JsonObject, at: string, notes: string[]): JsonObject {
  if (settings !== undefined) notes.push(`${at}.settings: is left out`)
  if (!isObject(command)) return { ...(command !== undefined && { command }), ...entry }
  const { path, ...others } = command
  return { command: path, ...others, ...entry }
}

function mcpConnect({ remote, timeout, ...entry }: JsonObject, at: string, notes: string[]): JsonObject {
  const { url, headers, transport_type: type } = isObject(remote) ? remote : {}
  const pairs = Array.isArray(headers) ? headers.filter(isObject).map(({ key, value }): [string, unknown] => [String(key), value]) : []
  for (const name of Object.keys(entry)) notes.push(`${at}.${name}: is left out`)
  return {
    url,
    ...(type !== undefined && type !== 'stdio' && { type }),
    ...(pairs.length > 0 && { headers: Object.fromEntries(pairs) }),
    ...(timeout !== undefined && { timeout }),
  }
}

/** What a person or a workspace says elsewhere is a variable here; what a command would say has no place. */
function inOurWords(value: JsonObject, at: string, notes: string[]): JsonObject {
  const said = (one: unknown, path: string): unknown => {
    if (typeof one === 'string') {
      return one.replaceAll(
        /\$\{(input|cmd|command|config):([^}]*)\}|\$\{(workspaceFolder|userHome)\}/g,
        (whole, kind: string | undefined, name: string, place: string | undefined) => {
          const variable = (kind === undefined ? (place ?? '') : name)
            .replaceAll(/[^A-Za-z0-9]+/g, '_')
            .replace(/^_|_$/g, '')
            .toUpperCase()
          notes.push(`${path}: ${kind === 'cmd' || kind === 'command' ? 'no command is run here: ' : ''}${JSON.stringify(whole)} is the variable ${variable}`)
          return `\${${variable}}`
        },
      )
    }
    if (Array.isArray(one)) return one.map((item: unknown, index) => said(item, `${path}[${index}]`))
    return isObject(one) ? Object.fromEntries(Object.entries(one).map(([name, member]) => [name, said(member, `${path}.${name}`)])) : one
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, said(member, `${at}.${name}`)]))
}
