// What is typed in the words of another proxy, from the terminal to what is run.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { Run } from '../../../src/cli/main.ts'
import type { RunOptions } from '../../../src/cli/run-options.ts'
import { shownCommand } from '../../../src/cli/dialects/shown.ts'
import { type, type Transcript } from '../terminal.ts'

interface Ran extends Transcript {
  ran: RunOptions | undefined
}

async function typed(argv: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  let ran: RunOptions | undefined
  const run: Run = async (options) => {
    ran = options
    return 0
  }
  return { ...(await type(argv, { env: { PATH: '/bin', ...env }, platform: 'linux' }, run)), ran }
}

describe('what is taken as something else is told, and run', () => {
  test('a program of mcp-proxy', async () => {
    const { code, stdout, stderr, ran } = await typed(['--port', '8080', '-e', 'FLAVOUR', 'hunter2', '--', 'uvx', 'fetch', '--token=hunter2'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toBe('openmcp: taken as: openmcp run -p 8080 -e FLAVOUR=… -- uvx …\n')
    expect(ran?.options).toMatchObject({
      listen: { host: '127.0.0.1', port: 8080 },
      target: { kind: 'command', command: 'uvx', args: ['fetch', '--token=hunter2'], env: { FLAVOUR: 'hunter2' } },
    })
  })

  test('named servers of mcp-proxy, which get the whole environment with it', async () => {
    const { stderr, ran } = await typed(['--port', '8080', '--pass-environment', '--named-server', 'a', 'cat -u', '--named-server', 'b', 'cat'], {
      TOKEN: 'hunter2',
    })
    expect(stderr).toMatch(/^openmcp: taken as: openmcp run -p 8080 --named-server a=… --named-server b=… --pass-env PATH --pass-env TOKEN\nopenmcp: warning: /)
    expect(ran?.servers.map(({ name, target }) => ({ name, target }))).toEqual([
      { name: 'a', target: { kind: 'command', command: 'cat', args: ['-u'], env: expect.objectContaining({ TOKEN: 'hunter2' }) } },
      { name: 'b', target: { kind: 'command', command: 'cat', args: [], env: expect.objectContaining({ TOKEN: 'hunter2' }) } },
    ])
  })

  test('the same behind run', async () => {
    expect((await typed(['run', '--port', '8080', 'uvx'])).ran?.options.listen).toMatchObject({ port: 8080 })
  })

  test('an upstream of mcp-remote, with a header that stays off the command line', async () => {
    const { stderr, ran } = await typed(['https://h.example/sse?key=hunter2', '--header', 'X-Name:${NAME}', '--debug'], { NAME: 'hunter2' })
    expect(stderr).toBe('openmcp: taken as: OPENMCP_HEADER=… openmcp run --debug https://h.example/sse\n')
    expect(ran?.options.target).toMatchObject({ kind: 'remote', headers: { 'x-name': 'hunter2' } })
    expect(ran?.warnings.join()).not.toContain('command line; --header-file')
  })

  test('a word of mcp-connect', async () => {
    const { stderr, ran } = await typed(['proxy', '--endpoint', 'https://h.example/mcp', '--auth-token', 'hunter2'])
    expect(stderr).toBe("openmcp: taken as: openmcp run -H 'Authorization: …' https://h.example/mcp\n")
    expect(ran?.options.target).toMatchObject({ headers: { authorization: 'Bearer hunter2' } })
  })

  test('--endpoint of test', async () => {
    const { code, stderr } = await typed(['test', '--endpoint', '127.0.0.1:1', '--transport', 'tcp', '--timeout', '5'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^openmcp: taken as: openmcp test --timeout 5 tcp:\/\/127\.0\.0\.1:1\nopenmcp: error: /)
  })

  test('SSE_URL', async () => {
    const { stderr, ran } = await typed([], { SSE_URL: 'http://127.0.0.1:9/sse' })
    expect(stderr).toBe('openmcp: taken as: openmcp run http://127.0.0.1:9/sse\n')
    expect(ran?.options.target).toMatchObject({ kind: 'remote' })
  })

  test('what is said first', async () => {
    const { stderr, ran } = await typed(['--as=mcp-proxy', 'uvx', 'fetch'])
    expect(stderr).toBe('openmcp: taken as: openmcp run -p 0 -- uvx …\n')
    expect(ran?.options.listen).toMatchObject({ host: '127.0.0.1', port: 0 })
    expect((await typed(['run', '--as', 'mcpo', '-h', '127.0.0.1', '--', 'x'])).ran?.options.listen).toMatchObject({ host: '127.0.0.1', port: 8000 })
  })
})

describe('what openmcp understands is never looked at, whatever it looks like', () => {
  const env = { SSE_URL: 'http://elsewhere/sse' }

  test.each([
    ['-p 8000', 'npx --port 1 -e K V'],
    ['-p 8000 -e K=V --', 'uvx --stdio x'],
    ['', 'uvx mcp-server-fetch'],
    ['--', 'proxy --endpoint x'],
    ['run', 'load-balance --as mcpo'],
    ['-p 8000', 'serve --dir x'],
  ])('%s %s', async (options, command) => {
    const words = command.split(' ')
    const { code, stderr, ran } = await typed([...options.split(' ').filter((word) => word !== ''), ...words], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(ran?.options.target).toMatchObject({ kind: 'command', command: words[0], args: words.slice(1) })
  })

  test.each(['https://h.example/mcp --debug -H A:b', '-p 8000:https://h.example/mcp --transport streamablehttp'])('%s', async (line) => {
    const { code, stderr, ran } = await typed(line.split(' '), env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(ran?.options.target).toMatchObject({ kind: 'remote', urls: [new URL('https://h.example/mcp')] })
  })
})

describe('what nobody understands is refused as it always was', () => {
  test.each([
    [['-p', '8000', '--allow-origin', '*', 'x'], "--allow-origin: '*' would let every web page in"],
    [['-p', '99999', 'npx', '--port', '1'], '99999 is not a port'],
    [['-e', 'KEY'], 'nothing to run'],
    [['-e', 'KEY', 'uvx', 'x'], '-e KEY: is the word behind it its value, or the COMMAND?'],
    [['--port', '8080', '--nope', 'x'], 'unknown option --port'],
    [['-p', '1', '--as', 'mcpo', 'x'], '--as says in whose words the rest is, and goes first'],
    [['--as', 'nobody', 'x'], "--as: 'nobody' is none of its choices"],
    [['--as', 'mcp-connect', 'dance'], "'dance' is no command of mcp-connect"],
    [['--debug', 'proxy', '--endpoint', 'x'], "'proxy' is a command of openmcp, and goes first"],
    [['https://h.example/mcp', '-H', 'A: ${B}'], '-H: a holds ${B}, and nothing is filled in on a command line'],
    [['--port', '1', '-e', 'K', 'V', '--named-server', 'a', 'cat'], '-e is for a COMMAND, and there is none'],
    [['--host', '0.0.0.0', '--port', '8000', 'x'], 'listening on 0.0.0.0 would let in whoever reaches it'],
    [['--port', '8000', '-k', 'top-secret', '--', 'x'], 'a key'],
    [['--host', '127.0.0.1', 'https://h.example/mcp'], 'this means one thing to mcp-proxy and another to mcp-remote'],
  ])('%j', async (argv, why) => {
    const { code, stderr, ran } = await typed(argv, { B: 'hunter2' })
    expect({ code, ran }).toEqual({ code: 2, ran: undefined })
    expect(stderr).toContain(why)
    expect(stderr).not.toMatch(/hunter2|top-secret/)
  })
})

test('nothing of it is loaded with what openmcp understands', () => {
  const cli = fileURLToPath(new URL('../../../src/cli/', import.meta.url))
  const files = readdirSync(cli, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && !file.startsWith('dialects'))
  expect(files).toContain('main.ts')
  expect(files.filter((file) => /from '.*dialects\//.test(readFileSync(join(cli, file), 'utf8')))).toEqual([])
})

test.each([[['proxy', '--help']], [['--as', 'mcp-proxy', '--help']], [['help', 'dialects']]])('%j says what is understood', async (argv) => {
  expect(await typed(argv)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^dialects: /), stderr: '' })
})

test.each([
  [['run', '-p', '[::1]:8000:https://u:hunter2@h/mcp?key=hunter2'], 'openmcp run -p [::1]:8000:https://h/mcp'],
  [['run', '--endpoints', 'https://a/?k=hunter2,https://b/#hunter2'], 'openmcp run --endpoints https://a/,https://b/'],
  [['run', '--named-server', 'a=cmd --token hunter2', '-p', '1'], 'openmcp run --named-server a=… -p 1'],
  [['run', '--api-key=hunter2', '--client-secret', 'hunter2', '--', 'x', 'hunter2'], 'openmcp run --api-key … --client-secret … -- x …'],
  [['run', '-e', 'hunter2'], 'openmcp run -e =…'],
  [
    ['run', ...['A', 'B', 'C', 'D', 'E', 'F'].flatMap((name) => ['--pass-env', name]), '--', 'x'],
    'openmcp run --pass-env A --pass-env B --pass-env C --pass-env D --pass-env … -- x',
  ],
  [['run', '-H', "it's: hunter2", 'my program', 'hunter2'], "openmcp run -H 'it'\\''s: …' 'my program' …"],
  [['config', 'add', 'a', 'https://h/mcp?key=hunter2', '-H', 'X-Key: hunter2'], "openmcp config add a https://h/mcp -H 'X-Key: …'"],
])('%j is shown without its secrets', (argv, shown) => {
  expect(shownCommand(argv, {})).toBe(shown)
})
