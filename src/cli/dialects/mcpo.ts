// mcpo. What it serves as REST is served so, and as MCP.
import { schemeOf } from '../../protocol/target.ts'
import type { Dialect, Draft, Meaning, Speech, Target } from './dialect.ts'
import { headersInJson, putHeader } from './headers.ts'
import { allowOrigin, always, flag, kept, leaveOut, logLevel, one, place, put, putLogLevel, refuse, renamed } from './meanings.ts'

const TITLE = one((use, draft) => leaveOut(draft, use, 'a document says what the server calls itself'))

const HEADER: Meaning = one(
  (use, draft) => {
    const headers = headersInJson(use.value)
    if (!headers) return refuse(draft, `${use.as} holds no JSON object of texts, as mcpo wants it`, `${use.as} '{"X-Name": "value"}'`)
    for (const [name, value] of headers) putHeader(draft, name, value)
  },
  (value) => value.trimStart().startsWith('{'),
)

const API_KEY = one(kept('api-key'))
const HOST = place('host')
const PORT = place('port')
const ORIGINS = one((use, draft) => allowOrigin(use.value, use, draft))
const TYPE = one(kept('type'))
const CERT = renamed('--tls-cert')
const KEY = renamed('--tls-key')
const ENV = one((use, draft) => {
  if (use.value.includes('=')) put(draft, '-e', use.value)
  // The text is not repeated: it may be a secret whose name was forgotten.
  else refuse(draft, `${use.as} takes KEY=VALUE`, `${use.as} KEY=VALUE`)
})
const CONFIG = one((use, draft) => (draft.said.set('config', use), put(draft, '--config', use.value)))

export const MCPO: Dialect = {
  name: 'mcpo',
  options: new Map([
    ['-h', HOST],
    ['--host', HOST],
    ['-p', PORT],
    ['--port', PORT],
    ['--cors-allow-origins', ORIGINS],
    ['-k', API_KEY],
    ['--api-key', API_KEY],
    ['--strict-auth', always()],
    ['-e', ENV],
    ['--env', ENV],
    ['--env-path', renamed('--env-file')],
    ['--type', TYPE],
    ['--server-type', TYPE],
    ['-c', CONFIG],
    ['--config', CONFIG],
    ['-n', TITLE],
    ['--name', TITLE],
    ['-d', TITLE],
    ['--description', TITLE],
    ['-v', TITLE],
    ['--version', TITLE],
    ['-t', CERT],
    ['--ssl-certfile', CERT],
    ['-K', KEY],
    ['--ssl-keyfile', KEY],
    ['--root-path', one(kept('root-path'))],
    ['--path-prefix', one(kept('path-prefix'))],
    ['-H', HEADER],
    ['--header', HEADER],
    // A changed file is always applied.
    ['--hot-reload', always()],
    ['--log-level', logLevel()],
    ['--debug', flag(kept('debug'))],
  ]),
  // Its COMMAND or URL stands behind '--'.
  isPossible: ({ words, terminated }) => words.length === 0 || terminated,
  finish,
}

const DEFAULT_PORT = '8000'

function finish({ words, ours }: Speech, draft: Draft): Target {
  const { machine, said } = draft
  const key = said.get('api-key')
  if (key && !ours.some(([as]) => as === '--security')) put(draft, '--security')
  if (key) put(draft, '--api-key', key.value)
  draft.port ??= DEFAULT_PORT
  put(draft, '--openapi')
  // What is filtered by name elsewhere goes by these.
  if (!said.has('config')) put(draft, '--openapi-form', 'mcpo')
  if (draft.host === undefined) draft.warnings.push('served on loopback alone, where mcpo takes every address: --host 0.0.0.0 is that, and wants --api-key')
  putLogLevel(draft)
  putPaths(draft)
  const seconds = machine.env['CONNECTION_TIMEOUT']
  if (seconds !== undefined && seconds !== '') put(draft, '--connect-timeout', seconds)
  return targetOf(words, draft)
}

function targetOf(words: readonly string[], draft: Draft): Target {
  const [target, second] = words
  if (target === undefined) return { kind: 'none' }
  const type = draft.said.get('type')
  const transport = TRANSPORTS.get(type?.value.toLowerCase() ?? (schemeOf(target) === undefined ? 'stdio' : 'auto'))
  if (transport === undefined) refuse(draft, `${type?.as}: '${type?.value}' is none of its choices`, `${type?.as} takes stdio, sse, streamable-http`)
  if (transport === 'stdio') return { kind: 'command', words }
  if (second !== undefined) refuse(draft, `one word too many behind the upstream: '${second}'`, '--type sse -- URL')
  if (type && transport !== undefined) put(draft, '--transport', transport)
  return { kind: 'upstream', upstream: target }
}

const TRANSPORTS = new Map([
  ['stdio', 'stdio'],
  ['auto', 'auto'],
  ['sse', 'sse'],
  ['streamable-http', 'http'],
  ['streamable_http', 'http'],
  ['streamablehttp', 'http'],
])

/** Its prefix is ours; its root path is what a proxy in front has taken off. */
function putPaths(draft: Draft): void {
  for (const name of ['root-path', 'path-prefix']) {
    const path = draft.said.get(name)?.value.replace(/^\/+|\/+$/g, '') ?? ''
    if (path !== '') put(draft, `--${name}`, `/${path}`)
  }
}
