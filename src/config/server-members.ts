// The members of one entry of `mcpServers`: as Claude Desktop, mcp-proxy, mcpo and others write them, and what openmcp has beside that.
import { OpenMcpError } from '../errors.ts'
import { parseTarget } from '../protocol/target.ts'
import { FORWARDING } from './header-forwarding.ts'
import { OAUTH } from './oauth-entry.ts'
import { OPENAPI } from './openapi.ts'
import { RETRY } from './retry.ts'
import { about, choice, listOf, mapOf, meaning, number, object, text, yesOrNo, type Members, type Shape } from './shape.ts'
import { envName, headerOfCaller, identityName, toolGlobs, variableOfCaller, wrongEnvName, wrongHeaderName, wrongHeaderOfCaller } from './words.ts'

/** The URLs that one UPSTREAM stands for, in the order to try them. */
export type Upstream = readonly URL[]

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
  openapi: OPENAPI,
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

export const SERVER_MEMBERS = object(MEMBERS, {
  aliases: { transportType: 'type', transport: 'type', disabled_tools: 'disabledTools', serverUrl: 'url' },
  idle: IDLE,
})

/** Each member as it is written, whatever the others are. */
export type ServerMembers = Members<typeof MEMBERS>

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
