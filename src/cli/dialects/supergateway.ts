// supergateway: one option says what is served, another how.
import { splitWords } from '../split-words.ts'
import type { Dialect, Draft, Meaning, Speech, Target, Use } from './dialect.ts'
import { headerIn, putHeader } from './headers.ts'
import { allowNone, allowOrigin, flag, kept, leaveOut, leftOut, logLevel, one, put, putLogLevel, refuse, secondsOf } from './meanings.ts'

const CORS: Meaning = {
  takes: (next) => next.length,
  least: 0,
  means(use, draft) {
    if (use.values.length === 0) allowNone(use, draft)
    for (const origin of use.values) {
      if (/^\/.+\/$/.test(origin)) refuse(draft, `${use.as}: origins are named, and not matched by a pattern`, `${use.as} https://app.example`)
      else allowOrigin(origin, use, draft)
    }
  },
}

const HEALTH = new Set(['/healthz', '/readyz', '/health', '/status'])

const HEALTH_ENDPOINT: Meaning = {
  takes: (next) => next.length,
  least: 1,
  means({ as, values }, draft) {
    for (const path of values)
      if (!HEALTH.has(path)) refuse(draft, `${as} ${path}: there is nothing at that path here`, 'ask /healthz, /readyz, /health or /status')
  },
}

const HEADERS: Meaning = {
  takes: (next) => next.length,
  least: 1,
  means: (use, draft) => void draft.said.set(`header ${draft.said.size}`, use),
}

/** As yargs has them: in camel case, or with dashes. */
const OPTIONS: readonly (readonly [name: string, meaning: Meaning])[] = [
  ['stdio', one(kept('stdio'))],
  ['sse', one(kept('sse'))],
  ['streamableHttp', one(kept('streamableHttp'))],
  ['outputTransport', one(kept('outputTransport'))],
  ['port', one(kept('port'))],
  ['baseUrl', one(kept('baseUrl'))],
  ['ssePath', one(kept('ssePath'))],
  ['messagePath', one(kept('messagePath'))],
  ['streamableHttpPath', one(kept('streamableHttpPath'))],
  ['stateful', flag(kept('stateful'))],
  ['sessionTimeout', one(kept('sessionTimeout'))],
  ['healthEndpoint', HEALTH_ENDPOINT],
  ['cors', CORS],
  ['oauth2Bearer', one(kept('oauth2Bearer'))],
  ['header', HEADERS],
  ['logLevel', logLevel()],
  ['protocolVersion', one(leftOut('openmcp agrees on a revision with either side'))],
]

export const SUPERGATEWAY: Dialect = {
  name: 'supergateway',
  options: new Map(
    OPTIONS.flatMap(([name, meaning]) => [`--${name}`, `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`].map((as) => [as, meaning])),
  ),
  isPossible: ({ uses }) => uses.some(({ as }) => /^--(?:stdio|sse|streamable-?[hH]ttp)$/.test(as)),
  finish,
}

function finish({ words }: Speech, draft: Draft): Target {
  const { said } = draft
  const inputs = ['stdio', 'sse', 'streamableHttp'].flatMap((name) => said.get(name) ?? [])
  const [input] = inputs
  if (words.length > 0) refuse(draft, `'${words[0] ?? ''}' belongs to no option`, "--stdio 'COMMAND ARG'")
  if (!input || inputs.length > 1) {
    refuse(draft, 'one of --stdio, --sse and --streamableHttp says what is served', "--stdio 'COMMAND ARG' --port 8000")
    return { kind: 'none' }
  }
  const isProgram = said.get('stdio') === input
  const output = outputOf(isProgram, draft)
  putLogLevel(draft)
  if (output === 'stdio') leaveOutListening(draft)
  else putListening(output, draft)
  if (isProgram) {
    leaveOutAnswers(draft)
    return { kind: 'command', words: commandOf(input, draft) }
  }
  put(draft, '--transport', said.get('sse') === input ? 'sse' : 'http')
  putUpstreamHeaders(draft)
  return { kind: 'upstream', upstream: input.value }
}

function outputOf(isProgram: boolean, draft: Draft): string {
  const use = draft.said.get('outputTransport')
  if (!use) return isProgram ? 'sse' : 'stdio'
  if (use.value === 'ws') refuse(draft, `${use.as} ws: openmcp serves no WebSockets`, 'clients take /mcp or /sse; an upstream may be ws://')
  else if (!['stdio', 'sse', 'streamableHttp'].includes(use.value)) {
    refuse(draft, `${use.as}: '${use.value}' is none of its choices`, `${use.as} takes stdio, sse, streamableHttp`)
  }
  return use.value
}

const LISTENING = ['port', 'baseUrl', 'ssePath', 'messagePath', 'streamableHttpPath', 'stateful', 'sessionTimeout']

function leaveOutListening(draft: Draft): void {
  for (const name of LISTENING) {
    const use = draft.said.get(name)
    if (use) leaveOut(draft, use, 'nothing listens, and what is served is on our stdio')
  }
}

const DEFAULT_PORT = '8000'

function putListening(output: string, draft: Draft): void {
  const { said } = draft
  draft.port = said.get('port')?.value ?? DEFAULT_PORT
  draft.warnings.push('supergateway listens on every address, and openmcp on loopback alone; -p HOST:PORT and --security are for others')
  const baseUrl = said.get('baseUrl')
  if (baseUrl && baseUrl.value !== '') put(draft, '--public-url', baseUrl.value)
  putPrefix(draft)
  const timeout = said.get('sessionTimeout')
  const seconds = timeout && secondsOf(timeout, draft)
  if (seconds !== undefined) put(draft, '--idle', seconds)
  // Its default for Streamable HTTP. SSE has sessions in any case.
  if (output === 'streamableHttp' && !said.has('stateful')) put(draft, '--stateless')
}

/** Paths are ours, below a prefix of theirs. */
function putPrefix(draft: Draft): void {
  const { said } = draft
  const prefixes = new Set<string>()
  for (const [name, path] of [
    ['ssePath', '/sse'],
    ['streamableHttpPath', '/mcp'],
  ] as const) {
    const use = said.get(name)
    if (!use) continue
    if (use.value.endsWith(path)) prefixes.add(use.value.slice(0, -path.length))
    else refuse(draft, `${use.as} ${use.value}: the path is ${path} here, below a prefix if you like`, `${use.as} /prefix${path}`)
  }
  const message = said.get('messagePath')
  if (message && !/\/messages?$/.test(message.value)) leaveOut(draft, message, 'clients are told where to send messages, and it is /messages here')
  const [prefix, other] = prefixes
  if (other !== undefined)
    refuse(draft, 'the paths of --ssePath and --streamableHttpPath are below two prefixes', '--ssePath /x/sse --streamableHttpPath /x/mcp')
  if (prefix) put(draft, '--path-prefix', prefix)
}

/** What a shell would make of it and openmcp does not: pipes, variables, patterns. */
const SHELL = /[|&;<>()$`*]|(?:^|\s)[~#]/

function commandOf(use: Use, draft: Draft): string[] {
  const words = splitWords(use.value)
  if (!words || words.length === 0) {
    refuse(draft, `${use.as}: a quote is open at its end, or there is no command`, `${use.as} 'COMMAND ARG'`)
    return []
  }
  const bare = use.value.replace(/'[^']*'|\\[^]/g, '').replace(/"[^"$`]*"/g, '')
  if (SHELL.test(bare))
    refuse(draft, `${use.as}: supergateway gives this to a shell, and openmcp starts programs without one`, "openmcp run -p 8000 -- sh -c 'COMMAND'")
  return words
}

function headersOf({ said }: Draft): Use[] {
  return [...said].flatMap(([name, use]) => (name.startsWith('header ') ? use : []))
}

/** In front of a program they go onto its answers, where they are of use to nobody, and taken for a lock by some. */
function leaveOutAnswers(draft: Draft): void {
  for (const use of headersOf(draft)) leaveOut(draft, use, 'supergateway puts it onto its answers, where clients do not look for it')
  const bearer = draft.said.get('oauth2Bearer')
  if (bearer)
    refuse(
      draft,
      `${bearer.as} asks nobody for a token: supergateway sends it with its answers, to everybody`,
      '--security --api-key-file FILE asks whoever calls',
    )
}

function putUpstreamHeaders(draft: Draft): void {
  for (const use of headersOf(draft)) {
    for (const text of use.values) {
      const header = headerIn(text)
      if (header) putHeader(draft, ...header)
      else refuse(draft, `${use.as} is not a header`, `${use.as} 'NAME: VALUE'`)
    }
  }
  const bearer = draft.said.get('oauth2Bearer')
  if (bearer) putHeader(draft, 'Authorization', `Bearer ${bearer.value}`)
}
