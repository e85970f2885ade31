import type { LogFormat, LogLevel } from './observe/log.ts'
import type { Limits } from './protocol/limits.ts'

/** A stdio server that openmcp starts itself. Never through a shell. */
export interface CommandTarget {
  kind: 'command'
  command: string
  args: readonly string[]
  /** All of the child's environment. */
  env: Readonly<Record<string, string>>
  cwd?: string
}

/** A remote server. With several URLs (none had a path) the first that speaks MCP is it. */
export interface RemoteTarget {
  kind: 'remote'
  urls: readonly URL[]
  transport: 'auto' | 'http' | 'sse'
  /** Sent with every request to the upstream, and to nobody else. */
  headers: Readonly<Record<string, string>>
}

export interface ListenOptions {
  host: string
  /** 0 picks a free one. */
  port: number
  tls?: { cert: string; key: string }
  /** Host names beside the bound address under which clients may call. */
  allowHosts: readonly string[]
  /** Web origins that may call. Each is exact: scheme, host and port. */
  allowOrigins: readonly string[]
  exposeHeaders: readonly string[]
  /** `/x`: every path is served below it. Empty: none. */
  pathPrefix: string
  /** Binding a non-loopback address without knowing who calls. Refused unless true. */
  insecureNoAuth: boolean
}

export interface OpenMcpOptions {
  target: CommandTarget | RemoteTarget
  /** None: served on our own stdin and stdout. */
  listen?: ListenOptions
  /** What the server is called in the log and on /status. */
  name: string
  /** One child (or upstream connection) per session, or one for all. */
  isolation: 'session' | 'shared'
  limits: Limits
  log: { level: LogLevel; format: LogFormat }
}
