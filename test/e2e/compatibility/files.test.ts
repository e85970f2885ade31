// The contract with files of other programs: `openmcp config import` turns each into one that serves.
import { expect, test } from 'vitest'

import { contractOf } from '../../support/contract.ts'
import type { Json } from '../../support/json.ts'
import { typed, type Proxy } from '../../support/openmcp.ts'
import { openSession } from '../../support/wire.ts'
import { CHILD, files, remote, serves, type Env } from './stage.ts'

const { works, differs } = contractOf('files')
const [COMMAND = '', ...ARGS] = CHILD

/** What the import writes, served as it is. */
async function imported(name: string, content: Json | string, env: Env = {}): Promise<Proxy & { written: string }> {
  const { code, stdout, stderr } = await typed(['config', 'import', files({ [name]: content }).at(name)], { env })
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  const proxy = await serves(['run', '-p', '0', '--config', files({ 'openmcp.json': stdout }).at('openmcp.json')], env)
  return Object.assign(proxy, { written: stdout })
}

const behind = (proxy: Proxy, name: string) => openSession(proxy.at(`/servers/${name}/mcp`))

test('Claude Desktop, Cursor, Windsurf: mcpServers, as it is', works('servers by a file'), async () => {
  const { at } = files({
    'claude_desktop_config.json': { mcpServers: { 'My Server': { command: COMMAND, args: ARGS, env: { A: '1' } } }, globalShortcut: undefined },
  })
  const proxy = await serves(['run', '-p', '0', '--config', at('claude_desktop_config.json')])
  expect(await (await behind(proxy, 'My%20Server')).call('who')).toMatchObject({ env: { A: '1' } })
})

test('VS Code: servers, ${env:NAME}', works('servers by a file'), async () => {
  const there = await remote()
  const proxy = await imported(
    'mcp.json',
    {
      servers: {
        near: { type: 'stdio', command: COMMAND, args: ARGS, env: { KEY: '${env:MY_KEY}' } },
        far: { type: 'http', url: `${there.origin}/mcp`, headers: { 'X-Key': '${env:MY_KEY}' } },
      },
    },
    { MY_KEY: 'from-env' },
  )
  expect(proxy.written).not.toContain('from-env')
  expect(await (await behind(proxy, 'near')).call('who')).toMatchObject({ env: { KEY: 'from-env' } })
  await (await behind(proxy, 'far')).call('echo')
  expect(there.call.headers['x-key']).toBe('from-env')
})

test('VS Code: ${input:NAME} becomes a variable', works('servers by a file'), async () => {
  const file = {
    inputs: [{ type: 'promptString', id: 'my-key', password: true }],
    servers: { near: { command: COMMAND, args: ARGS, env: { KEY: '${input:my-key}' } } },
  }
  const { code, stdout } = await typed(['config', 'import', files({ 'mcp.json': file }).at('mcp.json')])
  expect(code).toBe(0)
  expect(stdout).toMatch(/\$\{(?:env:)?MY_KEY\}/)
})

test('Zed: context_servers', works('servers by a file'), async () => {
  const entry = { source: 'custom', command: COMMAND, args: ARGS, env: { A: '1' } }
  const proxy = await imported('settings.json', { context_servers: { mine: entry } })
  expect(await (await behind(proxy, 'mine')).call('who')).toMatchObject({ env: { A: '1' } })
})

test('TBXark/mcp-proxy: mcpProxy, mcpServers, options.toolFilter', works('servers by a file'), async () => {
  const there = await remote()
  const proxy = await imported('config.json', {
    mcpProxy: { baseURL: 'https://mcp.example.com', addr: ':9090', name: 'Proxy', version: '1.0.0', type: 'streamable-http', options: { logEnabled: true } },
    mcpServers: {
      near: { command: COMMAND, args: ARGS, env: { A: '1' } },
      far: { url: `${there.origin}/mcp`, transportType: 'streamable-http', options: { toolFilter: { mode: 'block', list: ['delete_all'] } } },
    },
  })
  expect(await (await behind(proxy, 'near')).call('who')).toMatchObject({ env: { A: '1' } })
  const listed = await (await behind(proxy, 'far')).post({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  expect(await listed.message(({ id }) => id === 1)).toMatchObject({ result: { tools: [{ name: 'echo' }] } })
})

test('TBXark/mcp-proxy: options.authTokens', differs('keys in a file'), async () => {
  const options = { authTokens: ['a-token-of-somebody'] }
  const file = { mcpProxy: { addr: ':9090', options }, mcpServers: { near: { command: COMMAND, args: ARGS, options } } }
  const { stdout, stderr } = await typed(['config', 'import', files({ 'config.json': file }).at('config.json')])
  expect(stderr).toMatch(/mcpProxy\.options\.authTokens: is left out[^]*--api-key-file/)
  expect(`${stdout}${stderr}`).not.toContain('a-token-of-somebody')
})

test('mcp-hub: JSON5-like comments, ${ENV}, disabled', works('servers by a file'), async () => {
  const proxy = await imported(
    'mcp-hub.json',
    `{
      // with comments, and commas at the ends
      "mcpServers": {
        "near": { "command": ${JSON.stringify(COMMAND)}, "args": ${JSON.stringify(ARGS)}, "env": { "A": "\${MY_A}" }, },
        "off": { "command": "none", "disabled": true },
      },
    }`,
    { MY_A: '1' },
  )
  expect(await (await behind(proxy, 'near')).call('who')).toMatchObject({ env: { A: '1' } })
})

test('openmcp config validate FILE', works('a file checked'), async () => {
  const { at } = files({ 'servers.json': { mcpServers: { near: { command: COMMAND, args: ARGS } } } })
  expect(await typed(['config', 'validate', at('servers.json')])).toMatchObject({ code: 0, stdout: 'near' })
})
