// What docs/migrating.md promises: what people type elsewhere, typed at openmcp as it stands, and what it is in our words. Each serves.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, describe, expect, test } from 'vitest'

import { splitWords } from '../../src/cli/split-words.ts'
import { isJson } from '../support/json.ts'
import { INITIALIZED, callMessage, initializeMessage, onStdio, returned, typed, type StdioProxy } from '../support/openmcp.ts'
import { scripted } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'
import { remote, type Remote } from './compatibility/stage.ts'
import { section, spansOf, tableOf } from './documents.ts'

const DOCUMENT = 'docs/migrating.md'
/** By their sections, the names that `--as` takes. */
const SYSTEMS: ReadonlyMap<string, string | undefined> = new Map([
  ['The first openmcp, in Rust (and cardea-cli)', undefined],
  ['rmcp-proxy', 'rmcp-proxy'],
  ['mcp-proxy, in Python', 'mcp-proxy'],
  ['mcp-connect', 'mcp-connect'],
  ['mcpo', 'mcpo'],
  ['supergateway', 'supergateway'],
  ['mcp-remote', 'mcp-remote'],
])
/** Only what it is in our words is typed. */
const NOT_UNDERSTOOD = 'mcp-proxy, of npm'
const PLAIN = ', and its tools are plain HTTP, too'
const GOOD = new RegExp(`^(?:answers on stdio|(?:serves over HTTP|asks who calls)(?:${PLAIN})?|does it)$`)
/** What stands for KEY. */
const KEY = randomBytes(32).toString('hex')

/** Where it is typed: the files that the READMEs show, and the programs that they start, each of which is our scripted server. */
const cwd = mkdtempSync(join(tmpdir(), 'openmcp-migrating-'))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))
const PROGRAMS = ['npx', 'uvx', 'python', 'your-command', 'my-default-command', 'your_mcp_server_command']
mkdirSync(join(cwd, 'bin'))
for (const program of PROGRAMS) {
  const [, server = ''] = scripted()
  writeFileSync(join(cwd, 'bin', program), `#!${process.execPath}\nprocess.argv.length = 2\nimport(${JSON.stringify(pathToFileURL(server).href)})\n`)
  chmodSync(join(cwd, 'bin', program), 0o755)
}
const FILES = {
  key: `${KEY}\n`,
  headers: 'X-From: a file\n',
  secret: 'a-secret-of-a-client\n',
  '.env': 'FROM_A_FILE=yes\n',
  'servers.json': `{ "mcpServers": { "fetch": { "disabled": false, "timeout": 60, "command": "uvx", "args": ["mcp-server-fetch"], "transportType": "stdio" } } }`,
  'config.json': `{
    "mcpServers": {
      "memory": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"], "cwd": "/tmp" },
      "time": { "command": "uvx", "args": ["mcp-server-time"], "disabledTools": ["convert_time"] } // Disable specific tools if needed
    }
  }`,
}
for (const [name, content] of Object.entries(FILES)) writeFileSync(join(cwd, name), content, { mode: 0o600 })
const ENV = { OPENMCP_HOME: join(cwd, 'home'), PATH: `${join(cwd, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`, UV_CACHE_DIR: cwd }

interface Row {
  readonly there: string
  readonly here: string
}

function rowsOf(heading: string): Row[] {
  return tableOf(section(DOCUMENT, heading)).map(([there = '', here = '']) => {
    const [typedThere = ''] = spansOf(there)
    return { there: typedThere, here: here.startsWith('the same') ? typedThere : (spansOf(here)[0] ?? '') }
  })
}

test('there is a section for each system whose words are understood, and one for what differs', () => {
  for (const heading of [...SYSTEMS.keys(), NOT_UNDERSTOOD]) expect({ heading, rows: rowsOf(heading).length }).not.toMatchObject({ rows: 0 })
  expect(tableOf(section(DOCUMENT, 'Different on purpose')).length).toBeGreaterThan(10)
})

describe.each([...SYSTEMS])('%s', (heading, system) => {
  test.each(rowsOf(heading).map(({ there, here }) => [there, here] as const))('%s: %s', async (there, here) => {
    const typedHere = there.replace(/^((?:\w+=\S+ )*)[\w-]+/, '$1openmcp')
    const taken = await outcomeOf(typedHere, system)
    // What others mean as well has nothing that is mcpo's alone, until it is said whose it is.
    const outcome = system === 'mcpo' && !taken.includes(PLAIN) ? await outcomeOf(typedHere.replace('openmcp', 'openmcp --as mcpo')) : taken
    expect(outcome).toMatch(GOOD)
    expect(outcome.includes(PLAIN)).toBe(system === 'mcpo')
    expect(here === there ? outcome : await outcomeOf(here)).toBe(outcome)
  })
})

describe('mcp-proxy, of npm', () => {
  test.each(rowsOf(NOT_UNDERSTOOD).map(({ here }) => here))('%s', async (here) => {
    expect(await outcomeOf(here)).toMatch(GOOD)
  })
})

/** What comes of what is typed. With `system`, it is typed again after `--as` where openmcp has asked for that. */
async function outcomeOf(line: string, system?: string): Promise<string> {
  const { env, argv } = await typedAs(line)
  const [command = ''] = argv
  if (['reset', 'test', 'notification-demo', 'init', 'config', 'generate-config'].includes(command)) {
    const { code, stderr } = await typed(argv, { env, cwd })
    return code === 0 ? 'does it' : stderr
  }
  const started = await begun(argv, env)
  const isUnclear = system !== undefined && started.end?.code === 2 && started.stderr.some((words) => words.includes(`--as ${system}`))
  const program = isUnclear ? await begun(['--as', system, ...argv], env) : started
  const url = listeningAt(program)
  if (url === undefined) return answersOn(program)
  return /--(?:security|tsp|api-key)\b/.test(line) ? asksAt(url, line) : servesAt(await placeAt(url))
}

/** Started, and either listening, answering, or over. */
async function begun(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<StdioProxy> {
  const program = await forThisTest(onStdio(argv, { env, cwd }))
  program.send(initializeMessage('first'))
  await until('a place, an answer or the end', () => listeningAt(program) ?? program.end ?? program.messages().some(({ id }) => id === 'first'))
  return program
}

function listeningAt({ stderr }: StdioProxy): URL | undefined {
  const [url] = stderr.flatMap((words) => /listening on (https?:\S+)/.exec(words)?.[1] ?? [])
  return url === undefined ? undefined : new URL(url)
}

async function answersOn(program: StdioProxy): Promise<string> {
  await program.answerTo('first')
  program.send(INITIALIZED)
  program.send(callMessage('call', 'echo', { said: 'hello' }))
  returned(await program.answerTo('call'))
  return 'answers on stdio'
}

async function asksAt(url: URL, line: string): Promise<string> {
  const asked = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await ask(url, { headers: { accept: 'application/json, text/event-stream', ...headers }, body: initializeMessage(1) })).status
  const statuses = [await asked({}), line.includes('--api-key') ? await asked({ authorization: `Bearer ${KEY}` }) : 200]
  const headers = line.includes('--api-key') ? { authorization: `Bearer ${KEY}` } : {}
  return statuses.join() === '401,200' ? `asks who calls${await plainAt(url, headers)}` : `whoever has no key, and whoever has: HTTP ${statuses.join()}`
}

/** The root, or where there is none, the first that has a name. */
async function placeAt(url: URL): Promise<URL> {
  const { json } = await ask(new URL(url.pathname.replace(/mcp$/, 'status'), url))
  const [name = 'default'] = isJson(json['server_instances']) ? Object.keys(json['server_instances']) : []
  return name === 'default' ? url : new URL(`/servers/${name}/mcp`, url)
}

async function servesAt(url: URL): Promise<string> {
  const client = new Client({ name: 'from elsewhere', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(url))
  await forThisTest({ stop: () => client.close() })
  const { tools } = await client.listTools()
  if (!tools.some(({ name }) => name === 'echo')) return `no tool at ${url.href}`
  await client.callTool({ name: 'echo', arguments: { said: 'hello' } })
  return `serves over HTTP${await plainAt(url)}`
}

async function plainAt(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const { status, text } = await ask(new URL('tools/echo', url), { headers, body: { said: 'hello' } })
  return status === 200 && text !== '' ? PLAIN : ''
}

/** As it stands, but with a free port, and a server of ours behind each address. */
async function typedAs(line: string): Promise<{ env: Record<string, string>; argv: string[] }> {
  const words = splitWords(line.replace(/\bKEY$|\bKEY (?=--)/, `${KEY} `)) ?? []
  const at = words.indexOf('openmcp')
  const env = Object.fromEntries(words.slice(0, at).map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]))
  const remotes = new Map<string, Remote>()
  const argv: string[] = []
  for (const [index, word] of words.slice(at + 1).entries()) {
    const before = words[at + index] ?? ''
    const isPlace = /^(?:-p|--(?:sse-)?port)$/.test(before)
    const placed = isPlace ? word.replace(/(^|^127\.0\.0\.1:)\d+(?=$|:)/, '$10') : word.replace(/^(--(?:sse-)?port=)\d+$/, '$10')
    argv.push(/origin|baseUrl/.test(`${before} ${word}`) ? placed : await withRemotes(placed, remotes))
  }
  return { env: { ...ENV, ...env }, argv }
}

async function withRemotes(word: string, remotes: Map<string, Remote>): Promise<string> {
  let own = word
  for (const [origin] of word.matchAll(/https?:\/\/[^/,\s]+/g)) {
    const there = remotes.get(origin) ?? (await remote())
    remotes.set(origin, there)
    own = own.replace(origin, there.origin)
  }
  return own
}
