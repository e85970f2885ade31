// What openmcp is told: what to serve, where, to whom.
import type { Readable, Writable } from 'node:stream'

import type { SecurityOptions } from '../oauth/options.ts'
import type { Log, LogFormat, LogLevel } from '../observe/log.ts'
import type { Limits } from '../protocol/limits.ts'
import type { Credential } from '../upstream/options.ts'
import type { VidTarget } from './sealed-out.ts'

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
  /** What clients call beyond a reverse proxy: its origin is the issuer's, and its host is let in. */
  publicUrl?: URL
  /** Binding a non-loopback address without knowing who calls. Refused unless true. */
  insecureNoAuth: boolean
}

export interface OpenMcpOptions {
  target: CommandTarget | RemoteTarget | VidTarget
  /** None: served on our own stdin and stdout. */
  listen?: ListenOptions
  /** What the server is called in the log and on /status. */
  name: string
  /** One child (or upstream connection) per session, one per identity, or one for all. */
  isolation: 'session' | 'identity' | 'shared'
  limits: Limits
  /** Every caller proves who they are. Only where we listen: on stdio there is nobody to ask. */
  security?: SecurityOptions
  /** How we prove ourselves to the remote server. */
  credential?: Credential
  log: { level: LogLevel; format: LogFormat }
}

export interface OpenMcpIo {
  stdin: Readable
  stdout: Writable
  log: Log
  now: () => number
}
