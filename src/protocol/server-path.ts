// A named server's place: the same word in the configuration, in paths, in the resource that a token is for, and in the log.
import { OpenMcpError } from '../errors.ts'

const MAX_CHARS = 64

/** Whether a server may have this name: what people write in `mcpServers`, and what can be a part of a path without being another. */
export function isServerName(text: string): boolean {
  return text.length <= MAX_CHARS && /^[\p{L}\p{N}@_][\p{L}\p{N}@_. +:-]*$/u.test(text) && text.trim() === text
}

/** `/servers/NAME`, in its one spelling. */
export function serverPath(name: string): string {
  return `/servers/${encodeURIComponent(name)}`
}

/** The server that a path below our prefix belongs to, and what follows. Undefined: the path names none, or none that could be. */
export function readServerPath(path: string): { name: string; rest: string } | undefined {
  const [, part = '', rest = ''] = /^\/servers\/([^/]{1,256})(\/.*)?$/.exec(path) ?? []
  const name = decoded(part)
  return name !== undefined && isServerName(name) ? { name, rest } : undefined
}

/** In the same words where there is none of a name and where a caller may not know of it. */
export function noSuchServer(): OpenMcpError {
  return new OpenMcpError('not_found', 'there is no such server here', { hint: 'named servers are at /servers/NAME/mcp, and GET /status names them' })
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
