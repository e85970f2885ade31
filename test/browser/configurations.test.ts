import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { describe, expect, onTestFinished, test } from 'vitest'

import { secured } from '../support/secured.ts'
import { makeKey, toolsAt } from './stage.ts'
import { button, chromium, SKIPPED, visits, wallet, WALLET } from './visit.ts'

type Parsed = { url: string; headers: Record<string, string> }
interface Entry {
  command?: string
  args?: string[]
  env?: Record<string, string>
  type?: string
  url?: string
  headers?: Record<string, string>
}

const TOOLS = ['echo', 'secret']
const OPENMCP = fileURLToPath(new URL('../../dist/openmcp.mjs', import.meta.url))

/** As a client sees them that starts what is written there, with the openmcp that is built here. */
async function toolsOfCommand({ args = [], env = {} }: Entry): Promise<string[]> {
  const home = await mkdtemp(join(tmpdir(), 'openmcp-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [OPENMCP, ...args], env: { ...env, OPENMCP_HOME: home }, stderr: 'ignore' }))
  const { tools } = await client.listTools()
  await client.close()
  return tools.map(({ name }) => name)
}

describe.skipIf(chromium.missing !== undefined)(`what goes into clients${SKIPPED}`, () => {
  const { visit } = visits()

  const only = (servers: Record<string, Entry> | undefined): Entry => {
    const entries = Object.entries(servers ?? {})
    expect(entries.map(([name]) => name)).toEqual(['openmcp'])
    return entries[0]?.[1] ?? {}
  }
  const remote = ({ url = '', headers = {} }: Entry): Parsed => ({ url, headers })
  const filledIn = (text: string, key: string): string => text.replace(/\$\{(?:env:OPENMCP_KEY|OPENMCP_KEY|input:openmcp-key)\}/, key)

  type Read = (text: string) => Parsed
  const inMcpServers: Read = (text) => remote(only(JSON.parse(text).mcpServers))
  const inTyped: Read = (text) => {
    const entry = only(JSON.parse(text).mcpServers)
    expect(entry.type).toBe('http')
    return remote(entry)
  }
  const inServers: Read = (text) => {
    const entry = only(JSON.parse(text).servers)
    expect(entry.type).toBe('http')
    return remote(entry)
  }

  /** Each as its client reads it: where it leads, with which headers. */
  const READ: Readonly<Record<string, Read>> = {
    'Claude Code': (text) => {
      const [, url = '', header = ''] = /^claude mcp add --transport http openmcp (\S+) --header "Authorization: ([^"$`\\!]+)"$/.exec(text) ?? []
      return { url, headers: { Authorization: header } }
    },
    'Claude Desktop': (text) => {
      const { command, args = [], env = {} } = only(JSON.parse(text).mcpServers)
      expect([command, ...args.slice(0, 2)]).toEqual(['openmcp', 'run', '-p'])
      const [, authorization = ''] = /^Authorization: (.+)$/.exec(env['OPENMCP_HEADER'] ?? '') ?? []
      return { url: args[2] ?? '', headers: { Authorization: authorization } }
    },
    'VS Code': inServers,
    Cursor: inMcpServers,
    'MCP Inspector': inTyped,
  }
  const SHARED: Readonly<Record<string, Read>> = {
    'Claude Code, shared project': inTyped,
    'Cursor, shared project': inMcpServers,
    'VS Code, shared project': (text) => {
      expect(JSON.parse(text).inputs).toEqual([expect.objectContaining({ type: 'promptString', id: 'openmcp-key', password: true })])
      return inServers(text)
    },
  }

  test('each is read as its client reads it, holds the key, and leads in; what is shared in a project holds no key', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const key = await makeKey(page)
    const choice = page.getByLabel('Configuration for')
    expect((await choice.locator('option').allInnerTexts()).toSorted()).toEqual([...Object.keys(READ), ...Object.keys(SHARED)].toSorted())
    const textFor = async (client: string): Promise<string> => {
      await choice.selectOption(client)
      return page.locator('#configuration').innerText()
    }
    for (const [client, read] of Object.entries(READ)) {
      const { url, headers } = read(await textFor(client))
      expect(headers).toEqual({ Authorization: `Bearer ${key}` })
      expect([client, await toolsAt(new URL(url), headers)]).toEqual([client, TOOLS])
    }
    expect(await toolsOfCommand(only(JSON.parse(await textFor('Claude Desktop')).mcpServers))).toEqual(TOOLS)
    for (const [client, read] of Object.entries(SHARED)) {
      const text = await textFor(client)
      expect(text).not.toContain(key)
      const { url, headers } = read(filledIn(text, key))
      expect([client, await toolsAt(new URL(url), headers)]).toEqual([client, TOOLS])
    }
    await choice.selectOption('Cursor')
    await button(page, 'Copy the configuration').click()
    await page.getByText('The configuration is copied.').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(await page.locator('#configuration').innerText())
  })

  test('where it is served below a path, they lead there', async () => {
    const stage = await secured({ trusted: [wallet.did], listen: { pathPrefix: '/below' } })
    const { page, complaints } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const key = await makeKey(page)
    await page.getByLabel('Configuration for').selectOption('VS Code')
    const { url, headers } = inServers(await page.locator('#configuration').innerText())
    expect(url).toBe(`${stage.base}/with-key/mcp`)
    expect(await toolsAt(new URL(url), headers)).toEqual(TOOLS)
    expect(key).toMatch(/^sk_[\w-]{43}$/)
    expect(complaints).toEqual([])
  })
})
