// What the documents promise: their examples are run as a user would, their tables are compared with the source.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import * as z from 'zod'
import { beforeAll, describe, expect, test } from 'vitest'
import { readArguments, readWords } from '../../src/cli/arguments.ts'
import {
  CONFIG_OPTIONS,
  DEMO_OPTIONS,
  ID_OPTIONS,
  KEY_OPTIONS,
  LOGIN_OPTIONS,
  RESET_OPTIONS,
  RUN_OPTIONS,
  TEST_OPTIONS,
  TOKEN_OPTIONS,
  TRUST_OPTIONS,
} from '../../src/cli/option-table.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { USAGE } from '../../src/cli/usage.ts'
import { EXIT_CODE, HTTP_STATUS, JSON_RPC_CODE } from '../../src/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { TABLES } from '../../src/store/migrations.ts'
import { machineWith } from '../cli/machine.ts'
import { typed } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { everything, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import {
  DOCUMENTS,
  EVERYTHING,
  EXAMPLES,
  OF_THE_PROJECT,
  ROOT,
  SET_UP,
  bare,
  blocksOf,
  calledThrough,
  commandOf,
  fencedIn,
  fromTerminal,
  isOfPeople,
  isOfServers,
  isOfTsp,
  isSecured,
  linesOf,
  section,
  spansOf,
  tableOf,
  textOf,
  titled,
  wordsOf,
} from './documents.ts'

const TESTS = 'npm ci && npm test'
/** Examples that no test here runs, and why. */
const NOT_RUN: ReadonlyMap<string, string> = new Map([
  [TESTS, 'it would run itself: .ci/run types it literally, in a clean clone'],
  ['claude mcp add --transport http everything http://127.0.0.1:8000/mcp', "it changes the settings of somebody else's program, which is not here"],
])
/** Programs whose options the documents may name because they are not ours. */
const OTHER_PROGRAMS = ['docker', 'sudo', 'journalctl', 'supergateway', 'mcp-remote', 'mcp-proxy', 'mcp-connect', 'mcpo', 'claude', 'npm', 'npx']

const COMMANDS = new Map([
  ['run', RUN_OPTIONS],
  ['test', TEST_OPTIONS],
  ['id', ID_OPTIONS],
  ['token', TOKEN_OPTIONS],
  ['trust', TRUST_OPTIONS],
  ['key', KEY_OPTIONS],
  ['login', LOGIN_OPTIONS],
  ['config', CONFIG_OPTIONS],
  ['reset', RESET_OPTIONS],
  ['notification-demo', DEMO_OPTIONS],
])

/** Limits that nobody changes from outside. */
const WITHOUT_OPTION: readonly (keyof Limits)[] = ['replayEvents', 'keepAliveSeconds']

const RUNNABLE = EXAMPLES.filter(
  (example) => !NOT_RUN.has(example.block) && !isSecured(example) && !isOfPeople(example) && !isOfTsp(example) && !isOfServers(example),
)

describe('the examples', () => {
  /** What stands at port 8000 in the examples. */
  let upstream: WayOut
  let origin: string
  beforeAll(async () => {
    upstream = await everything('Streamable HTTP')
    origin = new URL(upstream.served.upstream ?? '').origin
    return upstream.stop
  })

  test('each is one line for a shell, and run below or named with the reason why not', () => {
    const oneLine = /^(?:openmcp|npm start --) [^\n|&;<>()$`\\"'*?~#]+$/
    const strangers = EXAMPLES.filter(({ block }) => !NOT_RUN.has(block) && !oneLine.test(block.replace(SET_UP, '')))
    expect([...strangers, ...RUNNABLE.filter(({ block }) => !(modeOf(block) ?? block.startsWith('openmcp test ')))]).toEqual([])
    const blocks = EXAMPLES.map(({ block }) => block)
    expect(textOf('.ci/run')).toContain(`'${TESTS}'`)
    expect([...NOT_RUN.keys()].filter((block) => !blocks.includes(block))).toEqual([])
  })

  test('none hides in a block that says it is something else, or in a language that nobody here runs or reads', () => {
    const others = DOCUMENTS.flatMap((document) => fencedIn(textOf(document)).map((fenced) => ({ document, ...fenced }))).filter(
      ({ language }) => language !== 'sh',
    )
    expect(others.filter(({ language, block }) => language === '' && /^\W*(?:openmcp|npm|npx|node) /m.test(block))).toEqual([])
    // Each of these is read below or in another of the tests of documents; one more wants a test of its own.
    expect(others.filter(({ language }) => language !== '').map(({ document, language }) => `${document}: ${language}`)).toEqual([
      'README.md: jsonc',
      'README.md: bash',
      'README.md: json',
      'TSP_EXTEND.md: js',
      'docs/api-keys.md: bash',
      'docs/api-keys.md: json',
      'docs/configuration.md: jsonc',
      'docs/configuration.md: jsonc',
      'docs/library.md: ts',
      'docs/library.md: ts',
      'docs/library.md: ts',
      'docs/openapi.md: json',
      'docs/openapi.md: bash',
      'docs/operations.md: console',
      'docs/operations.md: console',
      'docs/operations.md: console',
      'docs/security.md: ts',
      'docs/security.md: json',
      'docs/security.md: json',
      'docs/upstream-login.md: json',
      'docs/upstream-login.md: json',
    ])
  })

  test('all four modes have one', () => {
    const modes = EXAMPLES.map(({ block }) => modeOf(block)).filter((mode) => mode !== undefined)
    expect(new Set(modes)).toEqual(new Set(['a stdio server over HTTP', 'a remote server over HTTP', 'a remote server on stdio', 'a stdio server on stdio']))
  })

  describe.each(titled(RUNNABLE, (block) => modeOf(block)?.endsWith('over HTTP')))('%s', (_title, block) => {
    test.each(['/mcp', '/sse'] as const)('serves an SDK client at %s', async (path) => {
      const [command = '', ...args] = commandOf(block, origin)
      const proxy = await forThisTest(fromTerminal(startProgram(command, args, { cwd: ROOT })))
      const [, url = ''] = await proxy.says(/listening on (\S+)/)
      expect(new URL(url).pathname).toBe('/mcp')
      expect(await calledThrough(path === '/mcp' ? new StreamableHTTPClientTransport(new URL(url)) : new SSEClientTransport(new URL(path, url)))).toEqual(
        EVERYTHING,
      )
    })
  })

  test.each(titled(RUNNABLE, (block) => modeOf(block)?.endsWith('on stdio')))('%s serves an SDK client', async (_title, block) => {
    const [command = '', ...args] = commandOf(block, origin)
    expect(await calledThrough(new StdioClientTransport({ command, args, cwd: ROOT, stderr: 'ignore' }))).toEqual(EVERYTHING)
  })

  test.each(titled(RUNNABLE, (block) => block.startsWith('openmcp test ')))('%s says what the server is', async (_title, block) => {
    const { code, stdout } = await typed(commandOf(block, origin).slice(2))
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^server: \S*everything \S+\ntransport: streamable http/im) })
  })

  test('the configuration in README.md starts a server for an SDK client', async () => {
    const [block = '', ...more] = blocksOf(textOf('README.md'), 'json')
    expect(more).toEqual([])
    const { mcpServers } = CONFIGURATION.parse(JSON.parse(block))
    expect(Object.keys(mcpServers)).not.toEqual([])
    for (const { command, args } of Object.values(mcpServers)) {
      expect(args.join(' ')).toMatch(/PATH\/TO\/openmcp\/.* https:\/\/mcp\.example\.com\//)
      const own = args.map((arg) => arg.replace('PATH/TO/openmcp/', ROOT).replace('https://mcp.example.com', origin))
      expect(await calledThrough(new StdioClientTransport({ command, args: own, cwd: '/', stderr: 'ignore' }))).toEqual(EVERYTHING)
    }
  })

  test('the one in the usage is one of them', () => {
    const usage = /^Example:\n {2}(.*)$/m.exec(USAGE)?.[1]
    expect(RUNNABLE.map(({ block }) => block)).toContain(usage)
  })
})

describe('the options', () => {
  test('each that a document names is one of openmcp, or stands behind the name of another program', () => {
    const known = new Set([...COMMANDS.values()].flatMap((table) => [...table]).flatMap(([name, { short }]) => [`--${name}`, `-${short}`]))
    for (const document of OF_THE_PROJECT) {
      const spans = spansOf(textOf(document)).filter((span) => !isCount(document, span))
      const code = [...spans, ...blocksOf(textOf(document), 'sh').flatMap(linesOf)].filter((span) => /(?:^|\s)-{1,2}[a-z]/i.test(span))
      const unknown = code.flatMap((span) => {
        const [program = '', ...words] = wordsOf(span.replace(/^(?:[A-Z_]+=(?:'[^']*'|\S)+ )+/, ''))
        return program.startsWith('-') ? optionsIn([program, ...words]).filter((option) => !known.has(option)) : mistakesIn(program, words)
      })
      expect({ document, unknown }).toEqual({ document, unknown: [] })
    }
  })

  test('each that openmcp knows and has built is named in README.md or docs', () => {
    const text = DOCUMENTS.map(textOf).join('\n')
    const built = [...COMMANDS.values()].flatMap((table) => [...table]).filter(([, { notBuilt }]) => !notBuilt)
    const unnamed = built.filter(([name, { short }]) => !new RegExp(`(?<![\\w-])(?:--${name}${short === undefined ? '' : `|-${short}`})(?![\\w-])`).test(text))
    expect(unnamed.map(([name]) => name)).toEqual([])
  })

  test('the limits in docs/operations.md have the defaults of the source, and none is missing', () => {
    const rows = tableOf(section('docs/operations.md', 'Limits'))
    const limitsWith = (option: string, value: string): Limits =>
      runOptions(readArguments([option, value, 'COMMAND'], RUN_OPTIONS), machineWith()).options.limits
    const changedBy = rows.flatMap(([option = '', value = '']) => {
      const given = value.replace(/ s$| \(never\)$/, '')
      expect({ option, ...limitsWith(bare(option), given) }).toEqual({ option, ...DEFAULT_LIMITS })
      const other = limitsWith(bare(option), given === '0' ? '1' : `${Number.parseInt(given, 10) * 2}${given.replace(/\d+/, '')}`)
      return limitNames().filter((limit) => other[limit] !== DEFAULT_LIMITS[limit])
    })
    expect(changedBy.toSorted()).toEqual(
      limitNames()
        .filter((limit) => !WITHOUT_OPTION.includes(limit))
        .toSorted(),
    )
    expect(rows.find(([option]) => option === '`--max-replay`')?.at(2)).toContain(`at most ${DEFAULT_LIMITS.replayEvents} events`)
  })
})

describe('the tables', () => {
  test('docs/operations.md has every failure with its HTTP status, JSON-RPC code and exit code', () => {
    const told = tableOf(section('docs/operations.md', 'Errors')).map(([code = '', http, jsonRpc, exit]) => [bare(code), [http, jsonRpc, exit].map(Number)])
    const codes = Object.keys(HTTP_STATUS) as (keyof typeof HTTP_STATUS)[] // a const: it has these keys and no others
    expect(told).toHaveLength(codes.length)
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(codes.map((code) => [code, [HTTP_STATUS[code], JSON_RPC_CODE[code], EXIT_CODE[code]]])))
  })

  test('docs/architecture.md has a line for every dependency, and the version it tells is the one there is', () => {
    const { dependencies } = manifest()
    const told = tableOf(section('docs/architecture.md', 'Dependencies')).map(([cell = '']) => bare(cell).split(' '))
    expect(new Set(told.map(([name]) => name))).toEqual(new Set(Object.keys(dependencies)))
    expect(told.filter(([name = '', version]) => version !== undefined && !`${dependencies[name]}.`.startsWith(`${version}.`))).toEqual([])
  })

  test('docs/architecture.md has every room, and whom it may import', () => {
    const [held = ''] = textOf('test/architecture.test.ts').split('const PACKAGES')
    const arrows = [...held.matchAll(/^ {2}'?([\w-]+)'?: \[(.*)\],$/gm)].map(([, room, others = '']) => [room, others.replaceAll("'", '')])
    const told = tableOf(section('docs/architecture.md', 'Rooms')).map(([room = '', , others = '']) => [
      bare(room).replace(/\/$|\.ts$/, ''),
      others.replace('–', ''),
    ])
    expect(told.length).toBeGreaterThan(10)
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(arrows))
  })

  test('docs/storage.md has every table of the store', () => {
    expect(
      tableOf(textOf('docs/storage.md'), 'table')
        .map(([table = '']) => bare(table))
        .toSorted(),
    ).toEqual(TABLES.toSorted())
  })

  test('every tool that builds and tests is named there too', () => {
    const text = section('docs/architecture.md', 'Dependencies')
    const scoped = Object.keys(manifest().devDependencies).filter((name) => !name.startsWith('@types/'))
    expect(scoped.filter((name) => !name.startsWith('@modelcontextprotocol/') && !text.includes(`\`${name}\``))).toEqual([])
  })
})

describe('the ways from one document to another', () => {
  const documents = markdownFiles()

  test('every relative link leads to a file that is there', () => {
    expect(documents).toEqual(expect.arrayContaining(DOCUMENTS))
    const broken = documents.flatMap((document) =>
      linksOf(textOf(document))
        .filter((link) => !existsSync(join(ROOT, dirname(document), link)))
        .map((link) => `${document}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  test('every file of ours that a document names is there', () => {
    const rooms = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory())
    const places = ['', 'src', ...rooms.map(({ name, parentPath }) => relative(ROOT, join(parentPath, name)))]
    const named = OF_THE_PROJECT.flatMap((document) => spansOf(textOf(document)).map((path) => ({ document, path }))).filter(({ path }) => isPath(path))
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter(({ path }) => !places.some((place) => existsSync(join(ROOT, place, path))))).toEqual([])
  })

  test('every npm script that a document names is there', () => {
    const named = documents.flatMap((document) => [...textOf(document).matchAll(/npm run ([\w:-]+)/g)].map(([, script = '']) => script))
    expect(named.filter((script) => manifest().scripts[script] === undefined)).toEqual([])
  })

  test('nobody is sent to the npm package that is called openmcp and is not ours', () => {
    const sent = documents.filter((document) => /\b(?:npx|npm (?:i|install|exec)|npm i -g|yarn add|pnpm add)(?: -\S+)* openmcp\b/.test(textOf(document)))
    expect(sent).toEqual([])
  })
})

const CONFIGURATION = z.strictObject({ mcpServers: z.record(z.string(), z.strictObject({ command: z.string(), args: z.array(z.string()) })) })

/** Which of the four modes a line of `openmcp run` shows. */
function modeOf(block: string): string | undefined {
  const run = /^(?:npm ci && )?(?:npm start --|openmcp) run (.*)$/.exec(block)?.[1]
  if (run === undefined || run.includes('--tsp')) return undefined
  const server = /https?:/.test(run) ? 'a remote server' : 'a stdio server'
  return `${server} ${/-p \d+/.test(run) ? 'over HTTP' : 'on stdio'}`
}

/** What openmcp itself would call unknown or misused in a command line of the documents. */
function mistakesIn(program: string, words: readonly string[]): string[] {
  if (OTHER_PROGRAMS.includes(program)) return []
  if (program !== 'openmcp') return [`${program} is not known to have options`]
  const [command = ''] = words
  const table = ['run', 'test'].includes(command) ? undefined : COMMANDS.get(command)
  if (table) return readWords(words.slice(1), table).mistakes.map(({ message }) => message)
  const { mistakes } = readArguments(words[0] === 'run' || words[0] === 'test' ? words.slice(1) : words, words[0] === 'test' ? TEST_OPTIONS : RUN_OPTIONS)
  return mistakes.filter(({ code }) => code === 'usage').map(({ message }) => message)
}

function optionsIn(words: readonly string[]): string[] {
  return words.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.replace(/=.*$/, ''))
}

/** The counts of CESR look like options. */
function isCount(document: string, span: string): boolean {
  return document === 'docs/tsp.md' && /^-[A-Z](?:\{.*\})?$/.test(span)
}

/** A source file, a folder of sources, or anything below one of our folders. */
function isPath(span: string): boolean {
  return /^[\w-]+(?:\/[\w.-]+)*\.(?:ts|mjs)$|^[a-z]+\/$|^(?:\.ci|bench|docs|src|test)\/[\w./-]+$/.test(span)
}

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}

function limitNames(): (keyof Limits)[] {
  return Object.keys(DEFAULT_LIMITS) as (keyof Limits)[] // it is a literal of ours
}

const MANIFEST = z.looseObject({
  scripts: z.record(z.string(), z.string()),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
})

function manifest(): z.infer<typeof MANIFEST> {
  return MANIFEST.parse(JSON.parse(textOf('package.json')))
}

/** Every document of ours; what tools leave behind is nobody's. */
function markdownFiles(directory = ''): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return ['node_modules', 'dist', 'results', '.git'].includes(entry.name) ? [] : markdownFiles(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}
