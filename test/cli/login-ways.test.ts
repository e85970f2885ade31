// `openmcp login`: at another device, under the name that an issuer knows a server by, and by the name that a file gives it.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { littleLogin, type LittleLogin, type WrongLogin } from '../login/little-login.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

const ELSEWHERE: WrongLogin = {
  server: (origin) => ({ device_authorization_endpoint: `${origin}/device_authorization` }),
  device: () => ({ interval: 1 }),
}

interface Stage {
  issuer: LittleLogin
  env: Record<string, string>
  /** What is kept of the only login. */
  kept(): string
  file(text: string): string
}

async function staged(wrong: WrongLogin = ELSEWHERE): Promise<Stage> {
  const { home, env } = ownHome()
  const issuer = await forThisTest(littleLogin(wrong))
  const logins = join(home, 'logins')
  return {
    issuer,
    env: { BROWSER: 'none', ...env },
    kept: () => readFileSync(join(logins, readdirSync(logins)[0] ?? ''), 'utf8'),
    file(text) {
      mkdirSync(home, { recursive: true })
      writeFileSync(join(home, 'openmcp.json'), text)
      return join(home, 'openmcp.json')
    },
  }
}

/** The person types the code as soon as there is one. */
async function typedElsewhere({ issuer, env }: Stage, ...args: string[]): Promise<Transcript> {
  const done = type(['login', ...args], { env })
  await until('a code', () => issuer.asked.includes('POST /device_authorization'))
  issuer.allowDevice('WXYZ-1')
  return done
}

describe('openmcp login --device', () => {
  test('shows a page and a code, opens nothing, and keeps what comes of it', async () => {
    const stage = await staged()
    const { code, stdout, stderr } = await typedElsewhere(stage, stage.issuer.resource.href, '--device')
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toContain(`in a browser anywhere, and type this code there:\n${stage.issuer.origin}/device\nWXYZ-1\n`)
    expect(stderr).toContain(`openmcp: logged in at ${stage.issuer.origin} for ${stage.issuer.resource.href}; it is renewed by itself\n`)
    expect(stderr).not.toContain('canary')
    expect(stage.kept()).toContain('access-2-canary')
    expect(await type(['test', stage.issuer.resource.href], { env: stage.env })).toMatchObject({ code: 0 })
  })

  test('ends when nobody types the code in time', async () => {
    const { issuer, env } = await staged()
    expect(await type(['login', issuer.resource.href, '--device', '--timeout', '0.2'], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('openmcp: error: nobody logged in within 0.2 s\n'),
    })
  })
})

test('--resource is what the issuer is told, and is told again whenever the login is renewed', async () => {
  const stage = await staged({ ...ELSEWHERE, indicator: null })
  expect(await typedElsewhere(stage, stage.issuer.resource.href, '--device', '--resource', 'none')).toMatchObject({ code: 0 })
  stage.issuer.expire()
  expect(await type(['test', stage.issuer.resource.href], { env: stage.env })).toMatchObject({ code: 0 })
  expect(stage.issuer.forms.map((form) => [form['grant_type']?.split(':').at(-1), form['resource']])).toEqual([
    ['device_code', undefined],
    ['refresh_token', undefined],
  ])
})

describe('openmcp login NAME --config FILE', () => {
  test('logs in at the server of that name, as the file says', async () => {
    const stage = await staged()
    const { origin, resource } = stage.issuer
    const oauth = { grant: 'device', clientId: 'mine', clientSecret: '${SHH}', issuer: origin, scope: 'a b' }
    const file = stage.file(JSON.stringify({ mcpServers: { far: { url: resource.href, oauth }, other: { command: 'x' } } }))
    stage.env['SHH'] = 'shh-canary'
    const { code, stderr } = await typedElsewhere(stage, 'far', '--config', file)
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`logged in at ${origin} for ${resource.href}`) })
    expect(stderr).not.toContain('canary')
    expect(stage.issuer.registrations).toEqual([])
    expect(stage.issuer.forms[0]).toMatchObject({ authorization: `Basic ${Buffer.from('mine:shh%2Dcanary').toString('base64')}` })
    expect(JSON.parse(stage.kept())).toMatchObject({ scope: 'a b', client: { id: 'mine' } })
  })

  test('takes the word of the file for an issuer that does not say that it binds its codes, and nobody else’s', async () => {
    const { issuer, env, file } = await staged({ server: () => ({ code_challenge_methods_supported: undefined }) })
    const at = { url: issuer.resource.href }
    const path = file(JSON.stringify({ mcpServers: { far: { ...at, oauth: { trustPkce: true } }, near: { ...at, oauth: {} } } }))
    const log = (name: string): Promise<Transcript> => type(['login', name, '--config', path, '--timeout', '0.2'], { env })
    expect(await log('near')).toMatchObject({ code: 1, stderr: expect.stringContaining('does not bind its codes') })
    expect(await log('far')).toMatchObject({ code: 1, stderr: expect.stringContaining('nobody logged in within 0.2 s') })
  })

  test.each<[string, string[], string]>([
    ['another name', ['near'], 'has no server near'],
    ['a command', ['run'], 'run is no http:// server, and has no login'],
    ['a client with its secret', ['own'], 'own needs no login: its oauth has a client with its secret'],
    ['an authority that is typed', ['far', '--tls-ca', 'x'], '--tls-ca is for an UPSTREAM that is typed'],
  ])('of %s is asked wrongly, and nobody is asked anything', async (_what, args, words) => {
    const { issuer, env, file } = await staged()
    const own = { clientId: 'a', clientSecret: 'b', tokenUrl: `${issuer.origin}/token` }
    const servers = { far: { url: issuer.resource.href }, run: { command: 'x' }, own: { url: issuer.resource.href, oauth: own } }
    const path = file(JSON.stringify({ mcpServers: servers }))
    expect(await type(['login', ...args, '--config', path], { env })).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(words) })
    expect(issuer.asked).toEqual([])
  })

  test('of a file that is not there, or not whole, says so', async () => {
    const { env, file } = await staged()
    expect(await type(['login', 'far', '--config', '/nowhere'], { env })).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot read /nowhere') })
    const path = file('{ "mcpServers": { "far": { "urll": 1 } } }')
    expect(await type(['login', 'far', '--config', path], { env })).toMatchObject({ code: 2, stderr: expect.stringContaining('urll') })
  })
})
