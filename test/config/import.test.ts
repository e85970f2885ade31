// Files of other programs, and what we make of them: each is read by us afterwards without a mistake.
import { describe, expect, test } from 'vitest'

import { readConfig } from '../../src/config/config.ts'
import { importConfig } from '../../src/config/import/import.ts'
import { at } from '../support/json.ts'

const EVERYTHING_SET = { env: new Proxy({}, { get: () => 'set to something that is long enough' }), readText: (): string => 'text' }

function imported(value: object): { config: unknown; servers: unknown; notes: readonly string[] } {
  const made = importConfig(value)
  expect(readConfig(JSON.stringify(made?.config), EVERYTHING_SET).mistakes).toEqual([])
  return { config: made?.config, servers: made?.config['mcpServers'], notes: made?.notes ?? [] }
}

test('VS Code', () => {
  const value = {
    inputs: [{ id: 'github-token', type: 'promptString', password: true }],
    servers: {
      github: { type: 'http', url: 'https://api.example/mcp/', headers: { Authorization: 'Bearer ${input:github-token}' } },
      files: { type: 'stdio', command: 'npx', args: ['-y', 'server', '${workspaceFolder}'], env: { KEY: '${env:KEY}' }, envFile: '.env' },
    },
  }
  expect(imported(value)).toMatchObject({
    servers: {
      github: { type: 'http', url: 'https://api.example/mcp/', headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' } },
      files: { type: 'stdio', command: 'npx', args: ['-y', 'server', '${WORKSPACEFOLDER}'], env: { KEY: '${env:KEY}' }, envFile: ['.env'] },
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
  expect(imported(value)).toMatchObject({
    servers: { old: { command: 'npx', args: ['x'], env: { A: 'b' } }, new: { command: 'uvx', args: ['y'], env: {} } },
    notes: ['context_servers.old.settings: is left out', 'theme: is left out'],
  })
})

test("TBXark's mcp-proxy", () => {
  const value = {
    mcpProxy: {
      baseURL: 'https://mcp.example',
      addr: ':9090',
      name: 'proxy',
      version: '1.0.0',
      options: { panicIfInvalid: false, authTokens: ['hunter2'], toolFilter: { mode: 'allow', list: ['get_*'] } },
    },
    mcpServers: {
      github: { command: 'npx', args: ['x'], options: { toolFilter: { mode: 'block', list: ['rm'] }, logEnabled: true, authTokens: ['hunter2'] } },
      far: { url: 'https://far/mcp', transportType: 'streamable-http', timeout: 10_000_000_000 },
    },
  }
  const { config, servers, notes } = imported(value)
  expect(config).toMatchObject({ name: 'proxy', listen: { port: 9090, publicUrl: 'https://mcp.example' } })
  expect(servers).toEqual({
    github: { command: 'npx', args: ['x'], tools: { block: ['rm'] } },
    far: { url: 'https://far/mcp', transportType: 'streamable-http', timeout: 10, tools: { allow: ['get_*'] } },
  })
  expect(notes.map((note) => note.split(':')[0])).toEqual([
    'mcpProxy.addr',
    'mcpProxy.version',
    'mcpProxy.options.panicIfInvalid',
    'mcpProxy.options.authTokens',
    'mcpServers.github.options.logEnabled',
    'mcpServers.github.options.authTokens',
  ])
  expect(notes.join()).not.toContain('hunter2')
})

test('mcp-hub, whose commands are not run, and whose variables without a value are handed on', () => {
  const { servers, notes } = imported({
    mcpServers: {
      a: { url: 'https://h/mcp', headers: { Authorization: 'Bearer ${cmd: op read op://vault/token}' }, disabled_tools: ['x'] },
      b: {
        command: '${env:NODE}',
        args: ['x'],
        env: { API_KEY: null, MODE: 'fast' },
        dev: { enabled: true, watch: ['**/*.js'], cwd: '/src' },
        autoApprove: ['y'],
      },
    },
  })
  expect(servers).toEqual({
    a: { url: 'https://h/mcp', headers: { Authorization: 'Bearer ${OP_READ_OP_VAULT_TOKEN}' }, disabled_tools: ['x'] },
    b: { command: '${env:NODE}', args: ['x'], env: { MODE: 'fast' }, passEnv: ['API_KEY'], autoApprove: ['y'] },
  })
  expect(notes).toEqual([
    'mcpServers.a.headers.Authorization: no command is run here: "${cmd: op read op://vault/token}" is the variable OP_READ_OP_VAULT_TOKEN',
    'mcpServers.b.dev: is left out',
  ])
})

test('mcp-connect, with its routing and its tries', () => {
  const value = {
    version: '1',
    env_file: '.env',
    routing: { method: 'namespace_prefix', separator: '/' },
    servers: {
      a: {
        remote: { transport_type: 'http', url: 'https://h/mcp', headers: [{ key: 'X-A', value: '${TOKEN}' }], proxy: 'x' },
        timeout: 30,
        retry_attempts: 3,
        retry_delay: 500,
      },
    },
  }
  const { config, servers, notes } = imported(value)
  expect(config).toMatchObject({ aggregate: true })
  expect(servers).toEqual({ a: { url: 'https://h/mcp', type: 'http', headers: { 'X-A': '${TOKEN}' }, timeout: 30, retry: { attempts: 3, delayMs: 500 } } })
  expect(notes.map((note) => note.split(':')[0])).toEqual(['env_file', 'routing', 'servers.a.remote.proxy'])
})

test('mcpo, whose headers of callers go on when they are named', () => {
  const { servers, notes } = imported({
    mcpServers: {
      memory: { command: 'npx', args: ['-y', 'server-memory'], disabledTools: ['rm'] },
      far: {
        type: 'streamable-http',
        url: 'https://h/mcp',
        client_header_forwarding: { enabled: true, whitelist: ['Authorization', 'X-User-*', 'X-Request-ID'], blacklist: [], debug_headers: false },
        oauth: {
          server_url: 'https://h',
          storage_type: 'file',
          callback_port: 3030,
          multi_user: true,
          client_metadata: { client_name: 'mcpo', scope: 'read' },
        },
      },
      quiet: { type: 'sse', url: 'https://q/sse', client_header_forwarding: { enabled: false, whitelist: ['X-A'] } },
    },
  })
  expect(servers).toEqual({
    memory: { command: 'npx', args: ['-y', 'server-memory'], disabledTools: ['rm'] },
    far: {
      type: 'streamable-http',
      url: 'https://h/mcp',
      forwardHeaders: ['X-Request-ID'],
      oauth: {
        server_url: 'https://h',
        storage_type: 'file',
        callback_port: 3030,
        multi_user: true,
        client_metadata: { client_name: 'mcpo', scope: 'read' },
      },
    },
    quiet: { type: 'sse', url: 'https://q/sse' },
  })
  expect(notes.map((note) => note.split(': ')[0])).toEqual([
    'mcpServers.far.client_header_forwarding.whitelist[0]',
    'mcpServers.far.client_header_forwarding.whitelist[1]',
    'mcpServers.quiet.client_header_forwarding',
  ])
})

describe('mcpo, which is told the secret of an Open WebUI at each server', () => {
  const far = (webui_secret_key: unknown): object => ({ type: 'streamable-http', url: 'https://h/mcp', oauth: { multi_user: true, webui_secret_key } })
  const entry = { type: 'streamable-http', url: 'https://h/mcp', oauth: { multi_user: true } }
  const secret = 'b'.repeat(32)

  test.each([['${WEBUI_SECRET_KEY}'], [secret]])('is asked for it once: %s', (said) => {
    const { config, notes } = imported({ mcpServers: { a: far(said), b: far(said), c: { command: 'x' } } })
    expect(config).toEqual({ trust: { openWebUi: { secret: said } }, mcpServers: { a: entry, b: entry, c: { command: 'x' } } })
    const words = 'is trust.openWebUi here; who of its users may come in is for trust.identities to say: {"id": "open-webui|*"} is all'
    expect(notes).toEqual(['a', 'b'].map((name) => `mcpServers.${name}.oauth.webui_secret_key: ${words}`))
  })

  test('stays beside what is trusted already', () => {
    const trust = { identities: [{ id: 'open-webui|ann' }] }
    expect(imported({ trust, mcpServers: { a: far(secret) } }).config).toMatchObject({ trust: { ...trust, openWebUi: { secret } } })
  })

  test.each([
    ['another at another server', { mcpServers: { a: far(secret), b: far('c'.repeat(32)) } }, undefined],
    ['one that is trusted already', { trust: { openWebUi: { secret: 'c'.repeat(32) } }, mcpServers: { a: far(secret) } }, { secret: 'c'.repeat(32) }],
  ])('is not taken where there is %s', (_what, value, openWebUi) => {
    const { config, notes } = imported(value)
    expect(at(config, 'trust', 'openWebUi')).toEqual(openWebUi)
    expect(notes).toContain('mcpServers.a.oauth.webui_secret_key: is left out')
    expect(JSON.stringify([at(config, 'mcpServers'), notes])).not.toContain(secret)
  })

  test.each([['shorty'], [7], [{}]])('is told, and stays to be mended, where it is none: %j', (wrong) => {
    const made = importConfig({ mcpServers: { a: far(wrong) } })
    expect(made?.notes).toContainEqual(expect.stringMatching(/^trust\.openWebUi\.secret: (?:must be a text|is too short)/))
    expect(made?.notes.join()).not.toContain('shorty')
  })
})

test('LobeHub and others, with types of their own', () => {
  const { servers, notes } = imported({
    mcpServers: {
      a: { type: 'streamable', url: 'https://h/mcp', avatar: '🤖' },
      b: { type: 'local', command: 'x', env: { PORT: 8080, ON: true } },
      c: { serverUrl: 'https://w/mcp' },
    },
  })
  expect(servers).toEqual({
    a: { type: 'http', url: 'https://h/mcp' },
    b: { type: 'stdio', command: 'x', env: { PORT: '8080', ON: 'true' } },
    c: { serverUrl: 'https://w/mcp' },
  })
  expect(notes).toEqual(['mcpServers.a.avatar: is left out'])
})

test('what is known and wrong stays, and is told with what mends it', () => {
  const made = importConfig({ mcpServers: { 'a/b': { command: 'x' }, c: { url: 'ftp://h' }, d: 7 }, theme: 'dark' })
  expect(made?.notes).toEqual([
    'mcpServers.d: is no object, and left as it is',
    'theme: is left out',
    'mcpServers."a/b": is no name of a server: 1 to 64 letters, digits, spaces and @ _ . + : -',
    expect.stringMatching(/^mcpServers\.c\.url: openmcp does not speak ftp:\/\/ \(.*\)$/),
    'mcpServers.d: must be an object',
  ])
})

test('what is ours already is as it was', () => {
  const config = { mcpServers: { a: { command: 'x', passEnv: ['A'] } }, aggregate: true, listen: { port: 1 }, limits: { timeout: 5 } }
  expect(importConfig(config)).toEqual({ config, notes: [] })
})

test.each([[[]], [{}], [{ servers: 1 }], [null], ['x']])('%j is of no program that is known', (value) => {
  expect(importConfig(value)).toBeUndefined()
})
