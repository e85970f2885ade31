// Files of other programs, and what we make of them: each is read by us afterwards without a mistake.
import { expect, test } from 'vitest'

import { readConfig } from '../../src/config/config.ts'
import { importConfig } from '../../src/config/import.ts'

const EVERYTHING_SET = { env: new Proxy({}, { get: () => 'set' }), readText: (): string => 'text' }

function imported(value: object): { servers: unknown; notes: readonly string[] } {
  const made = importConfig(value)
  expect(readConfig(JSON.stringify(made?.config), EVERYTHING_SET).mistakes).toEqual([])
  return { servers: made?.config.mcpServers, notes: made?.notes ?? [] }
}

test('VS Code', () => {
  const value = {
    inputs: [{ id: 'github-token', type: 'promptString', password: true }],
    servers: {
      github: { type: 'http', url: 'https://api.example/mcp/', headers: { Authorization: 'Bearer ${input:github-token}' } },
      files: { type: 'stdio', command: 'npx', args: ['-y', 'server', '${workspaceFolder}'], env: { KEY: '${env:KEY}' } },
    },
  }
  expect(imported(value)).toEqual({
    servers: {
      github: { type: 'http', url: 'https://api.example/mcp/', headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' } },
      files: { type: 'stdio', command: 'npx', args: ['-y', 'server', '${WORKSPACEFOLDER}'], env: { KEY: '${env:KEY}' } },
    },
    notes: [
      'servers.github.headers.Authorization: "${input:github-token}" is the variable GITHUB_TOKEN',
      'servers.files.args[2]: "${workspaceFolder}" is the variable WORKSPACEFOLDER',
      'inputs: is left out',
    ],
  })
})

test('Zed, in both of its forms', () => {
  const value = {
    theme: 'One Dark',
    context_servers: {
      old: { command: { path: 'npx', args: ['x'], env: { A: 'b' } }, settings: {} },
      new: { source: 'custom', command: 'uvx', args: ['y'], env: {} },
    },
  }
  expect(imported(value)).toEqual({
    servers: { old: { command: 'npx', args: ['x'], env: { A: 'b' } }, new: { command: 'uvx', args: ['y'], env: {} } },
    notes: ['context_servers.old.settings: is left out', 'theme: is left out'],
  })
})

test("TBXark's mcp-proxy", () => {
  const value = {
    mcpProxy: { addr: ':9090', options: { authTokens: ['hunter2'] } },
    mcpServers: {
      github: { command: 'npx', args: ['x'], options: { toolFilter: { mode: 'block', list: ['rm'] }, logEnabled: true } },
      far: { url: 'https://far/mcp', transportType: 'streamable-http' },
    },
  }
  expect(imported(value)).toEqual({
    servers: { github: { command: 'npx', args: ['x'], tools: { block: ['rm'] } }, far: { url: 'https://far/mcp', transportType: 'streamable-http' } },
    notes: ['mcpServers.github.options.logEnabled: is left out', 'mcpProxy: is left out'],
  })
})

test('mcp-hub, whose commands are not run', () => {
  const { servers, notes } = imported({
    mcpServers: { a: { url: 'https://h/mcp', headers: { Authorization: 'Bearer ${cmd: op read op://vault/token}' }, disabled_tools: ['x'] } },
  })
  expect(servers).toEqual({ a: { url: 'https://h/mcp', headers: { Authorization: 'Bearer ${OP_READ_OP_VAULT_TOKEN}' }, disabled_tools: ['x'] } })
  expect(notes).toEqual([expect.stringContaining('no command is run here')])
})

test('mcp-connect', () => {
  const value = {
    version: '1',
    servers: { a: { remote: { transport_type: 'http', url: 'https://h/mcp', headers: [{ key: 'X-A', value: '${TOKEN}' }] }, timeout: 30, retry_attempts: 3 } },
  }
  expect(imported(value)).toEqual({
    servers: { a: { url: 'https://h/mcp', type: 'http', headers: { 'X-A': '${TOKEN}' }, timeout: 30 } },
    notes: ['servers.a.retry_attempts: is left out', 'version: is left out'],
  })
})

test.each([[[]], [{}], [{ servers: 1 }], [null], ['x']])('%j is of no program that is known', (value) => {
  expect(importConfig(value)).toBeUndefined()
})
