// The documents as tests read them, and their examples as a reader types them.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import type { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { expect } from 'vitest'
import { PROGRAM } from '../support/openmcp.ts'
import { childrenOf, groupOf } from '../support/processes.ts'
import type { End, Program } from '../support/program.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const DOCUMENTS = ['README.md', 'TSP_EXTEND.md', ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`)]
export const OF_THE_PROJECT = [...DOCUMENTS, 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'keys/README.md']
/** What a reader types, line by line, and where it says so. */
export const EXAMPLES = DOCUMENTS.flatMap((document) =>
  blocksOf(textOf(document), 'sh')
    .flatMap(linesOf)
    .map((block) => ({ document, block })),
)

/** Examples of `--security`: run on a home of their own, by whoever proves an identity. */
export function isSecured({ document, block }: (typeof EXAMPLES)[number]): boolean {
  return document !== 'TSP_EXTEND.md' && /^openmcp (?:run --security|token) /.test(block)
}

/** Examples of logins at a server of somebody else: one depends on the one before, so docs-people.test.ts types them. */
export function isOfPeople({ document }: (typeof EXAMPLES)[number]): boolean {
  return document === 'docs/upstream-login.md'
}

/** What is typed there depends on what was typed before, so docs-tsp.test.ts types all of it. */
export function isOfTsp({ document }: (typeof EXAMPLES)[number]): boolean {
  return document === 'TSP_EXTEND.md'
}

/** Examples of several servers: docs-servers.test.ts runs them, with the file and the addresses that they name. */
export function isOfServers({ document, block }: (typeof EXAMPLES)[number]): boolean {
  return document === 'README.md' && / --(?:config|endpoints|fallback) /.test(block)
}

/** What `npm ci &&` stands before: the tests run in a tree in which it was done. */
export const SET_UP = 'npm ci && '

type Transport = StreamableHTTPClientTransport | SSEClientTransport | StdioClientTransport

/** What a client finds when all is well. */
export const EVERYTHING = {
  server: expect.stringContaining('everything'),
  tools: expect.arrayContaining(['echo']),
  content: [{ type: 'text', text: 'Echo: as written' }],
}

/** Connects, asks what there is, calls one tool, and leaves. */
export async function calledThrough(transport: Transport): Promise<unknown> {
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
export function fromTerminal(program: Program): Program {
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
export function commandOf(block: string, origin: string): string[] {
  const [program = '', ...words] = wordsOf(block.replace(SET_UP, ''))
  const own = words.map((word, index) => {
    const here = words[index - 1] === '-p' ? word.replace(/^\d+(?=$|:http)/, '0') : word
    return here.replace('http://127.0.0.1:8000', origin)
  })
  return program === 'openmcp' ? [process.execPath, PROGRAM, ...own] : [program, ...own]
}

/** Those that are wanted, each with the name of its test. */
export function titled(examples: typeof EXAMPLES, wanted: (block: string, document: string) => boolean | undefined): [string, string][] {
  return examples.filter(({ document, block }) => wanted(block, document)).map(({ document, block }) => [`${document}: ${block}`, block])
}

/** Split as a shell does where there is nothing but words and single quotes. */
export function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
}

export function textOf(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8')
}

export function blocksOf(text: string, language: string): string[] {
  return fencedIn(text)
    .filter((fenced) => fenced.language === language)
    .map(({ block }) => block)
}

export function linesOf(block: string): string[] {
  return block.split('\n')
}

export function fencedIn(text: string): { language: string; block: string }[] {
  return [...text.matchAll(/^```(.*)\n([\s\S]*?)\n```$/gm)].map(([, language = '', block = '']) => ({ language, block }))
}

/** Code within the text. */
export function spansOf(text: string): string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span.replaceAll('\\|', '|'))
}

/** From a heading to the next of its level. */
export function section(document: string, heading: string): string {
  const found = textOf(document)
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`${document} has no section '${heading}'`)
  return found
}

/** The cells of the only table in a text, or of the one that begins so, without its head. A bar within a cell is written with a backslash. */
export function tableOf(text: string, head = ''): string[][] {
  const tables = text.split(/^(?!\|).*$/m).filter((part) => part.trim() !== '' && cellsOf(part.trim())[0]?.startsWith(head))
  const [table, ...others] = tables
  if (table === undefined || others.length > 0) throw new Error(`${tables.length} tables where one is meant: ${head}`)
  return table.trim().split('\n').slice(2).map(cellsOf)
}

function cellsOf(row: string): string[] {
  return row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
}

export function bare(cell: string): string {
  return cell.replaceAll('`', '')
}
