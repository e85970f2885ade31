// What may stand behind openmcp, and how it is to be reached.
import type { Log } from '../observe/log.ts'
import type { Limits } from '../protocol/limits.ts'
import type { ChildCommand } from './child.ts'

export interface CommandServer extends ChildCommand {
  kind: 'command'
}

export interface RemoteServer {
  kind: 'remote'
  /** Tried in order: the first that speaks MCP is it. All are of one origin. */
  urls: readonly URL[]
  transport: 'auto' | 'http' | 'sse'
  headers: Readonly<Record<string, string>>
}

/** Who shares a pipe: nobody, the sessions of one owner, or all. */
export type Isolation = 'session' | 'identity' | 'shared'

export interface ConnectOptions {
  isolation: Isolation
  limits: Limits
  log: Log
  now: () => number
  name: string
}
