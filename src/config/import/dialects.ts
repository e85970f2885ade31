// How each of the programs that people come from writes its servers.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import type { Notes } from './notes.ts'
import { tbxarkEntry, tbxarkShared } from './tbxark.ts'
import { withWebUi, withoutWebUi } from './web-ui.ts'

export interface Dialect {
  /** The member that holds the servers. */
  readonly key: string
  /** What else tells it from others with the same one. */
  fits?(value: JsonObject): boolean
  /** What stands beside the servers, as sections of ours; `left` is told as left out. */
  shared?(others: JsonObject, notes: Notes, servers: JsonObject): { config: JsonObject; left: JsonObject }
  entry(entry: JsonObject, at: string, notes: Notes, others: JsonObject): JsonObject
}

/** The more telling first. */
export const DIALECTS: readonly Dialect[] = [
  { key: 'context_servers', entry: zed },
  { key: 'mcpServers', fits: (value) => 'mcpProxy' in value, shared: tbxarkShared, entry: (...given) => claude(tbxarkEntry(...given), given[1], given[2]) },
  { key: 'mcpServers', shared: ours, entry: claude },
  {
    key: 'servers',
    fits: (value) => isObject(value['servers']) && Object.values(value['servers']).some(isOfMcpConnect),
    shared: mcpConnectShared,
    entry: mcpConnect,
  },
  { key: 'servers', entry: claude },
]

const OURS = ['$schema', 'aggregate', 'listen', 'security', 'limits', 'retry', 'store', 'name']

/** Sections that are ours already stay. */
function ours({ trust, ...others }: JsonObject, notes: Notes, servers: JsonObject): { config: JsonObject; left: JsonObject } {
  const entries = Object.entries(others)
  return {
    config: { ...Object.fromEntries(entries.filter(([name]) => OURS.includes(name) && name !== '$schema')), ...withWebUi(trust, servers, 'mcpServers', notes) },
    left: Object.fromEntries(entries.filter(([name]) => !OURS.includes(name))),
  }
}

/** Claude Desktop, Cursor, VS Code, LobeHub, mcp-proxy, mcpo, mcp-hub. */
function claude({ env, envFile, type, oauth, client_header_forwarding: forwarding, dev, ...entry }: JsonObject, at: string, notes: Notes): JsonObject {
  if (dev !== undefined) notes.leftOut(`${at}.dev`)
  const spoken = typeof type === 'string' ? (TYPES.get(type.toLowerCase()) ?? type) : type
  return {
    ...(spoken !== undefined && { type: spoken }),
    ...entry,
    ...envOf(env),
    ...(envFile !== undefined && { envFile: typeof envFile === 'string' ? [envFile] : envFile }),
    ...(oauth !== undefined && { oauth: withoutWebUi(oauth) }),
    ...forwardsOf(forwarding, `${at}.client_header_forwarding`, notes),
  }
}

/** Beside those that are taken in a file. */
const TYPES = new Map([
  ['streamable', 'http'],
  ['streamablehttp', 'http'],
  ['local', 'stdio'],
  ['remote', 'http'],
])

/** mcp-hub: what is null is handed on. */
function envOf(env: unknown): JsonObject {
  if (env === undefined) return {}
  if (!isObject(env)) return { env }
  const entries = Object.entries(env)
  const passed = entries.flatMap(([name, value]) => (value === null ? [name] : []))
  const set = entries.flatMap(([name, value]) =>
    value === null ? [] : [[name, typeof value === 'number' || typeof value === 'boolean' ? String(value) : value]],
  )
  return { ...((set.length > 0 || passed.length === 0) && { env: Object.fromEntries(set) as JsonObject }), ...(passed.length > 0 && { passEnv: passed }) }
}

/** mcpo: names are taken, patterns are not. */
function forwardsOf(forwarding: unknown, at: string, notes: Notes): JsonObject {
  if (forwarding === undefined) return {}
  if (!isObject(forwarding) || !Array.isArray(forwarding['whitelist'])) {
    notes.leftOut(at)
    return {}
  }
  const named = forwarding['whitelist'].filter((name, index) => {
    const isTaken = typeof name === 'string' && !name.includes('*') && !/^(?:authorization|cookie)$/i.test(name)
    if (!isTaken) notes.leftOut(`${at}.whitelist[${index}]`, 'is left out: only headers that are named go on, and never Authorization or Cookie')
    return isTaken
  })
  if (forwarding['enabled'] !== true) notes.leftOut(at, 'is left out, as it is switched off')
  return forwarding['enabled'] === true && named.length > 0 ? { forwardHeaders: named } : {}
}

function zed({ command, source: _source, settings, ...entry }: JsonObject, at: string, notes: Notes): JsonObject {
  if (settings !== undefined) notes.leftOut(`${at}.settings`)
  if (!isObject(command)) return claude({ ...(command !== undefined && { command }), ...entry }, at, notes)
  const { path, ...others } = command
  return claude({ command: path, ...others, ...entry }, at, notes)
}

function isOfMcpConnect(entry: unknown): boolean {
  return isObject(entry) && ('remote' in entry || 'retry_attempts' in entry)
}

function mcpConnectShared({ version: _version, env_file: file, routing, ...left }: JsonObject, notes: Notes): { config: JsonObject; left: JsonObject } {
  if (file !== undefined) notes.leftOut('env_file', 'is left out: what ${NAME} stands for is set where openmcp is started') // oxlint-disable-line no-template-curly-in-string -- what is written in the file
  const joins = isObject(routing) && routing['method'] === 'namespace_prefix'
  if (joins) notes.leftOut('routing', 'is aggregate: tools are called SERVER__TOOL, whatever its separator is')
  else if (routing !== undefined) notes.leftOut('routing')
  return { config: joins ? { aggregate: true } : {}, left }
}

function mcpConnect({ remote, timeout, retry_attempts: attempts, retry_delay: delayMs, ...entry }: JsonObject, at: string, notes: Notes): JsonObject {
  if (!isObject(remote)) return claude({ ...entry, ...(timeout !== undefined && { timeout }) }, at, notes)
  const { url, headers, transport_type: type, ...others } = remote
  const pairs = Array.isArray(headers) ? headers.filter(isObject).map(({ key, value }): [string, unknown] => [String(key), value]) : []
  for (const name of Object.keys(others)) notes.leftOut(`${at}.remote.${name}`)
  for (const name of Object.keys(entry)) notes.leftOut(`${at}.${name}`)
  return {
    url,
    ...(type !== undefined && type !== 'stdio' && { type }),
    ...(pairs.length > 0 && { headers: Object.fromEntries(pairs) }),
    ...(timeout !== undefined && { timeout }),
    ...((attempts !== undefined || delayMs !== undefined) && {
      retry: { ...(attempts !== undefined && { attempts }), ...(delayMs !== undefined && { delayMs }) },
    }),
  }
}
