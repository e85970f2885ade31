// Who we are to the upstream that is typed, where a client's secret or a token of the environment says so.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readArguments } from '../../src/cli/arguments.ts'
import { loginsDirectory } from '../../src/cli/home.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { runOptions, type RunOptions } from '../../src/cli/run-options.ts'
import { littleLogin } from '../login/little-login.ts'
import { forThisTest } from '../support/tidy.ts'
import { ownHome } from './home.ts'
import { machineWith } from './machine.ts'
import { refusalIn } from './refusal.ts'
import { clean } from '../../src/cli/terminal.ts'
import { type } from './terminal.ts'

const URL_TYPED = 'https://host/mcp'
const FILES = { secret: 'shh-canary\n', empty: '\n', two: 'a\nb' }

function typed(args: string[], env: Record<string, string> = {}): RunOptions {
  return runOptions(readArguments(args, RUN_OPTIONS), machineWith({ env, files: FILES }))
}

const client = (more: object = {}): object => ({ client: { id: 'me', secret: 'shh-canary', address: new URL(URL_TYPED), ...more } })

describe('--client-id', () => {
  test.each<[string, string[], Record<string, string>]>([
    ['a file', ['--client-secret-file', 'secret'], {}],
    ['the environment', [], { OPENMCP_CLIENT_SECRET: 'shh-canary' }],
    ['a file that the environment names', [], { OPENMCP_CLIENT_SECRET_FILE: 'secret' }],
    ['a file, before the environment', ['--client-secret-file', 'secret'], { OPENMCP_CLIENT_SECRET: 'other' }],
  ])('has its secret from %s', (_where, args, env) => {
    const { proof, warnings } = typed([URL_TYPED, '--client-id', 'me', ...args], env)
    expect({ proof, warnings }).toEqual({ proof: client(), warnings: [] })
  })

  test('has its secret from the command line, where others can read it: a warning says so, without it', () => {
    const { proof, warnings } = typed([URL_TYPED, '--client-id', 'me', '--client-secret', 'shh-canary'])
    expect(proof).toEqual(client())
    expect(warnings).toEqual([expect.stringMatching(/^--client-secret is on the command line, .* OPENMCP_CLIENT_SECRET keep it off$/)])
  })

  test('comes with where tokens are asked for, for what, and how far', () => {
    const more = ['--token-url', 'https://issuer.example/token', '--oauth-scope', 'a  b', '--resource', 'api://app']
    expect(typed(['-p', `8001:${URL_TYPED}`, '--client-id', 'me', '--client-secret-file', 'secret', ...more]).proof).toEqual(
      client({ tokenUrl: new URL('https://issuer.example/token'), scope: 'a b', resource: 'api://app' }),
    )
    expect(typed([URL_TYPED, '--client-id', 'me', '--client-secret-file', 'secret', '--resource', 'NONE']).proof).toEqual(client({ resource: 'none' }))
  })

  test.each<[string[], Record<string, string>, string]>([
    [['--client-id', 'me'], {}, '--client-id is nobody without its secret'],
    [['--client-id', 'me', '--token-url', 'https://i/t'], {}, '--client-id is nobody without its secret'],
    [['--client-secret-file', 'secret'], {}, '--client-secret-file is for --client-id, and there is none'],
    [['--token-url', 'https://i/t'], {}, '--token-url is for --client-id, and there is none'],
    [['--oauth-scope', 'a'], {}, '--oauth-scope is for --client-id, and there is none'],
    [['--resource', 'none'], {}, '--resource is for --client-id, and there is none'],
    [['--client-id', 'me', '--client-secret-file', 'nowhere'], {}, '--client-secret-file: cannot read nowhere: there is no such file'],
    [['--client-id', 'me', '--client-secret-file', 'empty'], {}, '--client-secret-file: the file holds no secret of a client'],
    [['--client-id', 'me', '--client-secret-file', 'two'], {}, '--client-secret-file: the file holds no secret of a client'],
    [['--client-id', 'me'], { OPENMCP_CLIENT_SECRET: 'canary\u0000' }, 'OPENMCP_CLIENT_SECRET holds no secret of a client'],
    [['--client-id', 'me'], { OPENMCP_CLIENT_SECRET: 'canary', OPENMCP_CLIENT_SECRET_FILE: 'secret' }, 'both name the secret'],
    [['--client-id', 'me'], { OPENMCP_CLIENT_SECRET_FILE: 'nowhere' }, 'OPENMCP_CLIENT_SECRET_FILE: cannot read nowhere'],
    [['--client-id', 'me', '--client-secret', 'canary', '--client-secret-file', 'secret'], {}, '--client-secret and --client-secret-file both name the secret'],
    [['--client-id', 'me', '--client-secret-file', 'secret', '--token-url', 'http://issuer.example/t'], {}, '--token-url: not the URL of a server'],
    [['--client-id', 'me', '--client-secret-file', 'secret', '--resource', 'file:///x'], {}, '--resource takes the URL'],
    [['--client-id', 'me', '--client-secret-file', 'secret', '--resource', 'https://h/#x'], {}, '--resource takes the URL'],
    [['--client-id', 'me', '--client-secret-file', 'secret', '--id', 'ann'], {}, '--client-id and --id both say who we are'],
    [['--client-id', 'me', '--client-secret-file', 'secret', '-H', 'Authorization: x'], {}, '--client-id and a header authorization both say who we are'],
    [['--client-id', 'me', '--client-secret-file', 'secret'], { API_ACCESS_TOKEN: 'canary' }, '--client-id and API_ACCESS_TOKEN both say who we are'],
    [['--id', 'ann'], { API_ACCESS_TOKEN: 'canary' }, '--id and API_ACCESS_TOKEN both say who we are'],
  ])('%j is asked wrongly', (args, env, words) => {
    const { code, message, hint } = refusalIn(args.join(' '), () => typed([URL_TYPED, ...args], env))
    expect({ code, message }).toEqual({ code: 'usage', message: expect.stringContaining(words) })
    expect(`${message} ${hint}`).not.toContain('canary')
  })

  test.each([['tcp://127.0.0.1:9000'], ['did:web:example.com']])('is nothing to %s', (upstream) => {
    const { message } = refusalIn(upstream, () => typed([upstream, '--client-id', 'me', '--client-secret-file', 'secret']))
    expect(message).toContain('--client-id proves us by HTTP, and the upstream is no http://')
  })

  test('is nothing to a COMMAND', () => {
    expect(refusalIn('a command', () => typed(['--client-id', 'me', '-p', '8000', 'x'])).message).toContain('--client-id is for an upstream')
  })

  test('lets openmcp test in', async () => {
    const { env, home } = ownHome()
    const issuer = await forThisTest(littleLogin({ clients: { me: 'shh-canary' } }))
    mkdirSync(home, { recursive: true })
    writeFileSync(join(home, 'secret'), 'shh-canary\n')
    const tested = await type(
      ['test', issuer.resource.href, '--client-id', 'me', '--client-secret-file', join(home, 'secret'), '--token-url', `${issuer.origin}/token`],
      { env },
    )
    expect(tested).toMatchObject({ code: 0, stdout: expect.stringContaining('server: little 1\n') })
    expect(issuer.forms).toHaveLength(1)
    const wrong = await type(['test', issuer.resource.href, '--client-id', 'you', '--token-url', `${issuer.origin}/token`], {
      env: { ...env, OPENMCP_CLIENT_SECRET: 'shh-canary' },
    })
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('does not take you with its secret (invalid_client') })
    expect(`${tested.stderr}${wrong.stderr}`).not.toContain('canary')
  })
})

describe('API_ACCESS_TOKEN', () => {
  const env = { API_ACCESS_TOKEN: 'canary' }

  test.each([URL_TYPED, 'ws://127.0.0.1:9000/'])(
    'goes to the upstream that is typed (%s), in the place of any other header authorization, and is told without its value',
    (upstream) => {
      const { options, proof, warnings } = typed([upstream, '-H', 'Authorization: Basic x', '-H', 'X-A: b'], env)
      expect(options.target).toMatchObject({ headers: { authorization: 'Bearer canary', 'x-a': 'b' } })
      expect(proof).toBeUndefined()
      expect(warnings.join('\n')).toContain('API_ACCESS_TOKEN is set: it goes to the upstream')
      expect(warnings.join('\n')).not.toContain('canary')
    },
  )

  test('is nothing to a COMMAND, to tcp://, and where it is empty', () => {
    expect(typed(['-p', '8000', 'x'], env).options.target).toMatchObject({ env: {} })
    expect(typed(['tcp://127.0.0.1:9000'], env)).toMatchObject({ options: { target: { headers: {} } }, warnings: [] })
    expect(typed([URL_TYPED], { API_ACCESS_TOKEN: '' })).toMatchObject({ options: { target: { headers: {} } }, warnings: [] })
  })

  test('that is no token is refused, without its value', () => {
    const { message } = refusalIn('a token', () => typed([URL_TYPED], { API_ACCESS_TOKEN: 'Bearer canary' }))
    expect(message).toBe('API_ACCESS_TOKEN holds what is no token')
  })
})

test.each<[Record<string, string>, string]>([
  [{}, '/home/ann/.openmcp/logins'],
  [{ MCP_REMOTE_CONFIG_DIR: 'theirs' }, '/home/ann/theirs/openmcp'],
  [{ MCP_REMOTE_CONFIG_DIR: 'theirs', OPENMCP_HOME: '/home/ann/.openmcp' }, '/home/ann/.openmcp/logins'],
  [{ MCP_REMOTE_CONFIG_DIR: '' }, '/home/ann/.openmcp/logins'],
])('with %j logins are kept in %s', (env, directory) => {
  expect(loginsDirectory(machineWith({ env }))).toBe(directory)
  expect(runOptions(readArguments([URL_TYPED], RUN_OPTIONS), machineWith({ env })).proof).toEqual({ logins: { directory, resource: new URL(URL_TYPED) } })
})

test('the warning of a secret on the command line is whole when it is said', () => {
  const { warnings } = typed([URL_TYPED, '--client-id', 'me', '--client-secret', 'shh-canary'])
  expect(warnings.map(clean)).toEqual(warnings)
})
