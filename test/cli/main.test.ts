import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Run } from '../../src/cli/main.ts'
import type { RunOptions } from '../../src/cli/run-options.ts'
import { COMMANDS_NOT_BUILT } from '../../src/cli/commands.ts'
import { OpenMcpError } from '../../src/errors.ts'
import { type } from './terminal.ts'

const manifest: { version: string } = JSON.parse(readFileSync('package.json', 'utf8'))

test.each(['--version', '-V'])('%s says which, as package.json does', async (word) => {
  expect(await type([word])).toEqual({ code: 0, stdout: `openmcp ${manifest.version}\n`, stderr: '' })
})

describe('run', () => {
  const ran: RunOptions[] = []
  const run: Run = async (typed) => {
    ran.push(typed)
    return 7
  }

  test.each([[['run', '-p', '8000', 'npx', '-y', 'pkg']], [['-p', '8000', 'npx', '-y', 'pkg']], [['run', '-p', '8000', '--', 'npx', '-y', 'pkg']]])(
    '%s hands the options over, and its exit code is that of run',
    async (argv) => {
      ran.length = 0
      expect(await type(argv, {}, run)).toEqual({ code: 7, stdout: '', stderr: '' })
      expect(ran).toMatchObject([{ options: { target: { command: 'npx', args: ['-y', 'pkg'] }, listen: { port: 8000 } }, warnings: [] }])
    },
  )

  test('a program with the name of our command goes behind --', async () => {
    ran.length = 0
    expect(await type(['-p', '8000', '--', 'test', '1'], {}, run)).toMatchObject({ code: 7 })
    expect(ran[0]?.options.target).toMatchObject({ command: 'test', args: ['1'] })
  })

  test('files are read from where the person stands', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'openmcp-'))
    afterAll(() => rmSync(cwd, { recursive: true }))
    writeFileSync(join(cwd, '.env'), 'A=1\n')
    ran.length = 0
    await type(['--env-file', '.env', '--cwd', '.', '--pass-env', 'NOPE', 'x'], { cwd, env: { PATH: '/bin' }, platform: 'linux' }, run)
    expect(ran).toMatchObject([
      { options: { target: { cwd, env: { PATH: '/bin', A: '1' } } }, warnings: ['--pass-env NOPE: it is not set here, so the child does not get it'] },
    ])
  })
})

describe('what is asked wrongly ends with 2, an error and a hint on stderr, and nothing runs', () => {
  test.each([
    [
      [],
      'openmcp: error: nothing to run: there is neither a COMMAND nor an upstream\nopenmcp: hint: openmcp run -p 8000 npx -y @modelcontextprotocol/server-everything\n',
    ],
    [['--publsh', '1'], 'openmcp: error: unknown option --publsh\nopenmcp: hint: did you mean --publish\n'],
    [
      ['run', '--audit', 'x', '-p', '8000', 'npx', 'x'],
      'openmcp: error: --audit is not built yet; openmcp refuses it rather than run without it\nopenmcp: hint: openmcp --help lists what works\n',
    ],
    [['audit', 'create'], "openmcp: error: 'openmcp audit' is not built yet\nopenmcp: hint: openmcp --help lists what works\n"],
    [
      ['-p', '8000', 'test', 'x'],
      "openmcp: error: 'test' is a command of openmcp, and goes first\nopenmcp: hint: openmcp test [OPTIONS] ..., or '-- test' for a program of that name\n",
    ],
    [
      ['-p', '0.0.0.0:8000', 'x'],
      'openmcp: error: listening on 0.0.0.0 would let in whoever reaches it, and nobody is asked who they are\nopenmcp: hint: leave the address out to listen on loopback, add --security to ask, or --insecure-no-auth if the network in front of it is trusted\n',
    ],
    [
      ['did:key:z6Mk'],
      'openmcp: error: the upstream is a did:key, which cannot say where it is reached\nopenmcp: hint: a did:peer:4, did:web or did:webvh can\n',
    ],
    [['-p', '1\u001b[2J', 'x'], "openmcp: error: -p '1\\u001b[2J' is not [HOST:]PORT\nopenmcp: hint: like -p 8000, -p 127.0.0.1:8000 or -p [::1]:8000\n"],
    [['test'], 'openmcp: error: nothing to test: there is neither an upstream nor a COMMAND\nopenmcp: hint: openmcp test http://127.0.0.1:8000/mcp\n'],
  ])('openmcp %j', async (argv, stderr) => {
    expect(await type(argv)).toEqual({ code: 2, stdout: '', stderr })
  })

  test.each(COMMANDS_NOT_BUILT.map((command) => [command]))('%s is known by name only', async (command) => {
    expect(await type([command, '--help'])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('what fails', () => {
  test('is told in its words, with the exit code of its kind', async () => {
    const taken = new OpenMcpError('port_taken', 'port 8000 is taken', { hint: 'choose another', detail: 'EADDRINUSE' })
    expect(await type(['-p', '8000', 'x'], {}, failing(taken))).toEqual({
      code: 1,
      stdout: '',
      stderr: 'openmcp: error: port 8000 is taken\nopenmcp: hint: choose another\n',
    })
  })

  test('and has no name is our bug: nothing of it is shown', async () => {
    expect(await type(['x'], {}, failing(new Error('cannot read hunter2 of undefined')))).toEqual({
      code: 1,
      stdout: '',
      stderr: 'openmcp: error: an internal error of openmcp\nopenmcp: hint: --debug shows where; please report it\n',
    })
  })

  test('is shown with its stack and its causes under --debug, and without what looks like a secret', async () => {
    const error = new OpenMcpError('child_failed', 'it broke', { cause: new Error('sent Bearer abcdefghijkl') })
    const { stderr } = await type(['--debug', 'x'], {}, failing(error))
    expect(stderr).toContain('openmcp: debug:     at ')
    expect(stderr).toContain('openmcp: debug: Error: sent Bearer [secret]')
    expect(stderr).not.toContain('abcdefghijkl')
  })

  test('a --debug of the COMMAND is not ours', async () => {
    expect((await type(['x', '--debug'], {}, failing(new Error('no')))).stderr).not.toContain(' at ')
  })
})

function failing(error: unknown): Run {
  return async () => {
    throw error
  }
}
