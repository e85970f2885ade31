// One entry of `mcpServers`, as Claude Desktop, mcp-proxy, mcpo and others write it, and what openmcp has beside that.
import { isServerName } from '../protocol/server-path.ts'
import { about, choice, listOf, mapOf, meaning, number, object, text, yesOrNo, type At, type Members, type Shape } from './shape.ts'

interface Common {
  readonly isolation: 'session' | 'identity' | 'shared' | undefined
  readonly timeoutSeconds: number | undefined
  /** Globs of tools that nobody has here. */
  readonly blockedTools: readonly string[]
  /** Undefined: all but those. */
  readonly allowedTools: readonly string[] | undefined
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
  /** Each as an UPSTREAM is typed. Several: sessions are shared out among them. */
  readonly endpoints: readonly string[]
  /** Tried in this order while no endpoint answers. */
  readonly fallbacks: readonly string[]
  readonly transport: 'auto' | 'http' | 'sse' | 'tcp' | 'ws'
  readonly headers: ReadonlyMap<string, string>
  /** Headers of the caller that go up as they are. */
  readonly forwardHeaders: readonly string[]
  /** Which identity of ours is proved to it. */
  readonly identity: string | undefined
}

/** Undefined: it is written down and switched off. */
export type ServerEntry = CommandEntry | RemoteEntry | undefined

const MAX_SECONDS = 24 * 3600
const GLOBS = about('Patterns of tool names: * stands for any characters.', listOf(text({ to: 256 }), { to: 256 }))
const ENV_NAME = /^[^\s=\0]+$/
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const headerName = (): Shape<string> => text({ to: 128, pattern: HEADER_NAME, says: 'must be the name of a header' })
const envName = (): Shape<string> => text({ to: 256, pattern: ENV_NAME, says: 'must be the name of a variable' })

const MEMBERS = {
  command: about('The program of a stdio server. It is started without a shell.', text({ to: 4096 })),
  args: about('Its arguments, one text each.', listOf(text({ from: 0 }))),
  env: about('Variables of its environment, beside the few that every program needs.', mapOf(text({ from: 0 }), wrongEnvName)),
  envFile: about('Files of NAME=VALUE lines.', listOf(text({ to: 4096 }), { to: 32 })),
  passEnv: about('Names of our own variables that it gets.', listOf(envName())),
  cwd: about('The directory it runs in.', text({ to: 4096 })),
  headerToEnv: about("A header of the caller becomes a variable of that caller's own child.", mapOf(envName(), wrongHeaderName)),
  url: about('A remote server: http(s)://, tcp://, ws(s)://.', text({ to: 4096 })),
  endpoints: about('Several of one kind, among which sessions are shared out.', listOf(text({ to: 4096 }), { to: 64 })),
  fallback: about('What is tried, in this order, while none of them answers.', listOf(text({ to: 4096 }), { to: 16 })),
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
  forwardHeaders: about('Headers of the caller that it gets as they are. Never Authorization or Cookie.', listOf(headerName(), { to: 64 })),
  id: about('The name of our identity that is proved to it.', text({ to: 64, pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/ })),
  isolation: about('Who shares a child or a connection: nobody, the sessions of one identity, all.', choice(['session', 'identity', 'shared'])),
  timeout: about('Seconds a call may wait for any sign of its answer.', number({ from: 0, to: MAX_SECONDS, says: `must be seconds from 0 to ${MAX_SECONDS}` })),
  tools: about('Which tools there are here.', object({ allow: GLOBS, block: GLOBS })),
  disabledTools: about('The same as tools.block.', GLOBS),
  enabled: yesOrNo(),
  disabled: yesOrNo(),
}

/** Members of other programs that decide nothing a proxy decides. */
const IDLE = Object.fromEntries(
  ['description', 'name', 'icon', 'autoApprove', 'alwaysAllow', 'autostart', 'trust', 'version', 'metadata', '$comment'].map((name) => [
    name,
    'is for another program, and changes nothing here',
  ]),
)

export const SERVER_ENTRY: Shape<{ entry: ServerEntry }> = meaning(
  object(MEMBERS, { aliases: { transportType: 'type', transport: 'type', disabled_tools: 'disabledTools', serverUrl: 'url' }, idle: IDLE }),
  entryOf,
)

export function wrongServerName(name: string): string | undefined {
  return isServerName(name) ? undefined : 'is no name of a server: 1 to 64 letters, digits, spaces and @ _ . + : -'
}

type Given = Members<typeof MEMBERS>

const OF_COMMAND = ['command', 'args', 'env', 'envFile', 'passEnv', 'cwd', 'headerToEnv'] as const
const OF_REMOTE = ['url', 'endpoints', 'fallback', 'headers', 'forwardHeaders', 'id'] as const

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
    !isRemote && given.type !== undefined && !['auto', 'stdio'].includes(given.type) && `type ${given.type} is for a url`,
    given.headerToEnv &&
      given.headerToEnv.size > 0 &&
      given.isolation === 'shared' &&
      'headerToEnv gives every caller its own child, and isolation shared one to all',
  ].filter((words) => typeof words === 'string')
  for (const words of wrongs) at.mistake(words)
  wrongVariables(given, at)
  wrongForwards(given, at)
  if (wrongs.length > 0 || hasWrongVariables(given) || hasWrongForwards(given)) return undefined
  if (given.enabled === false || given.disabled === true) return { entry: undefined }
  const common: Common = {
    isolation: given.isolation,
    timeoutSeconds: given.timeout,
    blockedTools: given.tools?.block ?? given.disabledTools ?? [],
    allowedTools: given.tools?.allow,
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
    forwardHeaders: (given.forwardHeaders ?? []).map((name) => name.toLowerCase()),
    identity: given.id,
    ...common,
  }
}

/**
 * Variables by which whoever sets them runs code of their own in the child, or turns its traffic to themselves: a caller's header
 * must not be one of them.
 */
const DANGEROUS = [
  /^(?:PATH|HOME|SHELL|IFS|ENV|BASH_ENV|PS4|TMPDIR|COMSPEC|PATHEXT|SYSTEMROOT|WINDIR)$/,
  /^(?:LD|DYLD|NODE|NPM|PYTHON|PERL|RUBY|JAVA|JDK|DOTNET|COMPLUS|CORECLR|GIT|SSH|UV|PIP|PNPM|YARN|BUN|DENO|GO|CARGO|RUST|LUA|PHP|OPENSSL|GCONV|GLIBC|MALLOC|OPENMCP)_/,
  /^(?:NODE|PYTHON|PERL5?|RUBY|JAVA|LUA|PHP)(?:OPT|OPTIONS|PATH|HOME|LIB|DB|STARTUP|INSPECT|WARNINGS|BREAKPOINT)/,
  /^(?:_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|GCONV_PATH|LOCPATH|NLSPATH|TERMINFO|EDITOR|VISUAL|PAGER|BROWSER|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$/,
  /(?:^|_)PROXY$/,
  /^BASH_FUNC_/,
]

function isDangerous(variable: string): boolean {
  const name = variable.toUpperCase()
  return DANGEROUS.some((pattern) => pattern.test(name))
}

const hasWrongVariables = ({ headerToEnv = new Map<string, string>() }: Given): boolean =>
  [...headerToEnv].some(([header, variable]) => isDangerous(variable) || NEVER_FORWARDED.has(header.toLowerCase()))

function wrongVariables({ headerToEnv = new Map<string, string>() }: Given, at: At): void {
  for (const [header, variable] of headerToEnv) {
    if (NEVER_FORWARDED.has(header.toLowerCase())) {
      at.member('headerToEnv').member(header).mistake('is a header that never goes on: it is about us, or about this connection')
    }
    if (isDangerous(variable))
      at.member('headerToEnv').member(header).mistake(`a caller must not set ${variable}: it decides what the child runs, or whom it talks to`)
  }
}

const NEVER_FORWARDED = new Set([
  'authorization',
  'cookie',
  'host',
  'connection',
  'content-length',
  'content-type',
  'transfer-encoding',
  'upgrade',
  'proxy-authorization',
  'x-api-key',
  'dpop',
  'te',
  'trailer',
  'expect',
])

const hasWrongForwards = ({ forwardHeaders = [] }: Given): boolean => forwardHeaders.some((name) => NEVER_FORWARDED.has(name.toLowerCase()))

function wrongForwards({ forwardHeaders = [] }: Given, at: At): void {
  for (const [index, name] of forwardHeaders.entries()) {
    if (NEVER_FORWARDED.has(name.toLowerCase()))
      at.member('forwardHeaders').item(index).mistake('is a header that never goes on: it is about us, or about this connection')
  }
}

function wrongEnvName(name: string): string | undefined {
  return ENV_NAME.test(name) ? undefined : 'is no name of a variable'
}

function wrongHeaderName(name: string): string | undefined {
  return HEADER_NAME.test(name) ? undefined : 'is no name of a header'
}
