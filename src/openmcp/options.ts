// What openmcp is told: what to serve, where, to whom.
import type { Readable, Writable } from 'node:stream'

import type { SecurityOptions } from '../oauth/options.ts'
import type { LogLines } from '../observe/log-lines.ts'
import type { Log, LogFormat, LogLevel } from '../observe/log.ts'
import type { OpenApiOptions } from '../openapi/door.ts'
import type { Network } from '../protocol/behind-proxy.ts'
import type { Limits } from '../protocol/limits.ts'
import type { ToolRules } from '../relay/tools-gate.ts'
import type { Credential } from '../upstream/options.ts'
import type { Way } from '../upstream/way.ts'
import type { VidTarget } from './sealed-out.ts'
import type { NamedServer } from './servers.ts'

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
  /** Others of the same kind, each as `urls` are: sessions are shared out among all of them. They get the same headers. */
  others?: readonly (readonly URL[])[]
  /** Tried in this order while none of those answers. Those of another origin get no header of ours. */
  fallbacks?: readonly (readonly URL[])[]
  /** How a request is sent again that may be: a tool call only when it cannot have been heard of. */
  retry?: { attempts: number; delayMs: number }
  /** Undefined: whom Node trusts, and no proxy. */
  way?: Way
}

/** A server that is spoken with over a connection of its own. */
export interface SocketTarget {
  kind: 'socket'
  /** `tcp://host:port`: a line for each message. `ws:` and `wss:`: a text frame for each. */
  url: URL
  /** Others, of either kind: sessions are shared out among all of them. They get the same headers. */
  others?: readonly URL[]
  /** Tried in this order while none of those takes a connection. Those of another host get no header of ours. */
  fallbacks?: readonly URL[]
  /** Sent when a WebSocket is opened. */
  headers: Readonly<Record<string, string>>
  way?: Way
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
  /** `/x`: what a proxy in front takes off. Documents of tools tell of it, and nothing is served below it. */
  rootPath?: string
  /** Proxies in front whose `X-Forwarded-Prefix` says the same, where there is no `rootPath`. */
  trustProxies?: readonly Network[]
  /** What clients call beyond a reverse proxy: its origin is the issuer's, and its host is let in. */
  publicUrl?: URL
  /** Binding a non-loopback address without knowing who calls. Refused unless true. */
  insecureNoAuth: boolean
}

export interface RootOpenApiOptions extends OpenApiOptions {
  /** Where `/openapi.json` says that they are: at `/tools/TOOL` unless told, or at `/TOOL` and by the names that they have with mcpo. */
  form?: 'tools' | 'mcpo'
}

export interface OpenMcpOptions {
  /** The server at the root. None: only what `servers` names is served. */
  target?: CommandTarget | RemoteTarget | SocketTarget | VidTarget
  /** Beside it, each at `/servers/NAME/…`. */
  servers?: readonly NamedServer[]
  /** Where there is none at the root: all of them as one there, with joined names. */
  aggregate?: { name: string; version: string }
  /** None: served on our own stdin and stdout, where there is one place: for `target`, or for all of `servers` as one. */
  listen?: ListenOptions
  /** Of the server at the root. Undefined: every tool that it has. */
  tools?: ToolRules
  /** Tools of what is at the root as plain HTTP operations. */
  openapi?: RootOpenApiOptions
  /** What the server is called in the log and on /status. */
  name: string
  /** One child (or upstream connection) per session, one per identity, or one for all. */
  isolation: 'session' | 'identity' | 'shared'
  /** Clients of the revisions that have sessions get none: every POST to `/mcp` stands alone. What a session would have of its own, those of one identity share. */
  stateless?: boolean
  limits: Limits
  /** Every caller proves who they are. Only where we listen: on stdio there is nobody to ask. */
  security?: SecurityOptions
  /** How we prove ourselves to the remote server. */
  credential?: Credential
  /** Headers of callers, in lower case, that the remote server at the root gets as they are. */
  forwardHeaders?: readonly string[]
  log: { level: LogLevel; format: LogFormat }
}

export interface OpenMcpIo {
  stdin: Readable
  stdout: Writable
  log: Log
  /** What the log says, for the client on stdio to hear, too. Undefined: it hears nothing of it. */
  lines?: LogLines | undefined
  now: () => number
}
