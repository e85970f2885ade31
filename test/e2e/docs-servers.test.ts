// README.md on several servers: its lines are typed as they stand there, with its file, and with our servers at the addresses it names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { typed } from '../support/openmcp.ts'
import { startProgram, type Program } from '../support/program.ts'
import { everything } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { EVERYTHING, EXAMPLES, ROOT, blocksOf, calledThrough, commandOf, fromTerminal, isOfServers, textOf } from './documents.ts'

const LINES = EXAMPLES.filter(isOfServers).map(({ block }) => block)
/** What stands at port 8000 in the examples. Nobody is at port 8002. */
let origin: string
beforeAll(async () => {
  const upstream = await everything('Streamable HTTP')
  origin = new URL(upstream.served.upstream ?? '').origin
  return upstream.stop
})

async function started(line: string, file = ''): Promise<{ program: Program; url: URL }> {
  const [command = '', ...words] = commandOf(line, origin).map((word) =>
    word === 'servers.json' ? file : word.replace('http://127.0.0.1:8002', 'http://127.0.0.1:9'),
  )
  const program = await forThisTest(fromTerminal(startProgram(command, words, { cwd: ROOT })))
  const [, url = ''] = await program.says(/listening on (http\S+)/)
  return { program, url: new URL(url) }
}

function fileWith(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'openmcp-readme-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'servers.json')
  writeFileSync(file, text.replaceAll('http://127.0.0.1:8000', origin))
  return file
}

test('has a line for a file, for several addresses and for a stand-in', () => {
  expect(LINES.map((line) => / --(config|endpoints|fallback) /.exec(line)?.[1])).toEqual(['config', 'endpoints', 'fallback'])
})

test('the servers of the file are each at their own address, and one at the root', async () => {
  const { url } = await started(LINES[0] ?? '', fileWith(blocksOf(textOf('README.md'), 'jsonc')[0] ?? ''))
  for (const name of ['everything', 'remote']) {
    expect(await calledThrough(new StreamableHTTPClientTransport(new URL(`/servers/${name}/mcp`, url)))).toEqual(EVERYTHING)
  }
  const client = new Client({ name: 'reader', version: '1.0.0' })
  await client.connect(new StreamableHTTPClientTransport(url))
  const tools = (await client.listTools()).tools.map(({ name }) => name)
  expect(tools).toEqual(expect.arrayContaining(['everything__echo', 'remote__echo', 'everything__get-env']))
  expect(tools).not.toContain('remote__get-env')
  await client.close()
})

test.each(LINES.slice(1))('%s serves an SDK client, though only one of the two is there', async (line) => {
  const { url } = await started(line)
  expect(await calledThrough(new StreamableHTTPClientTransport(url))).toEqual(EVERYTHING)
})

test('the file that is shipped for a container and a service is one that openmcp takes', async () => {
  expect(await typed(['config', 'validate', join(ROOT, 'contrib/config/openmcp.json')])).toMatchObject({ code: 0 })
})
