// What a program that uses us as a library says, in the shape people know from `mcpServers`: checked, and with what was left out filled in.
import { OpenMcpError } from '../errors.ts'
import { createLog, type Log } from '../observe/log.ts'
import { DEFAULT_LIMITS, type Limits } from '../protocol/limits.ts'
import type { ToolRules } from '../relay/tools-gate.ts'
import { childEnvironment } from '../upstream/child-environment.ts'
import { checkedHeader } from '../upstream/header.ts'
import type { CommandServer, Isolation, RemoteServer, SocketServer } from '../upstream/options.ts'
import { isSocket, parseTarget } from '../protocol/target.ts'

/** A server: a command that openmcp starts, or the URL of one that runs. */
export type ServerSettings = CommandSettings | UrlSettings

/** A stdio server. It is started without a shell, and sees nothing of our environment but `PATH`, `HOME` and the like. */
export interface CommandSettings {
  command: string
  args?: readonly string[]
  /** Beside those, and before them. */
  env?: Readonly<Record<string, string>>
  cwd?: string
}

/** A remote server. */
export interface UrlSettings {
  /** `http(s)://…`, `ws(s)://…`, `tcp://host:port`, or `host:port`. Without a path `/mcp` is tried, then `/sse`. */
  url: string | URL
  /** `auto`, unless told: what is there is found out. */
  transport?: 'auto' | 'http' | 'sse'
  /** Sent to this server, and to nobody else. */
  headers?: Readonly<Record<string, string>>
}

/** What can be said of any server. */
export interface ServingSettings {
  /** `session`, unless told: one child per session; `identity`: one per caller; `shared`: one for all. */
  isolation?: Isolation
  /** Globs over the names of tools: what there is for anybody. Undefined: all of them. */
  tools?: ToolRules
  /** What is left out is `DEFAULT_LIMITS`. */
  limits?: Partial<Limits>
}

/** Refuses with `usage` what is neither, both, or more than that. `at` says in a message which server is meant. */
export function targetOf(settings: ServerSettings, at: string): CommandServer | RemoteServer | SocketServer {
  const { command, args, env, cwd, url, transport, headers, ...more } = settings as Partial<CommandSettings & UrlSettings> // which of the two is looked at below
  refuseUnknown(more, at)
  if ((command === undefined) === (url === undefined)) throw new OpenMcpError('usage', `${at}: a server has either a command or a url`)
  if (command !== undefined) {
    refuseUnknown(present({ transport, headers }), `${at} (a command)`)
    if (command === '') throw new OpenMcpError('usage', `${at}: the command is empty`)
    const { env: own, platform } = process
    return {
      kind: 'command',
      command,
      args: args ?? [],
      env: childEnvironment({ env: own, platform, pass: [], set: Object.entries(env ?? {}) }),
      ...(cwd !== undefined && { cwd }),
    }
  }
  refuseUnknown(present({ args, env, cwd }), `${at} (a url)`)
  const urls = parseTarget(url instanceof URL ? url.href : (url ?? ''))
  const sent = Object.fromEntries(Object.entries(headers ?? {}).map(([name, value], index) => checkedHeader(name, value, `${at}.headers[${index}]`)))
  const [first] = urls
  return first && isSocket(first) ? { kind: 'socket', url: first, headers: sent } : { kind: 'remote', urls, transport: transport ?? 'auto', headers: sent }
}

export function checkRules({ allow: _allow, block: _block, ...more }: ToolRules, at: string): void {
  refuseUnknown(more, `${at}.tools`)
}

/** Refuses with `usage` a limit that there is not, or that is no count. */
export function limitsOf(given: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(given)) {
    if (!(name in DEFAULT_LIMITS)) throw new OpenMcpError('usage', `limits.${name}: there is no such limit`)
    if (!(Number.isFinite(value) && value >= 0)) throw new OpenMcpError('usage', `limits.${name} is no number from 0 on`)
  }
  return { ...DEFAULT_LIMITS, ...given }
}

/** An option that is mistyped must not be one that is left out. */
export function refuseUnknown(more: object, at: string): void {
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw new OpenMcpError('usage', `${at}: there is no option ${unknown}`)
}

/** Warnings and errors, on stderr. */
export function logOf(log: Log | undefined): Log {
  return log ?? createLog({ level: 'warn', format: 'text', write: (line) => void process.stderr.write(line), now: Date.now })
}

function present(settings: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}
