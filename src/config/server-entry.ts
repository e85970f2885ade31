// One entry of `mcpServers`, as Claude Desktop, mcp-proxy, mcpo and others write it, and what openmcp has beside that.
import { OpenMcpError } from '../errors.ts'
import { isServerName } from '../protocol/server-path.ts'
import { isSocket, parseTarget } from '../protocol/target.ts'
import { FORWARDING } from './header-forwarding.ts'
import { OAUTH, type OAuthEntry } from './oauth-entry.ts'
import { RETRY, type RetryEntry } from './retry.ts'
import { about, choice, listOf, mapOf, meaning, number, object, text, yesOrNo, type At, type Members, type Shape } from './shape.ts'
import { envName, headerOfCaller, identityName, toolGlobs, variableOfCaller, wrongEnvName, wrongHeaderName, wrongHeaderOfCaller } from './words.ts'

interface Common {
  readonly isolation: 'session' | 'identity' | 'shared' | undefined
  readonly timeoutSeconds: number | undefined
  /** Globs of tools that nobody has here. */
  readonly blockedTools: readonly string[]
  /** Undefined: all but those. */
  readonly allowedTools: readonly string[] | undefined
  /** Whether every request stands for itself: no session is made, and none is asked for. */
  readonly stateless: boolean
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

/** As `parseTarget` gives it. */
type Upstream = readonly URL[]

export interface RemoteEntry extends Common {
  readonly kind: 'remote'
  /** The URLs that each stands for, in the order to try them. Several: sessions are shared out among them. */
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
export interface TlsEntry {
  /** A file of certificates that vouch for it, beside those that everybody trusts. */
  readonly ca: string | undefined
  /** False: whoever answers is believed. */
  readonly verify: boolean
}

/** Undefined: it is written down and switched off. */
export type ServerEntry = CommandEntry | RemoteEntry | undefined

const MAX_SECONDS = 24 * 3600
const MEMBERS = {
  command: about('The program of a stdio server. It is started without a shell.', text({ to: 4096 })),
  args: about('Its arguments, one text each.', listOf(text({ from: 0 }))),
  env: about('Variables of its environment, beside the few that every program needs.', mapOf(text({ from: 0 }), wrongEnvName)),
  envFile: about('Files of NAME=VALUE lines.', listOf(text({ to: 4096 }), { to: 32 })),
  passEnv: about('Names of our own variables that it gets.', listOf(envName())),
  cwd: about('The directory it runs in.', text({ to: 4096 })),
  headerToEnv: about("A header of the caller becomes a variable of that caller's own child.", mapOf(variableOfCaller(), wrongHeaderOfCaller)),
  url: about('A remote server: http(s)://, tcp://, ws(s)://.', upstream()),
  endpoints: about('Several of one kind, among which sessions are shared out.', listOf(upstream(), { to: 64 })),
  fallback: about('What is tried, in this order, while none of them answers.', listOf(upstream(), { to: 16 })),
  type: about(
    'How it speaks. Left out: what is found there.',
    choice(['auto', 'stdio', 'http', 'sse', 'tcp', 'ws'], {
      'streamable-http': 'http',
      streamable_http: 'http',
      streamablehttp: 'http',
      streamableHttp: 'http',
      websocket: 'ws',
    }),
  ),
  headers: about('Sent with every request to it, and to nobody else.', mapOf(text(), wrongHeaderName)),
  forwardHeaders: about('Headers of the caller that it gets as they are. Never Authorization or Cookie.', listOf(headerOfCaller(), { to: 64 })),
  id: about('The name of our identity that is proved to it.', identityName()),
  oauth: OAUTH,
  client_header_forwarding: FORWARDING,
  tls: about(
    'How it is known to be who its URL says.',
    object({
      ca: about('A file of certificates (PEM) that vouch for it, beside the usual ones.', text({ to: 4096 })),
      verify: about('false: whoever answers is believed.', yesOrNo()),
    }),
  ),
  retry: RETRY,
  stateless: about('Whether every request stands for itself, without a session.', yesOrNo()),
  isolation: about('Who shares a child or a connection: nobody, the sessions of one identity, all.', choice(['session', 'identity', 'shared'])),
  timeout: about('Seconds a call may wait for any sign of its answer.', number({ from: 0, to: MAX_SECONDS, says: `must be seconds from 0 to ${MAX_SECONDS}` })),
  tools: about('Which tools there are here: allow and block are patterns of their names.', object({ allow: toolGlobs(), block: toolGlobs() })),
  disabledTools: about('The same as tools.block.', toolGlobs()),
  enabled: about('false: it is not served, and nothing of it is filled in.', yesOrNo()),
  disabled: about('The same, the other way round.', yesOrNo()),
}

/** Members of other programs that decide nothing a proxy decides. */
const IDLE = Object.fromEntries(
  ['description', 'name', 'icon', 'autoApprove', 'alwaysAllow', 'autostart', 'trust', 'version', 'metadata', '$comment'].map((name) => [
    name,
    'is for another program, and changes nothing here',
  ]),
)

const SERVER_ENTRY: Shape<{ entry: ServerEntry }> = meaning(
  object(MEMBERS, { aliases: { transportType: 'type', transport: 'type', disabled_tools: 'disabledTools', serverUrl: 'url' }, idle: IDLE }),
  entryOf,
)

export const SERVERS = mapOf(SERVER_ENTRY, wrongServerName)

function wrongServerName(name: string): string | undefined {
  return isServerName(name) ? undefined : 'is no name of a server: 1 to 64 letters, digits, spaces and @ _ . + : -'
}

type Given = Members<typeof MEMBERS>

const OF_COMMAND = ['command', 'args', 'env', 'envFile', 'passEnv', 'cwd', 'headerToEnv'] as const
const OF_REMOTE = ['url', 'endpoints', 'fallback', 'headers', 'forwardHeaders', 'client_header_forwarding', 'id', 'oauth', 'tls', 'retry'] as const

/** What the members mean together: every contradiction is told. */
function entryOf(given: Given, at: At): { entry: ServerEntry } | undefined {
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
  }
  return { entry: isRemote ? remoteOf(given, common) : commandOf(given, common) }
}

function commandOf(given: Given, common: Common): CommandEntry {
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

function remoteOf(given: Given, common: Common): RemoteEntry {
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
function wrongsOfSockets({ url, endpoints = [], fallback = [], type, retry, oauth, id }: Given): (string | false)[] {
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
    socket?.protocol === 'tcp:' && id !== undefined && 'id proves us by HTTP, and this is tcp://',
  ]
}

function hasAuthorization(headers: Given['headers']): boolean {
  return [...(headers?.keys() ?? [])].some((name) => name.toLowerCase() === 'authorization')
}

/** An UPSTREAM, as it is typed. It is not repeated: what was filled in may be a secret. */
function upstream(): Shape<Upstream> {
  return meaning(text({ to: 4096 }), (value, at) => {
    try {
      return parseTarget(value)
    } catch (error) {
      if (!(error instanceof OpenMcpError)) throw error
      return at.mistake(error.message.replace(/^(?:the upstream )?(?:'.*':? )?/s, ''), { hint: error.hint })
    }
  })
}
