// One entry of `mcpServers`, as Claude Desktop, mcp-proxy, mcpo and others write it, and what openmcp has beside that.
import { isServerName } from '../protocol/server-path.ts'
import { isSocket } from '../protocol/target.ts'
import type { At } from './at.ts'
import type { OAuthEntry } from './oauth-entry.ts'
import type { OpenApiEntry } from './openapi.ts'
import type { RetryEntry } from './retry.ts'
import { SERVER_MEMBERS, type ServerMembers, type Upstream } from './server-members.ts'
import { mapOf, meaning, type Shape } from './shape.ts'

interface Common {
  readonly isolation: 'session' | 'identity' | 'shared' | undefined
  readonly timeoutSeconds: number | undefined
  /** Globs of tools that nobody has here. */
  readonly blockedTools: readonly string[]
  /** Undefined: all but those. */
  readonly allowedTools: readonly string[] | undefined
  /** Whether every request stands for itself: no session is made, and none is asked for. */
  readonly stateless: boolean
  readonly openapi: OpenApiEntry | undefined
}

export interface CommandEntry extends Common {
  readonly kind: 'command'
  readonly command: string
  readonly args: readonly string[]
  readonly env: ReadonlyMap<string, string>
  readonly envFiles: readonly string[]
  readonly passEnv: readonly string[]
  readonly cwd: string | undefined
  /** The header of a caller, in lower case, and the variable of its child that it becomes. */
  readonly headerToEnv: ReadonlyMap<string, string>
}

export interface RemoteEntry extends Common {
  readonly kind: 'remote'
  /** Several: sessions are shared out among them. */
  readonly endpoints: readonly Upstream[]
  /** Tried in this order while no endpoint answers. */
  readonly fallbacks: readonly Upstream[]
  readonly transport: 'auto' | 'http' | 'sse' | 'tcp' | 'ws'
  readonly headers: ReadonlyMap<string, string>
  /** Headers of the caller that go up as they are. */
  readonly forwardHeaders: readonly string[]
  /** Which identity of ours is proved to it. */
  readonly identity: string | undefined
  readonly oauth: OAuthEntry | undefined
  readonly tls: TlsEntry | undefined
  readonly retry: RetryEntry | undefined
}

/** How it is known that it is who its URL says. */
interface TlsEntry {
  /** A file of certificates that vouch for it, beside those that everybody trusts. */
  readonly ca: string | undefined
  /** False: whoever answers is believed. */
  readonly verify: boolean
}

/** Undefined: it is written down and switched off. */
export type ServerEntry = CommandEntry | RemoteEntry | undefined

const SERVER_ENTRY: Shape<{ entry: ServerEntry }> = meaning(SERVER_MEMBERS, entryOf)

export const SERVERS = mapOf(SERVER_ENTRY, wrongServerName)

function wrongServerName(name: string): string | undefined {
  return isServerName(name) ? undefined : 'is no name of a server: 1 to 64 letters, digits, spaces and @ _ . + : -'
}

const OF_COMMAND = ['command', 'args', 'env', 'envFile', 'passEnv', 'cwd', 'headerToEnv'] as const
const OF_REMOTE = ['url', 'endpoints', 'fallback', 'headers', 'forwardHeaders', 'client_header_forwarding', 'id', 'oauth', 'tls', 'retry'] as const

/** What the members mean together: every contradiction is told. */
function entryOf(given: ServerMembers, at: At): { entry: ServerEntry } | undefined {
  const isRemote = given.url !== undefined || given.endpoints !== undefined
  const wrongs = [
    given.command === undefined && !isRemote && 'needs a command, or a url',
    given.command !== undefined && isRemote && 'has a command and a url: drop one of them',
    given.url !== undefined && given.endpoints !== undefined && 'has a url and endpoints: write all of them as endpoints',
    given.enabled !== undefined && given.enabled === given.disabled && 'enabled and disabled contradict each other',
    given.disabledTools !== undefined && given.tools?.block !== undefined && 'disabledTools says again what tools.block says',
    ...(isRemote ? OF_COMMAND : OF_REMOTE).map(
      (name) => name !== 'command' && given[name] !== undefined && `${name} is for ${isRemote ? 'a command' : 'a url'}`,
    ),
    isRemote && given.type === 'stdio' && 'type stdio is for a command',
    ...wrongsOfSockets(given),
    !isRemote && given.type !== undefined && !['auto', 'stdio'].includes(given.type) && `type ${given.type} is for a url`,
    given.oauth !== undefined && given.id !== undefined && 'oauth and id both say who we are: drop one of them',
    given.oauth !== undefined && hasAuthorization(given.headers) && 'oauth and the header Authorization both say who we are: drop one of them',
    given.forwardHeaders !== undefined && given.client_header_forwarding !== undefined && 'client_header_forwarding says again what forwardHeaders says',
    given.stateless === true && given.isolation === 'session' && 'stateless makes no session, and isolation session one child for each',
    given.headerToEnv &&
      given.headerToEnv.size > 0 &&
      given.isolation === 'shared' &&
      'headerToEnv gives every caller its own child, and isolation shared one to all',
  ].filter((words) => typeof words === 'string')
  for (const words of wrongs) at.mistake(words)
  if (wrongs.length > 0) return undefined
  if (given.enabled === false || given.disabled === true) return { entry: undefined }
  const common: Common = {
    isolation: given.isolation,
    timeoutSeconds: given.timeout,
    blockedTools: given.tools?.block ?? given.disabledTools ?? [],
    allowedTools: given.tools?.allow,
    stateless: given.stateless ?? false,
    openapi: given.openapi,
  }
  return { entry: isRemote ? remoteOf(given, common) : commandOf(given, common) }
}

function commandOf(given: ServerMembers, common: Common): CommandEntry {
  return {
    kind: 'command',
    command: given.command ?? '',
    args: given.args ?? [],
    env: given.env ?? new Map(),
    envFiles: given.envFile ?? [],
    passEnv: given.passEnv ?? [],
    cwd: given.cwd,
    headerToEnv: new Map(Array.from(given.headerToEnv ?? [], ([header, variable]) => [header.toLowerCase(), variable])),
    ...common,
  }
}

function remoteOf(given: ServerMembers, common: Common): RemoteEntry {
  return {
    kind: 'remote',
    endpoints: given.endpoints ?? (given.url === undefined ? [] : [given.url]),
    fallbacks: given.fallback ?? [],
    transport: given.type === undefined || given.type === 'stdio' ? 'auto' : given.type,
    headers: given.headers ?? new Map(),
    forwardHeaders: (given.forwardHeaders ?? given.client_header_forwarding ?? []).map((name) => name.toLowerCase()),
    identity: given.id,
    oauth: given.oauth,
    tls: given.tls && { ca: given.tls.ca, verify: given.tls.verify ?? true },
    retry: given.retry,
    ...common,
  }
}

/** What a connection of messages has no place for. */
function wrongsOfSockets({ url, endpoints = [], fallback = [], type, headers, retry, oauth, id }: ServerMembers): (string | false)[] {
  const first = url ?? endpoints[0]
  const socket = first?.find(isSocket)
  const speaks = socket?.protocol === 'tcp:' ? 'tcp' : 'ws'
  const fits = type === undefined || type === 'auto' || type === 'stdio' || (socket ? type === speaks : type === 'http' || type === 'sse')
  return [
    !fits && first !== undefined && `type ${type} does not fit its url: write tcp://HOST:PORT, ws://HOST:PORT or https://HOST`,
    [...endpoints, ...fallback, ...(url ? [url] : [])].flat().some((one) => isSocket(one) !== (socket !== undefined)) &&
      'several that are one are all http(s)://, or all tcp:// and ws(s)://',
    socket !== undefined && retry !== undefined && `retry is for http(s)://, and this is ${socket.protocol}//`,
    socket !== undefined && oauth !== undefined && `oauth is for http(s)://, and this is ${socket.protocol}//`,
    socket?.protocol === 'tcp:' && headers !== undefined && headers.size > 0 && 'headers are for HTTP and WebSockets, and this is tcp://',
    socket?.protocol === 'tcp:' && id !== undefined && 'id proves us by HTTP, and this is tcp://',
  ]
}

function hasAuthorization(headers: ServerMembers['headers']): boolean {
  return [...(headers?.keys() ?? [])].some((name) => name.toLowerCase() === 'authorization')
}
