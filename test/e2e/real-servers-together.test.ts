// Reference servers for memory, files and everything, unmodified: each by its name, all of them as one, and alone, on every way in.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { jsonOf } from '../support/json.ts'
import { PROGRAM, serve, type Proxy } from '../support/openmcp.ts'
import { forThisTest } from '../support/tidy.ts'

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'openmcp-real-servers-')))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const MEMORY_FILE = join(directory, 'memory.jsonl')
const SERVERS = {
  memory: { ...serverOf('memory'), env: { MEMORY_FILE_PATH: MEMORY_FILE } },
  files: serverOf('filesystem', directory),
  everything: serverOf('everything', 'stdio'),
}
type Name = keyof typeof SERVERS

/** What a client does with each server; `as` is how its tools are called there. */
const USES: Readonly<Record<Name, (client: Client, as?: string) => Promise<void>>> = {
  async memory(client, as = '') {
    const entity = { name: randomUUID(), entityType: 'person', observations: ['wrote the first program'] }
    await client.callTool({ name: `${as}create_entities`, arguments: { entities: [entity] } })
    expect(await client.callTool({ name: `${as}search_nodes`, arguments: { query: entity.name } })).toMatchObject({ structuredContent: { entities: [entity] } })
    expect(readFileSync(MEMORY_FILE, 'utf8')).toContain(entity.name)
  },
  async files(client, as = '') {
    const path = join(directory, `note ${as}.txt`)
    await client.callTool({ name: `${as}write_file`, arguments: { path, content: 'as written: ü' } })
    expect(readFileSync(path, 'utf8')).toBe('as written: ü')
    expect(textOf(await client.callTool({ name: `${as}list_directory`, arguments: { path: directory } }))).toContain(`[FILE] note ${as}.txt`)
    const outside = await client.callTool({ name: `${as}read_text_file`, arguments: { path: fileURLToPath(import.meta.url) } })
    expect(outside).toMatchObject({ isError: true })
    expect(textOf(outside)).toContain('outside allowed directories')
  },
  async everything(client, as = '') {
    expect(textOf(await client.callTool({ name: `${as}echo`, arguments: { message: 'as written' } }))).toBe('Echo: as written')
  },
}
const NAMES = Object.keys(SERVERS) as Name[] // a const: it has these keys and no others

describe('by their names and as one', () => {
  let proxy: Proxy
  beforeAll(async () => {
    const file = join(directory, 'servers.json')
    writeFileSync(file, JSON.stringify({ mcpServers: SERVERS, aggregate: true }), { mode: 0o600 })
    proxy = await serve({ options: ['--config', file] })
    return proxy.stop
  })

  const WAYS_IN = [
    { way: 'Streamable HTTP', connect: (path: string) => connected(new StreamableHTTPClientTransport(proxy.at(`${path}/mcp`))) },
    { way: 'HTTP+SSE', connect: (path: string) => connected(new SSEClientTransport(proxy.at(`${path}/sse`))) },
  ]

  describe.each(WAYS_IN)('over $way', ({ connect }) => {
    test.each(NAMES)('%s does its work', async (name) => {
      const client = await connect(`/servers/${name}`)
      expect((await client.listTools()).tools.filter((tool) => tool.name.includes('__'))).toEqual([])
      await USES[name](client)
    })

    test('one client uses all of them, and the tools of each have its name before theirs', async () => {
      const client = await connect('')
      const { tools } = await client.listTools()
      expect(new Set(tools.map((tool) => tool.name.split('__')[0]))).toEqual(new Set(NAMES))
      for (const name of NAMES) await USES[name](client, `${name}__`)
      expect((await client.listPrompts()).prompts.map((prompt) => prompt.name)).toContain('everything__simple-prompt')
      expect((await client.listResources()).resources.length).toBeGreaterThan(0)
    })
  })
})

describe('on stdio', () => {
  test.each(NAMES)('%s does its work', async (name) => {
    const { command, args } = SERVERS[name]
    const options = name === 'memory' ? ['-e', `MEMORY_FILE_PATH=${MEMORY_FILE}`] : []
    const words = [PROGRAM, 'run', ...options, '--', command, ...args]
    const client = await connected(new StdioClientTransport({ command: process.execPath, args: words, stderr: 'ignore' }))
    expect((await client.listTools()).tools).not.toEqual([])
    await USES[name](client)
  })
})

function serverOf(name: string, ...args: string[]): { command: string; args: string[] } {
  const file = fileURLToPath(new URL(`../../node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, import.meta.url))
  return { command: process.execPath, args: [file, ...args] }
}

/** Until the test ends. */
async function connected(transport: StreamableHTTPClientTransport | SSEClientTransport | StdioClientTransport): Promise<Client> {
  const client = new Client({ name: 'e2e', version: '1' })
  await client.connect(transport)
  return Object.assign(client, await forThisTest({ stop: () => client.close() }))
}

function textOf(result: unknown): unknown {
  const { content } = jsonOf(result)
  return Array.isArray(content) ? jsonOf(content[0])['text'] : undefined
}
