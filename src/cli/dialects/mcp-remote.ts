// mcp-remote: URL [PORT], and options anywhere. It serves a remote server on stdio, and so do we.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { isLoopbackHost } from '../../protocol/loopback.ts'
import { schemeOf, shownTarget } from '../../protocol/target.ts'
import { textOf } from '../machine.ts'
import type { Dialect, Draft, Meaning, Speech, Target, Use } from './dialect.ts'
import { filledIn, headerIn, jsonIn, putFilledHeader } from './headers.ts'
import { always, flag, kept, leaveOut, leftOut, one, put, refuse, refused, renamed } from './meanings.ts'

const HEADER: Meaning = one(
  (use, draft) => {
    const header = headerIn(use.value)
    if (header) putFilledHeader(draft, use, ...header)
    else refuse(draft, `${use.as} is not a header`, `${use.as} 'NAME: VALUE'`)
  },
  (value) => /\$\{[A-Za-z_]\w*\}/.test(value),
)

const TRANSPORTS = new Map([
  ['http-first', 'auto'],
  ['sse-first', 'auto'],
  ['http-only', 'http'],
  ['sse-only', 'sse'],
])

const TRANSPORT: Meaning = one(
  (use, draft) => {
    const transport = TRANSPORTS.get(use.value) ?? use.value
    if (use.value === 'sse-first') draft.warnings.push(`${use.as} sse-first: Streamable HTTP is tried first here, and SSE where there is none`)
    if (transport !== 'auto' || !TRANSPORTS.has(use.value)) put(draft, '--transport', transport)
  },
  (value) => TRANSPORTS.has(value),
)

const CALLBACK = 'openmcp login finds a free port of this machine for the browser to come back to'

export const MCP_REMOTE: Dialect = {
  name: 'mcp-remote',
  mixed: true,
  options: new Map([
    ['--header', HEADER],
    ['--header-file', renamed('--header-file')],
    ['--transport', TRANSPORT],
    ['--allow-http', flag(kept('allow-http'))],
    ['--resource', one(kept('resource'))],
    ['--disable-resource-parameter', flag(kept('no-resource'))],
    ['--ignore-tool', renamed('--block-tool')],
    ['--static-oauth-client-info', one(kept('client-info'))],
    ['--static-oauth-client-metadata', one(kept('client-metadata'))],
    ['--client-credentials', flag(kept('client-credentials'))],
    ['--token-endpoint', renamed('--token-url')],
    ['--client-metadata-url', one(kept('client-metadata-url'))],
    ['--auth-timeout', one(kept('auth-timeout'))],
    ['--auth-success-url', one(leftOut('what the browser shows in the end is a page of our own'))],
    ['--host', one(leftOut(CALLBACK))],
    ['--callback-path', one(leftOut(CALLBACK))],
    ['--device-code', flag(kept('device-code'))],
    [
      '--authorize-param',
      one(refused('openmcp login asks for what the standard has, and no more', 'drop it, or log in with another program and use --header-file')),
    ],
    ['--use-id-token', flag(refused('an ID token says who logged in, and is no key to a server', 'drop it; a server of the standard takes access tokens'))],
    // HTTPS_PROXY and the like are always heard.
    ['--enable-proxy', always()],
    ['--connect-timeout', renamed('--connect-timeout')],
    ['--body-timeout', renamed('--timeout')],
    ['--headers-timeout', one(leftOut('--timeout bounds a whole call'))],
    ['--keep-alive', flag(leftOut('sessions that were dropped are opened again'))],
    ['--ping-interval', one(leftOut('sessions that were dropped are opened again'))],
    ['--ipv4', flag(refused('addresses are tried as the system has them', 'NODE_OPTIONS=--dns-result-order=ipv4first'))],
    // Both eras are spoken, and cookies are kept by nobody.
    ['--protocol', one(() => {})],
    ['--disable-cookies', always()],
    ['--silent', flag(kept('silent'))],
    ['--debug', flag(kept('debug'))],
  ]),
  isPossible: ({ words: [url = ''] }) => schemeOf(url) !== undefined,
  // URL PORT, or a resource for a login: that of `run` is one for --client-id.
  isMeant: ({ words: [, port, third], uses, ours }) =>
    (port !== undefined && /^\d{1,5}$/.test(port) && third === undefined) ||
    (uses.some((use) => use.as === '--resource') && !ours.some(([option = '']) => option.startsWith('--client-id'))),
  finish,
}

function finish({ words }: Speech, draft: Draft): Target {
  const { said } = draft
  const [upstream, port, third] = words
  if (port !== undefined && /^\d{1,5}$/.test(port)) leaveOut(draft, { as: `the port ${port}` }, CALLBACK)
  const stray = port !== undefined && !/^\d{1,5}$/.test(port) ? port : third
  if (stray !== undefined) refuse(draft, `one word too many behind the upstream: '${stray}'`, 'openmcp --as mcp-remote URL')
  if (upstream === undefined) return { kind: 'none' }
  refuseOpenHttp(upstream, draft)
  putClient(upstream, draft)
  if (said.has('debug')) put(draft, '--debug')
  else if (said.has('silent')) put(draft, '--log-level', 'error')
  return { kind: 'upstream', upstream }
}

/** As careful as mcp-remote is, where its users are used to it. */
function refuseOpenHttp(upstream: string, draft: Draft): void {
  const url = URL.canParse(upstream) ? new URL(upstream) : undefined
  if (url?.protocol !== 'http:' || isLoopbackHost(url.hostname) || draft.said.has('allow-http')) return
  refuse(draft, `what is said to ${url.host} would go unencrypted`, 'https://, or --allow-http where nobody else is in between')
}

/** What only a login of a person has a use for. */
const OF_LOGIN = ['client-info', 'client-metadata', 'client-metadata-url', 'resource', 'no-resource', 'auth-timeout', 'device-code']

/** A client that logs in for itself is typed with `run`. People log in once, before. */
function putClient(upstream: string, draft: Draft): void {
  const { said } = draft
  const resource = resourceOf(draft)
  const metadata = said.get('client-metadata')
  const scope = metadata && scopeOf(metadata, draft)
  if (!said.has('client-credentials')) return leaveOutLogin(upstream, { resource, scope }, draft)
  for (const name of ['client-metadata-url', 'auth-timeout', 'device-code']) {
    const use = said.get(name)
    if (use) leaveOut(draft, use, 'with --client-credentials there is no person who logs in')
  }
  if (resource !== undefined) put(draft, '--resource', resource)
  if (scope !== undefined) put(draft, '--oauth-scope', scope)
  putCredentials(draft)
}

/** Whoever gets the token says for what it is: a client that logs in for itself here, a person with `openmcp login`. */
function resourceOf(draft: Draft): string | undefined {
  const [resource, without] = ['resource', 'no-resource'].map((name) => draft.said.get(name))
  if (!without) return resource && (resource.value.trim() === '' ? 'none' : resource.value)
  if (resource) leaveOut(draft, resource, '--disable-resource-parameter goes before it')
  return 'none'
}

function leaveOutLogin(upstream: string, { resource, scope }: { resource: string | undefined; scope: string | undefined }, draft: Draft): void {
  const uses = OF_LOGIN.flatMap((name) => draft.said.get(name) ?? [])
  if (uses.length === 0) return
  const words = [`openmcp login ${shownTarget(upstream)}`]
  const id = clientOf(draft)?.['client_id']
  if (typeof id === 'string') words.push(`--client-id ${id} --client-secret-file FILE`)
  const [document, timeout] = ['client-metadata-url', 'auth-timeout'].map((name) => draft.said.get(name)?.value)
  if (document !== undefined) words.push(`--client-metadata-url ${shownTarget(document)}`)
  if (scope !== undefined) words.push(`--scope '${scope}'`)
  if (resource !== undefined) words.push(`--resource ${shownTarget(resource)}`)
  if (timeout !== undefined) words.push(`--timeout ${timeout}`)
  if (draft.said.has('device-code')) words.push('--device')
  leaveOut(draft, { as: uses.map(({ as }) => as).join(', ') }, `a person logs in once, before, with: ${words.join(' ')}`)
}

function putCredentials(draft: Draft): void {
  const info = draft.said.get('client-info')
  if (!info) return refuse(draft, '--client-credentials needs a client', `--static-oauth-client-info '{"client_id": "...", "client_secret": "\${SECRET}"}'`)
  const members = clientOf(draft)
  const [id, secret] = [members?.['client_id'], members?.['client_secret']]
  if (typeof id !== 'string' || typeof secret !== 'string') return refuse(draft, `${info.as} holds no client_id and client_secret`, `${info.as} @FILE`)
  put(draft, '--client-id', id)
  // What was typed, letter for letter, is on a command line already; anything else is kept off it.
  if (info.value.includes(secret)) put(draft, '--client-secret', secret)
  else draft.env['OPENMCP_CLIENT_SECRET'] = secret
}

function clientOf(draft: Draft): JsonObject | undefined {
  const info = draft.said.get('client-info')
  return info && membersOf(info, draft)
}

function scopeOf(use: Use, draft: Draft): string | undefined {
  const { scope, ...others } = membersOf(use, draft) ?? {}
  const unused = Object.keys(others)
  if (unused.length > 0) leaveOut(draft, { as: `${unused.join(', ')} of ${use.as}` }, 'openmcp agrees on that with the issuer')
  return typeof scope === 'string' && scope !== '' ? scope : undefined
}

/** JSON, or @FILE with it; its variables are filled in. The text is never repeated. */
function membersOf(use: Use, draft: Draft): JsonObject | undefined {
  const text = use.value.startsWith('@') ? draft.mistakes.attempt(() => textOf(draft.machine, use.as, use.value.slice(1))) : use.value
  const value = text === undefined ? undefined : jsonIn(text)
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, typeof each === 'string' ? filledIn(each, use, draft) : each]))
  if (text !== undefined) refuse(draft, `${use.as} holds no JSON object`, `${use.as} @FILE`)
  return undefined
}
