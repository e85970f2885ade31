// TBXark's mcp-proxy: what holds for all servers stands in `mcpProxy`, and each may say something else in its `options`.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import type { Notes } from './notes.ts'

export function tbxarkShared({ mcpProxy, ...left }: JsonObject, notes: Notes): { config: JsonObject; left: JsonObject } {
  if (!isObject(mcpProxy)) return { config: {}, left }
  const { addr, baseURL, name, options, ...others } = mcpProxy
  const listen = listenOf(addr, notes)
  const publicUrl = typeof baseURL === 'string' && !isOfThisMachine(baseURL) ? baseURL : undefined
  for (const member of Object.keys(others)) notes.leftOut(`mcpProxy.${member}`)
  if (isObject(options)) for (const member of Object.keys(options)) noteOption(member, 'mcpProxy.options', notes)
  return {
    config: {
      ...(typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) && { name }),
      ...((listen || publicUrl !== undefined) && { listen: { ...listen, ...(publicUrl !== undefined && { publicUrl }) } }),
    },
    left,
  }
}

/** A server's own filter goes before that of all. */
export function tbxarkEntry({ options, timeout, ...entry }: JsonObject, at: string, notes: Notes, { mcpProxy }: JsonObject): JsonObject {
  const own = isObject(options) ? options : {}
  const all = isObject(mcpProxy) && isObject(mcpProxy['options']) ? mcpProxy['options'] : {}
  for (const member of Object.keys(own)) noteOption(member, `${at}.options`, notes)
  const filter = own['toolFilter'] ?? all['toolFilter']
  return {
    ...entry,
    ...timeoutOf(timeout),
    ...(isObject(filter) && { tools: { [filter['mode'] === 'block' ? 'block' : 'allow']: filter['list'] ?? [] } }),
  }
}

function noteOption(member: string, at: string, notes: Notes): void {
  if (member === 'toolFilter') return
  const isKeys = member === 'authTokens'
  notes.leftOut(
    `${at}.${member}`,
    isKeys ? 'is left out: keys of callers are not in the file; --security with openmcp key create, or --api-key-file' : undefined,
  )
}

/** `:9090` is every address of the machine there, and loopback here. */
function listenOf(addr: unknown, notes: Notes): { host?: string; port: number } | undefined {
  const [, host = '', port = ''] = typeof addr === 'string' ? (/^(.*):(\d{1,5})$/.exec(addr) ?? []) : []
  if (port === '') {
    if (addr !== undefined) notes.leftOut('mcpProxy.addr')
    return undefined
  }
  if (host === '') notes.leftOut('mcpProxy.addr', 'is 127.0.0.1 here: say 0.0.0.0 as listen.host, with --security, to be reached by others')
  return { ...(host !== '' && { host }), port: Number(port) }
}

/** Go writes nanoseconds. */
function timeoutOf(timeout: unknown): JsonObject {
  if (timeout === undefined) return {}
  return { timeout: typeof timeout === 'number' && timeout >= 1e6 ? timeout / 1e9 : timeout }
}

function isOfThisMachine(url: string): boolean {
  return /^https?:\/\/(?:localhost|127\.|\[::1\])/i.test(url)
}
