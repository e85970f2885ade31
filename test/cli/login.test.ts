import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { browserFor } from '../../src/cli/open-browser.ts'
import { keptCredentialFor } from '../../src/cli/upstream-login.ts'
import { callersDirectory, createLogins } from '../../src/login/logins.ts'
import { openmcp } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { walletProver, keyProver, type Prover } from '../api-keys/stage.ts'
import { someLogin } from '../login/kept.ts'
import { send } from '../login/little-issuer.ts'
import { browse, littleLogin, type LittleLogin, type WrongLogin } from '../login/little-login.ts'
import { approve, browser } from '../oauth/browser/stage.ts'
import { at } from '../support/json.ts'
import { INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { secured, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'
import { SILENT } from '../upstream/scripted-pipe.ts'
import { ownHome } from './home.ts'
import { listening, type, type Transcript } from './terminal.ts'

interface Typed {
  /** The address that the person is to open. */
  address: Promise<string>
  done: Promise<Transcript>
  paste(line: string): void
}

/** A command while it runs. */
function typing(argv: readonly string[], env: Record<string, string>): Typed {
  const { said, stream } = listening()
  const stdin = new PassThrough()
  const { platform } = process
  const code = main({ argv, env: { BROWSER: 'none', ...env }, platform, cwd: process.cwd(), stdin, stdout: stream('stdout'), stderr: stream('stderr') })
  return {
    address: until('an address to open', () => /^https?:\/\/\S+$/m.exec(said.stderr)?.[0]),
    done: code.then((ended) => ({ code: ended, ...said })),
    paste: (line) => void stdin.write(`${line}\n`),
  }
}

const started = (wrong: WrongLogin = {}): Promise<LittleLogin> => forThisTest(littleLogin(wrong))

/** Somebody has logged in. */
async function loggedIn(issuer: LittleLogin, env: Record<string, string>): Promise<Transcript> {
  const { address, done } = typing(['login', issuer.resource.href], env)
  await browse(await address)
  return done
}

const kept = (home: string): string[] => (existsSync(join(home, 'logins')) ? readdirSync(join(home, 'logins')) : [])

describe('openmcp login', () => {
  test('shows where to log in, and keeps what comes of it where nobody else can read it', async () => {
    const { env, home } = ownHome()
    const issuer = await started()
    const { code, stdout, stderr } = await loggedIn(issuer, env)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    const [intro, address, elsewhere, end, ...rest] = stderr.split('\n')
    expect(rest).toEqual([''])
    expect(intro).toBe(`openmcp: ${issuer.origin} wants a person to log in; open this address in a browser:`)
    expect(address).toMatch(new RegExp(`^${issuer.origin}/authorize\\?`))
    expect(elsewhere).toMatch(
      /^openmcp: in a browser elsewhere: paste the address that it is sent to in the end \(http:\/\/127\.0\.0\.1:\d+\/callback\?\.\.\.\) here$/,
    )
    expect(end).toBe(`openmcp: logged in at ${issuer.origin} for ${issuer.resource.href}; it is renewed by itself`)
    const [file = ''] = kept(home)
    expect(statSync(join(home, 'logins', file)).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(home, 'logins', file), 'utf8')).toContain('access-2-canary')
  })

  test('prints no token, code or verifier anywhere', async () => {
    const { env } = ownHome()
    const issuer = await started()
    const { stdout, stderr } = await loggedIn(issuer, env)
    expect(stdout + stderr).not.toContain('canary')
    expect(stdout + stderr).not.toContain(issuer.forms[0]?.['code_verifier'])
    expect(await type(['login', '--list', '--json'], { env })).toMatchObject({ stdout: expect.not.stringContaining('canary') })
  })

  test('takes a pasted address, after wrong ones', async () => {
    const { env } = ownHome()
    const issuer = await started()
    const { address, done, paste } = typing(['login', issuer.resource.href], env)
    const response = await fetch(await address, { redirect: 'manual' })
    paste('what?')
    paste(response.headers.get('location') ?? '')
    expect(await done).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('openmcp: warning: what was pasted is no answer to this login: it is neither an address nor a code\n'),
    })
  })

  test('goes on waiting for the browser when nobody is at the terminal', async () => {
    const { env } = ownHome()
    const issuer = await started()
    const { said, stream } = listening()
    const done = type(['login', issuer.resource.href], { env: { ...env, BROWSER: 'none' }, stderr: stream('stderr') })
    await browse(await until('an address to open', () => /^http\S+$/m.exec(said.stderr)?.[0]))
    expect(await done).toMatchObject({ code: 0 })
  })

  test('ends when nobody comes', async () => {
    const { env, home } = ownHome()
    const issuer = await started()
    const { done } = typing(['login', issuer.resource.href, '--timeout', '0.5'], env)
    expect(await done).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('openmcp: error: nobody logged in within 0.5 s\nopenmcp: hint: --timeout SECONDS waits longer\n'),
    })
    expect(kept(home)).toEqual([])
  })

  test('keeps nothing of a login that fails, and says why', async () => {
    const { env, home } = ownHome()
    const issuer = await started({ redirect: (to) => (to.searchParams.delete('code'), to.searchParams.set('error', 'access_denied')) })
    const { code, stderr } = await loggedIn(issuer, env)
    expect(code).toBe(1)
    expect(stderr).toContain(`openmcp: error: the login was refused at ${issuer.origin} (access_denied)\nopenmcp: hint: log in and allow it\n`)
    expect(kept(home)).toEqual([])
  })

  test('is who --client-id says, with the secret of a file and no other', async () => {
    const { env, home } = ownHome()
    const issuer = await started()
    mkdirSync(home, { recursive: true })
    writeFileSync(join(home, 'secret'), 'shhcanary\n')
    const { address, done } = typing(
      ['login', issuer.resource.href, '--client-id', 'mine', '--client-secret-file', join(home, 'secret'), '--scope', 'a b'],
      env,
    )
    await browse(await address)
    const { code, stdout, stderr } = await done
    expect({ code, isShown: (stdout + stderr).includes('shh') }).toEqual({ code: 0, isShown: false })
    expect(issuer.forms).toMatchObject([{ authorization: `Basic ${Buffer.from('mine:shhcanary').toString('base64')}` }])
    expect(issuer.authorizations[0]?.get('scope')).toBe('a b')
  })

  test('--list says what there is: resource, issuer, and how long', async () => {
    const { env } = ownHome()
    const [renewed, ending] = [await started(), await started({ refresh: 'none' })]
    expect(await type(['login', '--list'], { env })).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('nobody is logged in anywhere') })
    await loggedIn(renewed, env)
    await loggedIn(ending, env)
    const { code, stdout } = await type(['login', '--list'], { env })
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines).toContain(`${renewed.origin}/mcp ${renewed.origin} renewed`)
    expect(stdout).toMatch(new RegExp(`^${ending.origin}/mcp ${ending.origin} 20\\d\\d-`, 'm'))
  })

  test('--list says whose a login is that is not for all', async () => {
    const { env, home } = ownHome()
    const holder = { server: 'notes', caller: 'did:web:ann.example', sinceMs: 1 }
    const directory = join(callersDirectory(join(home, 'logins')), 'a'.repeat(64))
    await createLogins({ directory, holder, now: Date.now }).save(someLogin({ holder }))
    const said = 'https://mcp.example.com/mcp https://issuer.example renewed of did:web:ann.example at notes\n'
    expect(await type(['login', '--list'], { env })).toMatchObject({ code: 0, stdout: said })
    const { stdout } = await type(['login', '--list', '--json'], { env })
    expect(JSON.parse(stdout)).toEqual([
      { address: 'https://mcp.example.com/mcp', issuer: 'https://issuer.example', until: 'renewed', server: 'notes', caller: 'did:web:ann.example' },
    ])
  })

  test.each<[string[], string]>([
    [['login'], 'openmcp login does not say where'],
    [['login', 'http://h/mcp', 'http://i/mcp'], "openmcp login: one word too many: 'http://i/mcp'"],
    [['login', 'ftp://h/mcp'], 'ftp'],
    [['login', 'http://h/mcp', '--client-secret-file', '/nowhere'], 'cannot read /nowhere'],
    [['login', 'http://h/mcp', '--client-secret-file', 'package.json'], '--client-secret-file'],
    [['login', 'http://h/mcp', '--client-metadata-url', 'http://h/x.json'], '--client-metadata-url takes the https address'],
    [['login', 'http://h/mcp', '--client-metadata-url', 'https://h/'], '--client-metadata-url takes the https address'],
    [['login', 'http://h/mcp', '--client-id', 'a', '--client-metadata-url', 'https://h/x.json'], 'both say who we are'],
    [['login', 'http://h/mcp', '--client-id', 'a b'], '--client-id takes the name'],
    [['login', 'http://h/mcp', '--dpop', 'nonce'], '--dpop'],
    [['login', 'http://h/mcp', '--timeout', '0'], '--timeout'],
    [['login', 'http://h/mcp', '--scope', ' '], '--scope takes scopes'],
    [['login', 'http://h/mcp', '--token', 'x'], 'unknown option --token'],
    [['login', '--list', 'http://h/mcp'], 'openmcp login --list takes nothing else'],
    [['reset', 'http://h/mcp', 'http://i/mcp'], "openmcp reset: one word too many: 'http://i/mcp'"],
    [['reset', '--keys', 'x'], 'unknown option --keys'],
  ])('%j is asked wrongly', async (argv, words) => {
    const { code, stdout, stderr } = await type(argv, { env: ownHome().env })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })
})

describe('a browser', () => {
  /** A browser that notes what it was started with. */
  function notingBrowser(home: string): { program: string; noted(): Promise<string[]> } {
    const [program, notes] = [join(dirname(home), 'browser'), join(dirname(home), 'notes')]
    writeFileSync(
      program,
      `#!/bin/sh\nfor each in "$@"; do printf '%s\\n' "$each" >>'${notes}.part'; done\nenv >>'${notes}.env'\nmv '${notes}.part' '${notes}'\n`,
    )
    chmodSync(program, 0o755)
    return { program, noted: () => until('the browser', () => existsSync(notes) && readFileSync(notes, 'utf8').trimEnd().split('\n')) }
  }

  test('is opened with one address and nothing else, through no shell', async () => {
    const { env, home } = ownHome()
    const { program, noted } = notingBrowser(home)
    const issuer = await started({ server: (origin) => ({ authorization_endpoint: `${origin}/authorize?x=$(touch%20${home}-owned)&y=\`id\`;"'` }) })
    const { done, address } = typing(['login', issuer.resource.href], { ...env, OPENMCP_API_KEY: 'canary', BROWSER: program })
    const opened = await noted()
    expect(opened).toEqual([await address])
    expect(existsSync(`${home}-owned`)).toBe(false)
    expect(readFileSync(join(dirname(home), 'notes.env'), 'utf8')).not.toContain('canary')
    await browse(opened[0] ?? '')
    expect(await done).toMatchObject({ code: 0, stderr: expect.stringContaining('openmcp: a browser was opened\n') })
  })

  test('is not opened with --no-browser', async () => {
    const { env, home } = ownHome()
    const { program } = notingBrowser(home)
    const issuer = await started()
    const { done, address } = typing(['login', issuer.resource.href, '--no-browser'], { ...env, BROWSER: program })
    await browse(await address)
    expect(await done).toMatchObject({ code: 0, stderr: expect.not.stringContaining('was opened') })
    expect(existsSync(join(dirname(home), 'notes.part')) || existsSync(join(dirname(home), 'notes'))).toBe(false)
  })

  test('that is not there does no harm', async () => {
    const { env } = ownHome()
    const issuer = await started()
    const { done, address } = typing(['login', issuer.resource.href], { ...env, BROWSER: '/nowhere/browser' })
    await browse(await address)
    expect(await done).toMatchObject({ code: 0, stderr: expect.not.stringContaining('was opened') })
  })

  test.each(['javascript:alert(1)', 'file:///etc/passwd', 'ms-msdt:/id', '-version', 'http://10.0.0.1/authorize'])(
    'is never opened at %s',
    async (endpoint) => {
      const { env, home } = ownHome()
      const { program } = notingBrowser(home)
      const issuer = await started({ server: () => ({ authorization_endpoint: endpoint }) })
      const { done } = typing(['login', issuer.resource.href], { ...env, BROWSER: program })
      expect(await done).toMatchObject({ code: 1, stderr: expect.not.stringContaining('open this address') })
      expect(existsSync(join(dirname(home), 'notes.env'))).toBe(false)
    },
  )

  const url = new URL('https://issuer.example/authorize?a=b')
  const opens = (platform: NodeJS.Platform, env: Record<string, string>): string | undefined => {
    const command = browserFor(url, { platform, env })
    return command && [command.program, ...command.args].join(' ')
  }

  test.each<[NodeJS.Platform, Record<string, string>, string | undefined]>([
    ['linux', { DISPLAY: ':0' }, `xdg-open ${url.href}`],
    ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, `xdg-open ${url.href}`],
    ['darwin', {}, `/usr/bin/open ${url.href}`],
    ['win32', { SystemRoot: 'D:\\Windows' }, `D:\\Windows\\System32\\rundll32.exe url.dll,FileProtocolHandler ${url.href}`],
    ['linux', { BROWSER: 'firefox' }, `firefox ${url.href}`],
    ['linux', { BROWSER: 'firefox --new-window %s:chromium' }, `firefox --new-window ${url.href}`],
    ['win32', { BROWSER: 'C:\\Program Files\\Browser\\browser.exe' }, `C:\\Program Files\\Browser\\browser.exe ${url.href}`],
    ['linux', { BROWSER: '/remote/helper.sh', SSH_CONNECTION: '1' }, `/remote/helper.sh ${url.href}`],
    ['linux', {}, undefined],
    ['linux', { DISPLAY: ':0', CI: 'true' }, undefined],
    ['linux', { DISPLAY: ':10', SSH_CONNECTION: '1' }, undefined],
    ['darwin', { SSH_TTY: '/dev/tty' }, undefined],
    ['linux', { DISPLAY: ':0', BROWSER: 'none' }, undefined],
    ['linux', { DISPLAY: ':0', BROWSER: ' : ' }, undefined],
  ])('on %s with %j is %s', (platform, env, command) => {
    expect(opens(platform, env)).toBe(command)
  })

  test('opens nothing but pages', () => {
    expect(browserFor(new URL('file:///etc/passwd'), { platform: 'darwin', env: {} })).toBeUndefined()
  })
})

describe('openmcp reset', () => {
  test('takes one login back at its issuer and forgets it', async () => {
    const { env, home } = ownHome()
    const [issuer, other] = [await started(), await started()]
    await loggedIn(issuer, env)
    await loggedIn(other, env)
    expect(await type(['reset', issuer.resource.href], { env })).toEqual({
      code: 0,
      stdout: '',
      stderr: `openmcp: forgotten: the login for ${issuer.resource.href} at ${issuer.origin}\n`,
    })
    expect(issuer.takenBack.map(({ token }) => token)).toEqual(['refresh-2-canary', 'access-2-canary'])
    expect(other.takenBack).toEqual([])
    expect(kept(home)).toHaveLength(1)
  })

  test('without a word forgets every one, and what cannot be read, naming each', async () => {
    const { env, home } = ownHome()
    const [issuer, broken] = [await started(), await started({ at: { '/revoke': (res) => send(res, 500, {}) } })]
    await loggedIn(issuer, env)
    await loggedIn(broken, env)
    const damaged = join(home, 'logins', `${'a'.repeat(64)}.json`)
    writeFileSync(damaged, '{', { mode: 0o600 })
    const { code, stderr } = await type(['reset'], { env })
    expect(code).toBe(0)
    expect(stderr.trimEnd().split('\n').toSorted()).toEqual(
      [
        `openmcp: forgotten: the login for ${issuer.resource.href} at ${issuer.origin}`,
        `openmcp: forgotten: the login for ${broken.resource.href} at ${broken.origin}`,
        `openmcp: warning: its tokens were not taken back: ${broken.origin} did not take the tokens back; they end by themselves`,
        `openmcp: warning: removed ${damaged}, which could not be read: what it held was not taken back`,
      ].toSorted(),
    )
    expect(kept(home)).toEqual([])
    expect(await type(['reset'], { env })).toMatchObject({ code: 0, stderr: 'openmcp: there is no login to forget\n' })
  })

  test('of a login that is not there fails, and forgets nothing', async () => {
    const { env, home } = ownHome()
    await loggedIn(await started(), env)
    expect(await type(['reset', 'https://other.example/mcp'], { env })).toEqual({
      code: 1,
      stdout: '',
      stderr: 'openmcp: error: there is no login for https://other.example/mcp\nopenmcp: hint: openmcp login --list says which there are\n',
    })
    expect(kept(home)).toHaveLength(1)
  })
})

describe('openmcp test', () => {
  test('of a server where somebody has logged in says what it is', async () => {
    const { env } = ownHome()
    const issuer = await started()
    expect(await type(['test', issuer.resource.href], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`openmcp: hint: openmcp login ${issuer.resource.href} for a person; `),
    })
    await loggedIn(issuer, env)
    expect(await type(['test', issuer.resource.href], { env })).toMatchObject({ code: 0, stdout: expect.stringContaining('server: little 1\n') })
  })
})

/** What a person does in front of the login of another openmcp, with a signer for a wallet. */
async function logInAt(address: string, prover: Prover): Promise<void> {
  const tab = browser()
  const sent = await tab.get(address)
  const page = new URL(sent.headers.location ?? 'none:')
  const uid = page.searchParams.get('login') ?? ''
  const begun = { uid, at: `${page.href.slice(0, page.href.indexOf('/keys'))}/login/${uid}` }
  const approved = await approve(tab, begun, prover)
  const back = await tab.get(String(at(approved.json, 'redirect_to')))
  await ask(new URL(back.headers.location ?? 'none:'))
}

describe('a login at another openmcp', () => {
  async function running(node: Secured, home: string): Promise<URL> {
    const credential = keptCredentialFor({ directory: join(home, 'logins'), resource: node.url }, SILENT)
    const proxy = await openmcp(
      {
        target: { kind: 'remote', urls: [node.url], transport: 'auto', headers: {} },
        listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
        name: 'test',
        isolation: 'session',
        limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
        log: { level: 'error', format: 'text' },
        credential,
      },
      { stdin: new PassThrough(), stdout: new PassThrough(), log: SILENT, now: Date.now },
    )
    await forThisTest({ stop: () => proxy.close() })
    if (!proxy.url) throw new Error('it listens')
    return proxy.url
  }

  test.each<[string, boolean, () => Prover]>([
    ['with a wallet', false, () => walletProver(testWallet())],
    ['with a key', false, () => keyProver('ES256')],
    ['bound to a key', true, () => walletProver(testWallet())],
  ])('%s opens it for a client that knows of no login', async (_what, bound, proverOf) => {
    const { env, home } = ownHome()
    const prover = proverOf()
    const node = await secured({ trusted: [prover.did], ...(bound && { security: { dpop: 'required' } }) })
    const url = await running(node, home)
    const refused = await ask(url, { body: initializeMessage(1) })
    expect({ status: refused.status, text: refused.text }).toEqual({ status: 502, text: expect.stringContaining(`openmcp login ${node.url.href}`) })
    expect(node.reached()).toEqual([])

    const { address, done } = typing(['login', node.url.href, ...(bound ? ['--dpop', 'required'] : [])], env)
    await logInAt(await address, prover)
    expect(await done).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining(`logged in at ${node.base} for ${node.url.href}; it is renewed by itself`),
    })

    const answer = await until('a session', async () => {
      const tried = await ask(url, { body: initializeMessage(1) })
      return tried.status === 200 && tried
    })
    const session = { 'mcp-session-id': String(answer.headers['mcp-session-id']) }
    expect((await ask(url, { headers: session, body: INITIALIZED })).status).toBe(202)
    expect(node.reached().map(({ body }) => body['method'])).toEqual(['initialize', 'notifications/initialized'])
    for (const { headers } of node.upstream.received) expect([headers['authorization'], headers['dpop']]).toEqual([undefined, undefined])

    // What is reset is good no more at the issuer either: what runs on it is out.
    expect(await type(['reset', node.url.href], { env })).toMatchObject({ code: 0, stderr: expect.not.stringContaining('not taken back') })
    expect((await ask(url, { headers: session, body: { jsonrpc: '2.0', id: 7, method: 'tools/list' } })).status).toBe(502)
    expect(node.reached().filter(({ method }) => method === 'POST')).toEqual([])
  })

  test('is renewed before the token is over', async () => {
    const { env, home } = ownHome()
    const prover = walletProver(testWallet())
    const node = await secured({ trusted: [prover.did], security: { tokenSeconds: 60 } })
    const { address, done } = typing(['login', node.url.href], env)
    await logInAt(await address, prover)
    await done
    const url = await running(node, home)
    expect((await ask(url, { body: initializeMessage(1) })).status).toBe(200)
    node.pass(100)
    expect((await ask(url, { body: initializeMessage(2) })).status).toBe(200)
  })

  test('of somebody who is not trusted comes to nothing', async () => {
    const { env, home } = ownHome()
    const node = await secured()
    const { address, done } = typing(['login', node.url.href, '--timeout', '1'], env)
    await expect(logInAt(await address, walletProver(testWallet()))).rejects.toThrow(/Invalid URL|redirect/)
    expect(await done).toMatchObject({ code: 1, stderr: expect.stringContaining('nobody logged in within 1 s') })
    expect(kept(home)).toEqual([])
  })
})
