// mcp-proxy (Python) and rmcp-proxy (Rust), whose options are nearly the same.
import { schemeOf } from '../../protocol/target.ts'
import { isEnvName } from '../env-file.ts'
import type { Dialect, Draft, Meaning, Speech, Target } from './dialect.ts'
import { allowOrigin, flag, kept, leaveOut, logLevel, one, pair, place, put, putLogLevel, refuse, refused, renamed } from './meanings.ts'
import { putHeader } from './headers.ts'

const HEADER: Meaning = pair(
  (word) => /[:=]/.test(word),
  ({ as: typed, values: [name = '', value] }, draft) => {
    if (value === undefined && /[:=]/.test(name)) put(draft, '-H', name)
    else if (value === undefined) refuse(draft, `${typed} lacks the value of its header`, `${typed} NAME VALUE`)
    else putHeader(draft, name, value)
  },
)

const ENV: Meaning = pair(
  (word) => word.includes('='),
  ({ as: typed, values: [name = '', value] }, draft) => {
    if (value === undefined && name.includes('=')) put(draft, '-e', name)
    else if (value === undefined) refuse(draft, `${typed} lacks the value of its variable`, `${typed} NAME VALUE`)
    else put(draft, '-e', `${name}=${value}`)
  },
)

const NAMED_SERVER: Meaning = pair(
  (word) => word.includes('='),
  (use, draft) => {
    const [name = '', command] = use.values
    draft.said.set('named-server', use)
    if (command === undefined && !name.includes('=')) refuse(draft, `${use.as} lacks its command`, `${use.as} NAME 'COMMAND ARG'`)
    else put(draft, '--named-server', command === undefined ? name : `${name}=${command}`)
  },
)

const ORIGIN = /^(?:\*|[a-z][a-z0-9+.-]*:\/\/[^/?#]+\/?)$/i

/** The first word is one. More are, as long as they look like origins and nothing but an option ends them: a COMMAND or a URL is never swallowed. */
const ALLOW_ORIGIN: Meaning = {
  takes: (next) => (next.every((word) => ORIGIN.test(word)) ? next.length : 1),
  least: 1,
  isTheirs: (values) => values.length > 1,
  means(use, draft) {
    for (const origin of use.values) allowOrigin(origin, use, draft)
  },
}

const YES = new Set(['true', '1', 'yes', 'on'])
const NO = new Set(['false', '0', 'no', 'off'])

/** It may stand without a value. A word that follows is one when it is a yes, a no, or named like a certificate; behind a sign it may be any. */
const VERIFY_SSL: Meaning = {
  takes: ([word = '']) => (isVerdict(word) ? 1 : 0),
  least: 0,
  isTheirs: ([word]) => word === undefined || isYesOrNo(word),
  means({ value }, draft) {
    const verdict = value.toLowerCase()
    if (NO.has(verdict)) put(draft, '--verify-ssl', 'false')
    else put(draft, '--verify-ssl', value === '' || YES.has(verdict) ? 'true' : value)
  },
}

function isVerdict(word: string): boolean {
  return isYesOrNo(word) || (/\.(?:pem|crt|cer|cert)$/i.test(word) && schemeOf(word) === undefined)
}

function isYesOrNo(word: string): boolean {
  return YES.has(word.toLowerCase()) || NO.has(word.toLowerCase())
}

const PORT = place('port')
const HOST = place('host')

export const MCP_PROXY: Dialect = {
  name: 'mcp-proxy',
  options: new Map([
    ['-H', HEADER],
    ['--headers', HEADER],
    ['-e', ENV],
    ['--env', ENV],
    ['--port', PORT],
    ['--sse-port', PORT],
    ['--host', HOST],
    ['--sse-host', HOST],
    ['--transport', one(kept('transport'))],
    ['--cwd', renamed('--cwd')],
    ['--pass-environment', flag(kept('environment'))],
    ['--no-pass-environment', flag(kept('environment'))],
    ['--named-server', NAMED_SERVER],
    ['--named-server-config', one((use, draft) => (draft.said.set('config', use), put(draft, '--config', use.value)))],
    ['--allow-origin', ALLOW_ORIGIN],
    ['--expose-header', renamed('--expose-header')],
    ['--stateless', flag(kept('stateless'))],
    ['--no-stateless', flag(kept('stateless'))],
    ['--debug', flag(kept('debug'))],
    ['--no-debug', flag(kept('debug'))],
    ['--log-level', logLevel()],
    ['--verify-ssl', VERIFY_SSL],
    ['--no-verify-ssl', flag((_use, draft) => put(draft, '--verify-ssl', 'false'))],
    ['--username', one(kept('username'))],
    ['--password', one(kept('password'))],
    ['--digest', flag(refused('openmcp speaks Basic, and no Digest', 'https:// keeps what Basic says to the server and us'))],
    ['--client-id', renamed('--client-id')],
    ['--client-secret', renamed('--client-secret')],
    ['--token-url', renamed('--token-url')],
  ]),
  // Its environment says where to connect to, when the command line does not.
  isMeant: ({ words, uses, ours }, { env }) =>
    words.length === 0 &&
    isUrl(env['SSE_URL']) &&
    ![...uses, ...ours.map(([as]) => ({ as }))].some(({ as: typed = '' }) => /^-p|publish|endpoints|config|named/.test(typed)),
  finish,
}

function finish(speech: Speech, draft: Draft): Target {
  const { said, machine } = draft
  const { words, terminated } = speech
  refuseUnclear(speech, draft)
  putLogLevel(draft)
  putEnvironment(draft)
  if (isOn('stateless', draft)) put(draft, '--stateless')
  if (said.has('config') && said.has('named-server')) {
    draft.warnings.push('--named-server beside --named-server-config is left out by mcp-proxy; here the servers of both are served')
  }
  const fromEnv = words.length === 0 && !said.has('config') && !said.has('named-server') ? machine.env['SSE_URL'] : undefined
  const [target] = isUrl(fromEnv) ? [fromEnv] : words
  if (target !== undefined && !terminated && schemeOf(target) !== undefined) return toUpstream(target, speech, draft)
  for (const name of ['username', 'password']) {
    const use = said.get(name)
    if (use) leaveOut(draft, use, 'it is for a URL, and mcp-proxy asks no caller for it')
  }
  const transport = said.get('transport')
  if (transport && target !== undefined) leaveOut(draft, transport, 'Streamable HTTP and SSE are served at once, on one port')
  // mcp-proxy listens on a port of its choice. Where only single words are like its own, no port means our stdio, as everywhere here.
  if (draft.isNamed || draft.host !== undefined) draft.port ??= '0'
  return target === undefined ? { kind: 'none' } : { kind: 'command', words: withoutDashes(words, terminated) }
}

/** `COMMAND -- ARG`: what parts the arguments from it is for the proxy. */
function withoutDashes([command = '', ...args]: readonly string[], terminated: boolean): string[] {
  return [command, ...(!terminated && args[0] === '--' ? args.slice(1) : args)]
}

function toUpstream(upstream: string, { words }: Speech, draft: Draft): Target {
  const [, second] = words
  if (second !== undefined) refuse(draft, `one word too many behind the upstream: '${second}'`, 'give an upstream or a COMMAND')
  const transport = draft.said.get('transport')
  if (transport) put(draft, '--transport', transport.value)
  putBasic(draft)
  if (draft.port !== undefined) draft.warnings.push('mcp-proxy speaks stdio before a URL, with or without a port; here the URL is served at the port')
  else if (draft.host !== undefined) draft.port = '0'
  return { kind: 'upstream', upstream }
}

/** RFC 7617 §2. */
function putBasic(draft: Draft): void {
  const [username, password] = ['username', 'password'].map((name) => draft.said.get(name))
  if (!username && !password) return
  if (!username || !password || username.value.includes(':'))
    return refuse(draft, '--username and --password go together, and no colon is in a name', 'give both')
  putHeader(draft, 'Authorization', `Basic ${Buffer.from(`${username.value}:${password.value}`).toString('base64')}`)
}

/** `-e K COMMAND`, where somebody forgot `=VALUE`, would start what is not meant. */
function refuseUnclear({ uses, words, terminated }: Speech, draft: Draft): void {
  const [target] = words
  if (draft.isNamed || terminated || target === undefined || schemeOf(target) !== undefined) return
  const use = uses.find(({ as: typed, values }) => ['-e', '--env', '-H', '--headers'].includes(typed) && values.length === 2)
  if (!use) return
  const [name = ''] = use.values
  refuse(
    draft,
    `${use.as} ${name}: is the word behind it its value, or the COMMAND?`,
    `${use.as} ${name}=VALUE, or '--' before COMMAND, or --as mcp-proxy first`,
  )
}

function putEnvironment(draft: Draft): void {
  if (!isOn('environment', draft)) return
  const names = Object.keys(draft.machine.env).filter((name) => !name.startsWith('OPENMCP_') && isEnvName(name))
  for (const name of names) put(draft, '--pass-env', name)
  draft.warnings.push(
    `--pass-environment hands on all ${names.length} variables, with every secret among them (OPENMCP_… are kept back); --pass-env NAME hands on one`,
  )
}

function isOn(name: string, { said }: Draft): boolean {
  const use = said.get(name)
  return use !== undefined && !use.as.startsWith('--no-')
}

function isUrl(text: string | undefined): text is string {
  return text !== undefined && schemeOf(text) !== undefined
}
