// What the documents promise: their examples are run as a user would, their tables are compared with the source.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import * as z from 'zod'
import { beforeAll, describe, expect, test } from 'vitest'
import { readArguments, readWords } from '../../src/cli/arguments.ts'
import { ID_OPTIONS, RUN_OPTIONS, TEST_OPTIONS, TOKEN_OPTIONS, TRUST_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { USAGE } from '../../src/cli/usage.ts'
import { EXIT_CODE, HTTP_STATUS, JSON_RPC_CODE } from '../../src/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { machineWith } from '../cli/machine.ts'
import { PROGRAM, typed } from '../support/openmcp.ts'
import { childrenOf, groupOf } from '../support/processes.ts'
import { startProgram, type End, type Program } from '../support/program.ts'
import { everything, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DOCUMENTS = ['README.md', 'TSP_EXTEND.md', ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`)]
const OF_THE_PROJECT = [...DOCUMENTS, 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']

const TESTS = 'npm ci && npm test'
/** Examples that no test here runs, and why. */
const NOT_RUN: ReadonlyMap<string, string> = new Map([
  [TESTS, 'it would run itself: .ci/run types it literally, in a clean clone'],
  ['claude mcp add --transport http everything http://127.0.0.1:8000/mcp', "it changes the settings of somebody else's program, which is not here"],
])
/** What `npm ci &&` stands before: the tests run in a tree in which it was done. */
const SET_UP = 'npm ci && '
/** Programs whose options the documents may name because they are not ours. */
const OTHER_PROGRAMS = ['supergateway', 'mcp-remote', 'mcp-proxy', 'claude', 'npm', 'npx']

const EXAMPLES = DOCUMENTS.flatMap((document) => blocksOf(textOf(document), 'sh').map((block) => ({ document, block })))
const RUNNABLE = EXAMPLES.filter(({ document, block }) => !NOT_RUN.has(block) && document !== 'TSP_EXTEND.md')

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
    const strangers = RUNNABLE.filter(({ block }) => !oneLine.test(block.replace(SET_UP, '')) || !(modeOf(block) ?? block.startsWith('openmcp test ')))
    expect(strangers).toEqual([])
    const blocks = EXAMPLES.map(({ block }) => block)
    expect(textOf('.ci/run')).toContain(`'${TESTS}'`)
    expect([...NOT_RUN.keys()].filter((block) => !blocks.includes(block))).toEqual([])
  })

  test('none hides in a block that says it is something else', () => {
    const others = DOCUMENTS.flatMap((document) => fencedIn(textOf(document))).filter(({ language }) => language !== 'sh')
    expect(others.filter(({ language, block }) => !['', 'json'].includes(language) || /^\W*(?:openmcp|npm|npx|node) /m.test(block))).toEqual([])
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

  test.each(titled(EXAMPLES, (_block, document) => document === 'TSP_EXTEND.md'))('%s is refused, and nothing listens', async (_title, block) => {
    const { code, stdout, stderr } = await typed(commandOf(block, origin).slice(2), { cwd: ROOT })
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(/^openmcp: error: --tsp is not built yet/) })
    expect(stderr).not.toContain('listening')
  })

  test('the one in the usage is one of them', () => {
    const usage = /^Example:\n {2}(.*)$/m.exec(USAGE)?.[1]
    expect(RUNNABLE.map(({ block }) => block)).toContain(usage)
  })
})

describe('the options', () => {
  test('each that a document names is one of openmcp, or stands behind the name of another program', () => {
    const known = new Set(
      [...RUN_OPTIONS, ...TEST_OPTIONS, ...ID_OPTIONS, ...TOKEN_OPTIONS, ...TRUST_OPTIONS].flatMap(([name, { short }]) => [`--${name}`, `-${short}`]),
    )
    for (const document of OF_THE_PROJECT) {
      const code = [...spansOf(textOf(document)), ...blocksOf(textOf(document), 'sh')].filter((span) => /(?:^|\s)-{1,2}[a-z]/i.test(span))
      const unknown = code.flatMap((span) => {
        const [program = '', ...words] = wordsOf(span)
        return program.startsWith('-') ? optionsIn([program, ...words]).filter((option) => !known.has(option)) : mistakesIn(program, words)
      })
      expect({ document, unknown }).toEqual({ document, unknown: [] })
    }
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
        .filter((limit) => limit !== 'replayEvents')
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
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    const places = ['', 'src', ...rooms.map(({ name }) => join('src', name))]
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

type Transport = StreamableHTTPClientTransport | SSEClientTransport | StdioClientTransport

const CONFIGURATION = z.strictObject({ mcpServers: z.record(z.string(), z.strictObject({ command: z.string(), args: z.array(z.string()) })) })

/** Those that are wanted, each with the name of its test. */
function titled(examples: typeof EXAMPLES, wanted: (block: string, document: string) => boolean | undefined): [string, string][] {
  return examples.filter(({ document, block }) => wanted(block, document)).map(({ document, block }) => [`${document}: ${block}`, block])
}

/** What a client finds when all is well. */
const EVERYTHING = {
  server: expect.stringContaining('everything'),
  tools: expect.arrayContaining(['echo']),
  content: [{ type: 'text', text: 'Echo: as written' }],
}

/** Connects, asks what there is, calls one tool, and leaves. */
async function calledThrough(transport: Transport): Promise<unknown> {
  const client = new Client({ name: 'reader', version: '1.0.0' })
  await client.connect(transport)
  try {
    const { tools } = await client.listTools()
    const { content } = await client.callTool({ name: 'echo', arguments: { message: 'as written' } })
    return { server: client.getServerVersion()?.name, tools: tools.map(({ name }) => name), content }
  } finally {
    await client.close()
  }
}

/** Stopped as a terminal does it: every process in the foreground is told. npm would tell its shell alone, and that tells nobody. */
function fromTerminal(program: Program): Program {
  const foreground = (pid: number): number[] => [
    pid,
    ...childrenOf(pid)
      .filter((child) => groupOf(child) === groupOf(pid))
      .flatMap(foreground),
  ]
  const stop = (): Promise<End> => {
    for (const pid of foreground(program.pid)) process.kill(pid, 'SIGINT')
    return program.ended
  }
  return Object.assign(program, { stop })
}

/** The program and its arguments, with a free port for the one that is written and our server for the one at port 8000. */
function commandOf(block: string, origin: string): string[] {
  const [program = '', ...words] = wordsOf(block.replace(SET_UP, ''))
  const own = words.map((word, index) => {
    const here = words[index - 1] === '-p' ? word.replace(/^\d+(?=$|:http)/, '0') : word
    return here.replace('http://127.0.0.1:8000', origin)
  })
  return program === 'openmcp' ? [process.execPath, PROGRAM, ...own] : [program, ...own]
}

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
  const table = new Map([
    ['id', ID_OPTIONS],
    ['token', TOKEN_OPTIONS],
    ['trust', TRUST_OPTIONS],
  ]).get(words[0] ?? '')
  if (table) return readWords(words.slice(1), table).mistakes.map(({ message }) => message)
  const { mistakes } = readArguments(words[0] === 'run' || words[0] === 'test' ? words.slice(1) : words, words[0] === 'test' ? TEST_OPTIONS : RUN_OPTIONS)
  return mistakes.filter(({ code }) => code === 'usage').map(({ message }) => message)
}

function optionsIn(words: readonly string[]): string[] {
  return words.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.replace(/=.*$/, ''))
}

/** Split as a shell does where there is nothing but words and single quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
}

function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

function blocksOf(text: string, language: string): string[] {
  return fencedIn(text)
    .filter((fenced) => fenced.language === language)
    .map(({ block }) => block)
}

function fencedIn(text: string): { language: string; block: string }[] {
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)\n```$/gm)].map(([, language = '', block = '']) => ({ language, block }))
}

/** Code within the text. */
function spansOf(text: string): string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span)
}

/** A source file, a folder of sources, or anything below one of our folders. */
function isPath(span: string): boolean {
  return /^[\w-]+(?:\/[\w.-]+)*\.(?:ts|mjs)$|^[a-z]+\/$|^(?:\.ci|bench|docs|src|test)\/[\w./-]+$/.test(span)
}

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}

/** From a heading to the next of its level. */
function section(document: string, heading: string): string {
  const found = textOf(document)
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`${document} has no section '${heading}'`)
  return found
}

/** The cells of the first table, without its head. */
function tableOf(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  if (rows.length < 3) throw new Error('there is no table here')
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

function bare(cell: string): string {
  return cell.replaceAll('`', '')
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
