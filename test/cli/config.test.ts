// `openmcp config`: transcripts.
import { lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'

import { readConfig } from '../../src/config/config.ts'
import { STARTING_FILE } from '../../src/config/edit.ts'
import { at, jsonOf } from '../support/json.ts'
import { type, type Transcript } from './terminal.ts'

test('what is right is told by the names of its servers', async () => {
  const text =
    '{ "mcpServers": { "git": { "command": "uvx", "args": ["${WHAT}"] }, "off": { "command": "x", "disabled": true }, "far": { "url": "https://h/mcp" } } }'
  const { typed, write } = place({ WHAT: 'mcp-server-git' })
  write(text, 'c.json')
  expect(await typed('validate', 'c.json')).toEqual({ code: 0, stdout: 'git\nfar\n', stderr: '' })
})

test('what is wrong is told at once, exit code 2', async () => {
  const { typed, write } = place()
  write('{ "mcpServers": { "git": { "comand": "uvx" }, "far": { "url": 1 } }, "nope": {} }', 'c.json')
  const { code, stdout, stderr } = await typed('validate', 'c.json')
  expect([code, stdout]).toEqual([2, ''])
  for (const path of ['mcpServers.git.comand', 'mcpServers.far.url', 'nope']) expect(stderr).toContain(`openmcp: error: c.json:1: ${path}: `)
})

test('the schema says what is taken', async () => {
  const { code, stdout } = await type(['config', 'schema'])
  expect(code).toBe(0)
  const entry = jsonOf(at(jsonOf(JSON.parse(stdout)), 'properties', 'mcpServers', 'additionalProperties'))
  expect(entry).toMatchObject({
    additionalProperties: false,
    properties: { command: { type: 'string' }, env: { type: 'object' }, timeout: { type: 'number' } },
  })
})

test.each([[[]], [['nope']], [['schema', 'x']], [['add', 'a']], [['import']], [['list', '--force']], [['generate']], [['generate', '--ide', 'emacs']]])(
  '%j is asked wrongly',
  async (words) => {
    expect((await type(['config', ...words])).code).toBe(2)
  },
)

interface Place {
  typed(...words: string[]): Promise<Transcript>
  text(file?: string): string
  write(text: string, file?: string): void
  readonly cwd: string
}

function place(env: Record<string, string> = {}): Place {
  const cwd = mkdtempSync(join(tmpdir(), 'openmcp-config-'))
  onTestFinished(() => rmSync(cwd, { recursive: true }))
  return {
    cwd,
    typed: (...words) => type(['config', ...words], { cwd, env }),
    text: (file = 'openmcp.json') => readFileSync(join(cwd, file), 'utf8'),
    write: (text, file = 'openmcp.json') => writeFileSync(join(cwd, file), text),
  }
}

test('ten mistakes in a file are ten lines, each with its line and its path, and nothing is served', async () => {
  const { cwd, write } = place()
  write(`{
  "listen": { "port": 99999, "hst": "127.0.0.1" },
  "mcpServers": {
    "git": { "comand": "uvx", "args": "hunter2" },
    "far": { "url": "ftp://hunter2.example/x" },
    "near": { "command": "x", "cwd": "nowhere" },
    "mail": { "url": "https://mail.example/mcp", "headers": { "Authorization": "Bearer \${MAIL_TOKEN}" } }
  },
  "trust": { "identities": [{ "id": "bob" }], "ani": true },
  "limits": { "maxSessions": "many" }
}`)
  const { code, stdout, stderr } = await type(['run', '--config', 'openmcp.json', '--security'], { cwd, env: {} })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  const line = 'openmcp: error: openmcp.json:'
  expect(stderr.split('\n').filter((each) => each.startsWith('openmcp: error: '))).toEqual([
    `${line}2: listen.port: must be a whole number from 0 to 65535`,
    `${line}2: listen.hst: is not known; did you mean host`,
    `${line}4: mcpServers.git.comand: is not known; did you mean command`,
    `${line}4: mcpServers.git.args: must be a list`,
    `${line}5: mcpServers.far.url: openmcp does not speak ftp://`,
    `${line}7: mcpServers.mail.headers.Authorization: needs the variable MAIL_TOKEN, which is not set`,
    expect.stringContaining(`${line}9: trust.identities[0]: id: must be a DID`),
    `${line}9: trust.ani: is not known; did you mean any`,
    `${line}10: limits.maxSessions: must be a whole number from 1 to 1000000`,
    expect.stringContaining(`${line}6: mcpServers.near.cwd: there is no directory `),
  ])
  expect(stderr).toContain('openmcp: hint: host:port[/path], http(s)://')
  expect(stderr).not.toContain('hunter2')
})

describe('config init', () => {
  test('makes a file that runs as it is and is nobody else’s to read, and writes over none', async () => {
    const { typed, text, cwd, write } = place()
    expect(await typed('init')).toEqual({ code: 0, stdout: '', stderr: 'openmcp: openmcp.json is made: openmcp run --config openmcp.json\n' })
    expect((statSync(join(cwd, 'openmcp.json')).mode & 0o777).toString(8)).toBe('600')
    expect(await typed('validate')).toEqual({ code: 0, stdout: '', stderr: '' })
    write('mine')
    expect(await typed('init')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'openmcp: error: there is a openmcp.json already\nopenmcp: hint: --force writes over it\n',
    })
    expect(text()).toBe('mine')
    expect((await typed('init', '--force')).code).toBe(0)
    expect(text()).toContain('"mcpServers"')
  })

  test('with what it leaves to be uncommented is a configuration, too', () => {
    const text = STARTING_FILE.replaceAll(/^(\s*)\/\/ (?=["{])/gm, '$1')
    const { mistakes, servers } = readConfig(text, { env: { MAIL_TOKEN: 'x' }, readText: () => '' })
    expect(mistakes).toEqual([])
    expect([...servers.keys()]).toEqual(['files', 'mail'])
  })
})

describe('config add and remove', () => {
  test('keep what a person wrote', async () => {
    const { typed, text, write } = place()
    write('{\n  // mine\n  "mcpServers": {\n    "old": { "command": "x" }, // stays\n  },\n}\n')
    expect(await typed('add', 'git', '-e', 'TOKEN=${GIT_TOKEN}', '--', 'uvx', '-q', 'mcp-server-git')).toEqual({
      code: 0,
      stdout: '',
      stderr: 'openmcp: git is in openmcp.json\n',
    })
    expect(await typed('add', 'far', 'https://far.example/mcp', '-H', 'X-Team: blue')).toMatchObject({ code: 0 })
    expect(text()).toMatch(/\/\/ mine[^]*\/\/ stays/)
    expect((await typed('list')).stdout).toBe('old\tx\ngit\tuvx\nfar\thttps://far.example/mcp\n')
    expect(await typed('remove', 'git')).toEqual({ code: 0, stdout: '', stderr: 'openmcp: git is not in openmcp.json any more\n' })
    expect((await typed('list')).stdout).toBe('old\tx\nfar\thttps://far.example/mcp\n')
    expect(text()).toMatch(/\/\/ mine[^]*\/\/ stays/)
    expect(text()).toContain('"x-team": "blue"')
  })

  test('make a file where there is none, and follow a link to the one there is', async () => {
    const { typed, text, cwd } = place()
    expect((await typed('add', 'a', 'x', '--config', 'c.json')).code).toBe(0)
    symlinkSync('c.json', join(cwd, 'link.json'))
    expect((await typed('add', 'b', 'y', '--config', 'link.json')).code).toBe(0)
    expect(lstatSync(join(cwd, 'link.json')).isSymbolicLink()).toBe(true)
    expect(JSON.parse(text('c.json'))).toEqual({ mcpServers: { a: { command: 'x' }, b: { command: 'y' } } })
  })

  test.each([
    [['add', 'old', 'y'], 'has a server "old" already'],
    [['add', 'a/b', 'y'], 'is no name of a server'],
    [['add', '..', 'y'], 'is no name of a server'],
    [['add', 'a', 'ftp://x'], 'mcpServers.a.url: openmcp does not speak ftp://'],
    [['add', 'a', 'https://x', 'y'], 'one word too many'],
    [['add', 'a', 'https://x', '--cwd', '/'], 'cwd is for a command'],
    [['add', 'a', 'x', '-e', 'hunter2'], '-e takes NAME=VALUE'],
    [['remove', 'a'], 'has no server "a"'],
    [['remove', 'toString'], 'has no server "toString"'],
    [['add', 'a', 'x', '--config', '.'], 'it is a directory'],
  ])('%j is refused, and the file is as it was', async (words, told) => {
    const { typed, text, write, cwd } = place()
    const before = '{ "mcpServers": { "old": { "command": "x" } } }'
    write(before)
    const { code, stdout, stderr } = await typed(...words)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(told)
    expect(stderr).not.toContain('hunter2')
    expect(text()).toBe(before)
    expect(readdirSync(cwd)).toEqual(['openmcp.json'])
  })

  test('warn of a secret that stands in the file, and do not repeat it', async () => {
    const { typed } = place()
    const { stderr } = await typed('add', 'a', 'x', '-e', 'API_KEY=hunter2')
    expect(stderr).toContain('warning: API_KEY stands in the file as it is')
    expect(stderr).not.toContain('hunter2')
  })
})

test('config show says all that holds, and nothing that is secret', async () => {
  const { typed, write } = place({ A: 'hunter2', HOST: 'mail.example', FLAG: '--x=hunter2' })
  write('hunter2', 'pin')
  write(`{
    "mcpServers": {
      "git": { "command": "uvx", "args": ["--api-key", "hunter2", "--token=hunter2", "\${FLAG}", "-v"], "env": { "PIN": "\${file:pin}", "GH_TOKEN": "hunter2", "MODE": "fast" } },
      "mail": { "url": "https://\${HOST}/mcp?api_key=hunter2", "headers": { "Authorization": "Bearer hunter2", "X-Team": "blue" } },
      "db": { "command": "x", "env": { "DB": "postgres://u:hunter2@db/x" }, "disabled": true },
      "own": { "url": "https://a.example", "oauth": { "clientId": "us", "clientSecret": "hunter2", "tokenUrl": "https://id.example/t" } }
    },
    "limits": { "timeout": 5 }
  }`)
  const { code, stdout, stderr } = await typed('show')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    name: 'default',
    aggregate: false,
    limits: { timeout: 5, maxSessions: 2000 },
    mcpServers: {
      git: { command: 'uvx', args: ['--api-key', '***', '--token=***', '***', '-v'], env: { PIN: '***', GH_TOKEN: '***', MODE: 'fast' } },
      mail: { url: 'https://***/mcp?api_key=***', headers: { Authorization: '***', 'X-Team': 'blue' } },
      db: { env: { DB: 'postgres://***@db/x' }, disabled: true },
      own: { oauth: { clientId: 'us', clientSecret: '***', tokenUrl: 'https://id.example/t' } },
    },
  })
  expect(`${stdout}${stderr}`).not.toMatch(/hunter2|mail\.example/)
})

test('config test asks every server, and ends with 1 when one of them does not answer', async () => {
  const { typed, write } = place({ PATH: process.env['PATH'] ?? '' })
  const script = fileURLToPath(new URL('../support/scripted-server.mjs', import.meta.url))
  write(
    JSON.stringify({
      mcpServers: { good: { command: process.execPath, args: [script] }, gone: { command: 'no-such-program' }, off: { command: 'x', enabled: false } },
    }),
  )
  const all = await typed('test')
  expect(all.code).toBe(1)
  expect(all.stdout.trimEnd().split('\n').toSorted()).toEqual([expect.stringMatching(/^gone\tfailed\t.*no-such-program/), expect.stringMatching(/^good\tok\t/)])
  expect((await typed('test', '--server', 'good')).code).toBe(0)
  expect(await typed('test', '--server', 'off')).toMatchObject({ code: 2, stdout: '' })
})

describe('config generate', () => {
  test.each([
    ['vscode', { servers: { openmcp: { type: 'http', url: 'http://127.0.0.1:8000/mcp' } } }],
    ['cursor', { mcpServers: { openmcp: { url: 'http://127.0.0.1:8000/mcp' } } }],
    ['zed', { context_servers: { openmcp: { url: 'http://127.0.0.1:8000/mcp' } } }],
    ['claude', { mcpServers: { openmcp: { command: 'openmcp', args: ['run', 'http://127.0.0.1:8000/mcp'] } } }],
  ])('%s gets what it reads', async (ide, expected) => {
    const { code, stdout } = await place().typed('generate', '--ide', ide, 'http://127.0.0.1:8000/mcp')
    expect({ code, made: JSON.parse(stdout) as unknown }).toEqual({ code: 0, made: expected })
  })

  test('without a URL openmcp is started with the file, wherever that client stands', async () => {
    const { typed, cwd } = place()
    const { stdout } = await typed('generate', '--ide', 'zed', '--name', 'mine')
    expect(JSON.parse(stdout)).toEqual({
      context_servers: { mine: { command: 'openmcp', args: ['run', '-p', 'stdio', '--config', join(cwd, 'openmcp.json')] } },
    })
  })

  test('a URL with a password in it is in no file of ours', async () => {
    const { code, stderr } = await place().typed('generate', '--ide', 'zed', 'https://u:hunter2@host/mcp')
    expect(code).toBe(2)
    expect(stderr).not.toContain('hunter2')
  })
})

describe('config import', () => {
  test('reads JSON with comments, tells by path what has no place here, and runs nothing', async () => {
    const { typed, write, cwd } = place()
    write(`{
      // of mcp-hub
      "mcpServers": { "a": { "command": "x", "env": { "TOKEN": "\${cmd: touch ran}", "B": null }, "dev": {} }, },
    }`)
    expect(await typed('import', 'openmcp.json')).toEqual({
      code: 0,
      stdout: `${JSON.stringify({ mcpServers: { a: { command: 'x', env: { TOKEN: '${TOUCH_RAN}' }, passEnv: ['B'] } } }, undefined, 2)}\n`,
      stderr: [
        'openmcp: openmcp.json: mcpServers.a.dev: is left out\n',
        'openmcp: openmcp.json: mcpServers.a.env.TOKEN: no command is run here: "${cmd: touch ran}" is the variable TOUCH_RAN\n',
      ].join(''),
    })
    expect(readdirSync(cwd)).toEqual(['openmcp.json'])
  })

  test.each([
    ['{ "a": 1 }', 'is the configuration of no program that is known'],
    ['{ "mcpServers": {} ', 'openmcp.json:1: column 20: close brace expected'],
    ['{ "mcpServers": {}, "mcpServers": {} }', 'openmcp.json:1: mcpServers: is there twice'],
  ])('%s is refused', async (text, words) => {
    const { typed, write } = place()
    write(text)
    const { code, stdout, stderr } = await typed('import', 'openmcp.json')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })
})

describe('a file that is none', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['larger than any', `{"mcpServers":{${'"a":{"command":"x"},'.repeat(60_000)}}}`, 'is larger than 1024 KiB'],
    ['deep', '{"mcpServers":'.repeat(50_000), 'has more than 64 levels'],
    ['not UTF-8', new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]), 'it is not UTF-8 text'],
    ['of another alphabet of bytes', Buffer.from('{}', 'utf16le').fill(0xff, 0, 1), 'it is not UTF-8 text'],
    ['empty', '', 'c.json:1: column 1: value expected'],
    ['no JSON', 'mcpServers:\n  a: x\n', 'c.json:1: column 1: invalid symbol'],
  ])('%s is refused in words', async (_what, bytes, words) => {
    const { typed, cwd } = place()
    writeFileSync(join(cwd, 'c.json'), bytes)
    const { code, stdout, stderr } = await typed('validate', 'c.json')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })

  test.each([
    ['.', 'it is a directory'],
    ['none.json', 'there is no such file'],
    ['/dev/zero', 'is larger than 1024 KiB'],
  ])('%s is refused in words', async (file, words) => {
    const { code, stderr } = await place().typed('validate', file)
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })

  test('with ten thousand mistakes tells a hundred, and how many more there are', async () => {
    const { typed, write } = place()
    write(`{ ${Array.from({ length: 10_000 }, (_, index) => `"k${index}": 1`).join(',\n')} }`)
    const { stderr } = await typed('validate')
    const lines = stderr.split('\n').filter((line) => line.startsWith('openmcp: error: '))
    expect([lines.length, lines.at(-1)]).toEqual([101, 'openmcp: error: openmcp.json:1: and 9900 more'])
  })

  test('comes by a pipe, and is read once', async () => {
    const { typed, write, cwd } = place()
    write('{ "mcpServers": { "a": { "command": "x" } } }')
    execFileSync('mkfifo', [join(cwd, 'pipe')])
    // Whoever reads it again finds nothing in it.
    const writer = spawn('sh', ['-c', 'cat openmcp.json > pipe; : > pipe'], { cwd, stdio: 'ignore' })
    onTestFinished(() => void writer.kill('SIGKILL'))
    expect(await typed('validate', 'pipe')).toEqual({ code: 0, stdout: 'a\n', stderr: '' })
  })
})
