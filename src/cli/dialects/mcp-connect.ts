// mcp-connect: its words are commands, and each has options of its own.
import { shownTarget } from '../../protocol/target.ts'
import type { Draft, Meaning, Speech, Target, Use } from './dialect.ts'
import { filledIn, headersIn, putFilledHeader } from './headers.ts'
import { CONFIG_WORDS, type Word } from './mcp-connect-config.ts'
import { lacking, targetOf, tcpOf, transportOf } from './mcp-connect-endpoint.ts'
import { flag, kept, leaveOut, logLevel, one, put, putLogLevel, refuse, renamed } from './meanings.ts'

const HEADERS: Meaning = one((use, draft) => {
  const headers = headersIn(use.value)
  if (!headers) return refuse(draft, `${use.as} can be read in two ways, or holds no header`, `${use.as} 'NAME:VALUE', again for each`)
  for (const [name, value] of headers) putFilledHeader(draft, use, name, value)
})

const HEADER_OPTIONS: readonly (readonly [string, Meaning])[] = [
  ['--headers', HEADERS],
  ['--auth-token', one(kept('auth-token'))],
  ['--api-key', one(kept('api-key'))],
  ['--user-agent', one((use, draft) => putFilledHeader(draft, use, 'User-Agent', use.value))],
  ['--timeout', renamed('--timeout')],
  ['--debug', flag(kept('debug'))],
  ['--log-level', logLevel()],
]

const RETRY_OPTIONS: readonly (readonly [string, Meaning])[] = [
  ['--retry-attempts', one(kept('retry-attempts'))],
  ['--retry-delay', one(kept('retry-delay'))],
]

const PROXY_OPTIONS: readonly (readonly [string, Meaning])[] = [
  ...HEADER_OPTIONS,
  ...RETRY_OPTIONS,
  ['--endpoint', one(kept('endpoint'))],
  ['--fallbacks', one(kept('fallbacks'))],
  ['--transport', one(kept('transport'))],
]

/** By the word that comes first. What each is in openmcp stands before the options. */
export const MCP_CONNECT_WORDS: ReadonlyMap<string, Word> = new Map([
  ...CONFIG_WORDS,
  ['proxy', { command: ['run'], options: new Map(PROXY_OPTIONS), finish: proxy }],
  [
    'load-balance',
    {
      command: ['run'],
      options: new Map([...HEADER_OPTIONS, ...RETRY_OPTIONS, ['--endpoints', one(kept('endpoints'))], ['--transport', one(kept('transport'))]]),
      finish: loadBalance,
    },
  ],
  [
    'auth-proxy',
    {
      command: ['run'],
      options: new Map([
        ...PROXY_OPTIONS,
        ...['--client-id', '--client-secret', '--auth-url', '--token-url', '--redirect-url', '--scopes'].map(
          (option) => [option, one(kept(option.slice(2)))] as const,
        ),
      ]),
      finish: authProxy,
    },
  ],
  [
    'test',
    { command: ['test'], options: new Map([...HEADER_OPTIONS, ['--endpoint', one(kept('endpoint'))], ['--transport', one(kept('transport'))]]), finish: test },
  ],
])

function proxy(speech: Speech, draft: Draft): Target {
  refuseWords(speech, draft)
  putLogLevel(draft)
  const target = targetOf(draft)
  putCredentials(draft, target)
  putFallbacks(draft, target)
  putRetries(draft, target)
  return target
}

function loadBalance(speech: Speech, draft: Draft): Target {
  refuseWords(speech, draft)
  putLogLevel(draft)
  const use = draft.said.get('endpoints')
  if (!use) return lacking('--endpoints', '--endpoints https://a.example.com/mcp,https://b.example.com/mcp', draft)
  const transport = transportOf(draft)
  if (transport === 'stdio') refuse(draft, `${use.as}: programs are not balanced`, '--isolation session starts one for each session')
  const endpoints = (filledIn(use.value, use, draft) ?? use.value)
    .split(',')
    .map((endpoint) => (transport === 'tcp' ? tcpOf(endpoint.trim()) : endpoint.trim()))
  put(draft, '--endpoints', endpoints.join(','))
  const target: Target = { kind: 'none' }
  putCredentials(draft, { kind: 'upstream', upstream: endpoints[0] ?? '' })
  putRetries(draft, { kind: 'upstream', upstream: endpoints[0] ?? '' })
  return target
}

/** Its flow is made up; ours is that of OAuth 2.1, where the issuer says where to go. */
function authProxy(speech: Speech, draft: Draft): Target {
  const { said } = draft
  const target = proxy(speech, draft)
  const [id, secret, tokenUrl] = ['client-id', 'client-secret', 'token-url'].map((name) => said.get(name))
  const scopes = said
    .get('scopes')
    ?.value.split(/[\s,]+/)
    .join(' ')
  if (!['auth-url', 'redirect-url'].some((name) => said.has(name))) {
    if (id) put(draft, '--client-id', id.value)
    if (secret) putSecret(draft, secret)
    if (tokenUrl) put(draft, '--token-url', tokenUrl.value)
    if (scopes !== undefined) put(draft, '--oauth-scope', scopes)
    return target
  }
  const left = ['client-id', 'client-secret', 'auth-url', 'token-url', 'redirect-url', 'scopes'].flatMap((name) => said.get(name)?.as ?? [])
  const how = [`openmcp login ${target.kind === 'upstream' ? shownTarget(target.upstream) : 'URL'}`]
  if (id) how.push(`--client-id ${id.value}`)
  if (secret) how.push('--client-secret-file FILE')
  if (scopes !== undefined) how.push(`--scope '${scopes}'`)
  leaveOut(draft, { as: left.join(', ') }, `a person logs in once, and the server says where: ${how.join(' ')}`)
  return target
}

function putSecret(draft: Draft, use: Use): void {
  const text = filledIn(use.value, use, draft)
  if (text === undefined || text === use.value) put(draft, '--client-secret', use.value)
  else draft.env['OPENMCP_CLIENT_SECRET'] = text
}

function test(speech: Speech, draft: Draft): Target {
  refuseWords(speech, draft)
  if (draft.said.has('debug')) put(draft, '--debug')
  const level = draft.said.get('log-level')
  if (level) leaveOut(draft, level, 'what is found is said on stdout')
  const target = targetOf(draft)
  putCredentials(draft, target)
  return target
}

function refuseWords({ words }: Speech, draft: Draft): void {
  const [word] = words
  if (word !== undefined) refuse(draft, `'${word}' belongs to no option`, "--endpoint URL, or '--' before a program of that name")
}

function putCredentials(draft: Draft, target: Target): void {
  const [token, key] = ['auth-token', 'api-key'].map((name) => draft.said.get(name))
  if (target.kind === 'command' || !(token ?? key)) {
    for (const use of [token, key]) if (use) leaveOut(draft, use, 'a program has no headers; -e NAME=VALUE is what it gets')
    return
  }
  if (token) putFilledHeader(draft, token, 'Authorization', `Bearer ${token.value}`)
  if (token && key) return leaveOut(draft, key, 'mcp-connect takes --auth-token before it')
  if (!key) return
  draft.warnings.push(`${key.as} is what the upstream is sent, as X-API-Key; without mcp-connect's words it is a key that lets in callers`)
  putFilledHeader(draft, key, 'X-API-Key', key.value)
}

/** What is named is tried; transports alone, which mean 'mcp-server' of the PATH and port 8080 of this machine, are not. */
function putFallbacks(draft: Draft, target: Target): void {
  const use = draft.said.get('fallbacks')
  if (!use) return
  const items = use.value.split(',').map((item) => item.trim())
  const transports = items.filter((item) => /^(?:http|stdio|tcp)$/i.test(item))
  if (transports.length > 0) {
    leaveOut(
      draft,
      { as: `${use.as} ${transports.join(',')}` },
      "mcp-connect would start whatever is called 'mcp-server', or talk to whoever listens at port 8080; --fallback UPSTREAM names what is meant",
    )
  }
  for (const item of items.filter((each) => !transports.includes(each))) {
    if (target.kind === 'command') leaveOut(draft, { as: `${use.as} ${shownTarget(item)}` }, 'what is served is a program')
    else put(draft, '--fallback', item)
  }
}

/** What may have been done is never repeated: a call of a tool is not. */
function putRetries(draft: Draft, target: Target): void {
  for (const name of ['retry-attempts', 'retry-delay']) {
    const use = draft.said.get(name)
    if (!use) continue
    if (target.kind === 'upstream' && !/^(?:tcp|wss?):/i.test(target.upstream)) put(draft, `--${name}`, use.value)
    else leaveOut(draft, use, 'it is for http(s):// upstreams; others are connected to again by themselves')
  }
}
