// What TSP_EXTEND.md promises: what is typed there is typed in its order, and says what stands below it; its program runs as it stands; the
// words that it explains are words of the source.
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { expect, onTestFinished, test } from 'vitest'

import { openDpopKey } from '../../src/login/dpop-key.ts'
import { isJson, jsonOf, type Json } from '../support/json.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import { PROGRAM, serve } from '../support/openmcp.ts'
import { startProgram, type Program } from '../support/program.ts'
import { everything, freePort } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { EVERYTHING, ROOT, bare, calledThrough, fencedIn, linesOf, section, spansOf, tableOf, textOf, wordsOf } from './documents.ts'

const DOCUMENT = 'TSP_EXTEND.md'
const NODE_SAYS = 'TSP endpoint listening for incoming messages to: '

/** A reader with one home, who has what the document puts in capitals from what was said before. */
interface Reader {
  readonly home: NodeHome
  /** What is written for each port, and the one that it is here. */
  readonly ports: ReadonlyMap<string, string>
  readonly names: Map<string, string>
  /** Who listens, by the port that is written. */
  readonly running: Map<string, Program>
  /** On stdout and stderr, of what was typed last. */
  said: string[]
}

test('what is typed says what stands there, and the program in between calls a tool', { timeout: 120_000 }, async () => {
  const reader: Reader = {
    home: await nodeHome(),
    ports: new Map([
      ['8000', String(await freePort())],
      ['8001', String(await freePort())],
    ]),
    names: new Map(),
    running: new Map(),
    said: [],
  }
  const blocks = fencedIn(textOf(DOCUMENT))
  for (const [index, { language, block }] of blocks.entries()) {
    const before = blocks[index - 1]?.language
    if (language === 'sh') await types(reader, linesOf(block))
    else if (language === 'js') await runs(reader, block)
    else if (before === 'sh') hasSaid(reader, linesOf(block))
    else if (block.startsWith('openmcp: ')) await nodeHasSaid(reader, linesOf(block))
  }
  expect([...reader.names.keys()]).toEqual(['ALICE', 'NODE', 'WEB'])
})

test('the link of the first start is redeemed by TSP, once', async () => {
  const [words = ''] = spansOf(textOf(DOCUMENT)).filter((span) => span.includes('--enrol LINK'))
  const [node, mine] = [await nodeHome(), await nodeHome()]
  const { served } = await everything('stdio child')
  const proxy = await forThisTest(serve({ ...served, options: ['--tsp', 'verify'], env: node.env }))
  const [, remote = ''] = await proxy.says(new RegExp(`${NODE_SAYS}(\\S+)$`))
  const [, link = ''] = await proxy.says(/--enrol '([^']+)'/)
  const typed = wordsOf(words.replace('NODE', remote).replace('LINK', link)).slice(1)
  const token = jsonOf(JSON.parse(await mine.run(...typed)))
  expect(await calledThrough(new StreamableHTTPClientTransport(proxy.url, { fetch: await fetchWith(token) }))).toEqual(EVERYTHING)
  await expect(mine.run(...typed, '--timeout', '2')).resolves.toContain('access_token')
  const other = await nodeHome()
  await expect(other.run(...typed, '--timeout', '2')).rejects.toThrow('no answer by TSP within 2 s')
})

test('the words that it explains are words of the source', () => {
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
    .join('\n')
  const words = tableOf(section(DOCUMENT, 'When it does not work')).flatMap(([cell = '']) => spansOf(cell))
  expect(words.length).toBeGreaterThan(10)
  expect(words.filter((word) => !word.split('…').every((part) => source.includes(part.trim())))).toEqual([])
})

test('docs/tsp.md has every reason for which a message is not taken', () => {
  const told = tableOf(section('docs/tsp.md', 'What is counted, and said')).map(([reason = '']) => bare(reason))
  const unions = [
    ['src/tsp/refusal.ts', 'RefusalReason'],
    ['src/tsp/dropped.ts', 'DropReason'],
    ['src/tsp/carriage/framing.ts', 'ConnectionRefusal'],
    ['src/http/tsp.ts', 'TspDoorRefusal'],
  ]
  const reasons = unions.flatMap(([file = '', name = '']) => {
    const [, union = ''] = new RegExp(`type ${name} =([^]*?)\\n\\n`).exec(textOf(file)) ?? []
    return [...union.matchAll(/'(\w+)'/g)].map(([, reason = '']) => reason)
  })
  expect(reasons.length).toBeGreaterThan(15)
  expect(new Set(told)).toEqual(new Set([...reasons, 'unheard']))
})

test('what it was tried with is what npm runs, or said not to be', () => {
  const rows = tableOf(section(DOCUMENT, 'Who it was tried with'))
  const shown = rows.filter(([, , , by = '']) => spansOf(by).some((span) => span.startsWith('npm ')))
  const others = rows.filter((row) => !shown.includes(row))
  expect(shown.length).toBeGreaterThan(3)
  expect(others.filter(([, , what = '', by = '']) => !what.includes('not run') && by !== 'the same')).toEqual([])
  const held = [bare(textOf('test/slow/tsp-driver/Cargo.toml')), textOf('test/slow/tsp-interop.mjs')].join('\n')
  expect(held).toContain('=0.11.')
})

async function types(reader: Reader, lines: readonly string[]): Promise<void> {
  reader.said = []
  for (const line of lines) {
    const [, ...words] = wordsOf(withOwn(reader, line))
    const port = /^openmcp run .*-p (\d+)/.exec(line)?.[1]
    reader.said.push(...(port === undefined ? await saidBy(reader, words) : await serves(reader, port, words)))
    const created = line.startsWith('openmcp id create alice ') ? reader.said[0] : undefined
    if (created !== undefined) reader.names.set('ALICE', created)
    const vid = reader.said.find((each) => each.includes(NODE_SAYS))?.split(NODE_SAYS)[1]
    if (vid !== undefined) reader.names.set(line.includes('--tsp-id web') ? 'WEB' : 'NODE', vid)
  }
}

/** Whoever listens there was stopped before, as the document says; and with the node, who stood in front of it. */
async function serves({ home: { env }, running }: Reader, port: string, words: readonly string[]): Promise<string[]> {
  if (running.has(port)) await Promise.all([...running.values()].map((program) => program.stop()))
  const program = await forThisTest(Promise.resolve(startProgram(process.execPath, [PROGRAM, ...words], { cwd: ROOT, env })))
  running.set(port, program)
  await program.says(/listening on/)
  if (words.includes('--tsp')) await program.says(new RegExp(NODE_SAYS))
  // What the server behind has to say comes at any time.
  return program.stderr.filter((line) => !/^openmcp: \[\w+ \d+\] /.test(line))
}

/** In the order in which a terminal shows it. */
async function saidBy({ home: { env } }: Reader, words: readonly string[]): Promise<string[]> {
  const program = startProgram('sh', ['-c', 'exec "$@" 2>&1', '--', process.execPath, PROGRAM, ...words], { env })
  const { code } = await program.ended
  expect({ words, failed: code !== 0 }).toEqual({ words, failed: program.stdout.some((line) => line.startsWith('openmcp: error:')) })
  return [...program.stdout]
}

async function runs(reader: Reader, block: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-docs-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, 'token.json'), reader.said.slice(reader.said.indexOf('{')).join('\n'), { mode: 0o600 })
  writeFileSync(join(directory, 'example.mjs'), block)
  const program = startProgram(process.execPath, ['example.mjs'], { cwd: directory })
  expect({ ...(await program.ended), stderr: program.stderr, stdout: program.stdout.join('\n') }).toEqual({
    code: 0,
    signal: null,
    stderr: [],
    stdout: expect.stringContaining('Echo: hello'),
  })
}

function hasSaid(reader: Reader, lines: readonly string[]): void {
  expect(reader.said).toEqual(lines.map((line) => expect.stringMatching(patternOf(reader, line))))
}

async function nodeHasSaid(reader: Reader, lines: readonly string[]): Promise<void> {
  const node = reader.running.get('8000')
  for (const line of lines) await until(`${line} on the node`, () => node?.stderr.some((said) => patternOf(reader, line).test(said)))
}

function withOwn({ ports, names }: Reader, text: string): string {
  return text.replaceAll(/\b(?:8000|8001)\b|\b(?:ALICE|NODE|WEB)\b/g, (word) => ports.get(word) ?? names.get(word) ?? word)
}

/** What a line says, where `…` stands for any text. */
function patternOf(reader: Reader, line: string): RegExp {
  const parts = withOwn(reader, line)
    .split('…')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.+')}$`)
}

async function fetchWith({ access_token: token, dpop_jwk: jwk }: Json): Promise<(url: string | URL, init?: RequestInit) => Promise<Response>> {
  const key = await openDpopKey(isJson(jwk) ? jwk : {}, { now: Date.now })
  return async (url, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `DPoP ${String(token)}`)
    headers.set('dpop', await key.proof({ method: init?.method ?? 'GET', url: new URL(url), accessToken: String(token) }))
    return fetch(url, { ...init, headers })
  }
}
