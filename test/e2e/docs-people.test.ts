// What docs/upstream-login.md, docs/key-page.md and docs/browser-login.md promise: commands are typed as they stand, tables are compared with the source.
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'

import { configurationsFor } from '../../src/key-page/configurations.ts'
import { keyProver, type Prover } from '../api-keys/stage.ts'
import { approve, browser } from '../oauth/browser/stage.ts'
import { nodeHome, type NodeHome } from '../support/node-home.ts'
import { PROGRAM, serve, type Proxy } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { everything } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { EVERYTHING, ROOT, bare, blocksOf, calledThrough, commandOf, linesOf, section, tableOf, textOf } from './documents.ts'

const LOGIN = 'docs/upstream-login.md'
const SERVER = 'https://mcp.example.com/mcp'

/** A server that wants a login, and somebody whom it trusts. */
async function serverWith({ did }: Prover): Promise<Proxy> {
  const home = await nodeHome()
  await home.run('trust', 'add', did)
  const { served } = await everything('stdio child')
  return forThisTest(serve({ ...served, options: ['--security'], env: home.env }))
}

/** Opens the address that is printed, proves, and goes where the browser is sent. */
async function logsIn(address: string, who: Prover): Promise<void> {
  const tab = browser()
  const page = new URL((await tab.get(address)).headers.location ?? 'none:')
  const uid = page.searchParams.get('login') ?? ''
  const { json } = await approve(tab, { uid, at: `${page.origin}/login/${uid}` }, who)
  const { headers } = await tab.get(String(json['redirect_to']))
  await fetch(headers.location ?? 'none:')
}

async function loggedIn(login: string, server: Proxy, who: Prover, { env }: NodeHome): Promise<string> {
  const [command = '', ...args] = typedAt(login, server)
  const program = await forThisTest(Promise.resolve(startProgram(command, args, { env: { ...env, BROWSER: 'none' } })))
  const [address] = await program.says(/^http:\S+\/authorize\?\S+$/)
  await logsIn(address, who)
  expect(await program.ended).toEqual({ code: 0, signal: null })
  return program.stderr.at(-1) ?? ''
}

function typedAt(line: string, { url }: Proxy): string[] {
  return commandOf(line.replace(SERVER, url.href).replace('-p 8000:', '-p 0:'), '')
}

describe('docs/upstream-login.md', () => {
  test('what is typed logs in, serves, lists and forgets', async () => {
    const who = keyProver()
    const [server, mine] = [await serverWith(who), await nodeHome()]
    const [login = '', run = '', list = '', reset = '', resetAll = '', ...more] = blocksOf(textOf(LOGIN), 'sh').flatMap(linesOf)
    expect(more).toEqual([])
    expect(await loggedIn(login, server, who, mine)).toBe(`openmcp: logged in at ${server.url.origin} for ${server.url.href}; it is renewed by itself`)
    const [command = '', ...args] = typedAt(run, server)
    const proxy = await forThisTest(Promise.resolve(startProgram(command, args, { env: mine.env })))
    const [, served = ''] = await proxy.says(/listening on (\S+)/)
    expect(await calledThrough(new StreamableHTTPClientTransport(new URL(served)))).toEqual(EVERYTHING)
    const says = async (line: string): Promise<string> => {
      const [program = '', ...words] = typedAt(line, server)
      const typed = startProgram(program, words, { env: mine.env })
      expect(await typed.ended).toEqual({ code: 0, signal: null })
      return [...typed.stdout, ...typed.stderr].join('\n')
    }
    expect(await says(list)).toBe(`${server.url.href} ${server.url.origin} renewed`)
    expect(await says(reset)).toContain(`openmcp: forgotten: the login for ${server.url.href}`)
    expect(await says(resetAll)).toBe('openmcp: there is no login to forget')
  })

  test('the configuration for a client that starts commands reaches the server, and holds no secret', async () => {
    const who = keyProver()
    const [server, mine] = [await serverWith(who), await nodeHome()]
    await loggedIn(`openmcp login ${SERVER}`, server, who, mine)
    const [block = '', ofCallers, ...more] = blocksOf(textOf(LOGIN), 'json')
    expect([more, /token|key|secret/i.test(block)]).toEqual([[], false])
    // That one is served in test/e2e/own-login.test.ts.
    expect(ofCallers).toContain('"per": "caller"')
    const [started, ...others] = Object.values(MCP_SERVERS.parse(JSON.parse(block.replace(SERVER, server.url.href))).mcpServers)
    if (!started) throw new Error('there is no server in it')
    expect(others).toEqual([])
    const directory = mkdtempSync(join(tmpdir(), 'openmcp-docs-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    writeFileSync(join(directory, 'openmcp'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`)
    chmodSync(join(directory, 'openmcp'), 0o755)
    const env = { ...mine.env, PATH: [directory, process.env['PATH']].join(delimiter) }
    expect(await calledThrough(new StdioClientTransport({ ...started, env, stderr: 'ignore' }))).toEqual(EVERYTHING)
  })

  test('the words that it explains are words of the program', () => {
    const source = textsIn('src')
    const words = tableOf(section(LOGIN, 'When it does not work')).map(([cell = '']) => bare(cell))
    expect(words.length).toBeGreaterThan(5)
    expect(words.filter((word) => !word.split('…').every((part) => source.includes(part.trim())))).toEqual([])
  })
})

describe('docs/key-page.md', () => {
  test('has every configuration of the page', () => {
    const told = tableOf(section('docs/key-page.md', 'Configurations')).map(([client]) => client)
    expect(told).toEqual(configurationsFor('sk_x', new URL('http://127.0.0.1/keys')).map(({ client }) => client))
  })

  test('the words that it explains are words of the page', () => {
    const page = textsIn('src/key-page')
    const words = tableOf(section('docs/key-page.md', 'When something is in the way')).map(([cell = '']) => cell)
    expect(words.length).toBeGreaterThan(5)
    expect(words.filter((word) => !page.includes(word))).toEqual([])
  })
})

test('where docs/browser-login.md says that programs are called back, a browser has been sent in a test', () => {
  const tests = readFileSync(join(ROOT, 'test/browser/redirects.test.ts'), 'utf8')
  const told = tableOf(section('docs/browser-login.md', 'Clients')).flatMap(([, , back = '']) => [...back.matchAll(/`([^`]+)`/g)].map(([, uri = '']) => uri))
  expect(told.length).toBeGreaterThan(5)
  expect(told.filter((uri) => !tests.includes(uri.replace(/PORT.*$/, '')))).toEqual([])
})

const MCP_SERVERS = z.strictObject({ mcpServers: z.record(z.string(), z.strictObject({ command: z.string(), args: z.array(z.string()) })) })

/** All that is written in the sources of a folder. */
function textsIn(folder: string): string {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(?:ts|html)$/.test(file))
    .map((file) => readFileSync(join(ROOT, folder, file), 'utf8'))
    .join('\n')
}
