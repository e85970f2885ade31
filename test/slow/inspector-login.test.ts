// The MCP Inspector's command line logs in: it opens a browser, in which somebody proves who they are, and keeps what that gives it.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'

import { logInByBrowser, type BrowserLoginOptions } from '../support/browser-login.ts'
import { findChromium } from '../support/chromium.ts'
import { didHost } from '../support/did-host.ts'
import { startProgram, type End } from '../support/program.ts'
import { secured } from '../support/secured.ts'
import { freePort } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'
import { testWallet } from '../support/wallet.ts'

const INSPECTOR = '@modelcontextprotocol/inspector@2.12.0'
const INSTALL_LIMIT_MS = 240_000
const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'

const chromium = findChromium()
const inspector = fetchInspector()
const missing = chromium.missing ?? inspector.missing
// A suite that is skipped as a whole is not named.
if (missing !== undefined) console.log(`skipped: ${missing}`)

const secretKey = '1'.repeat(64)
const wallet = testWallet(Uint8Array.from({ length: 32 }, () => 0x11))

test.runIf(REQUIRED)('a browser and the inspector are there', () => expect(missing).toBeUndefined())

describe.skipIf(missing !== undefined)(`the inspector${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  interface Person {
    /** Asks, and logs in when it is sent to. */
    ask(...args: string[]): Promise<End & { stdout: string; stderr: string; visits: number }>
    /** The access tokens that the inspector keeps. */
    tokens(): Promise<readonly string[]>
  }

  async function person(url: URL, login: BrowserLoginOptions): Promise<Person> {
    const home = await mkdtemp(join(tmpdir(), 'openmcp-inspector-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const env = {
      HOME: home,
      MCP_STORAGE_DIR: join(home, 'storage'),
      MCP_CATALOG_PATH: join(home, 'catalog.json'),
      MCP_CLIENT_CONFIG_PATH: join(home, 'client.json'),
      MCP_INSPECTOR_SECRET_STORE: 'file',
      // Nobody sits at a terminal; the browser that it opens is none, and the one that a person has is driven from here.
      MCP_AUTO_OPEN_ENABLED: 'true',
      XDG_CURRENT_DESKTOP: 'X-Generic',
      BROWSER: '/bin/true',
    }
    const callback = `http://127.0.0.1:${await freePort()}/oauth/callback`
    return {
      async ask(...args) {
        const target = ['--transport', 'http', '--server-url', url.href, '--callback-url', callback]
        const program = await forThisTest(Object.assign(startProgram(process.execPath, [inspector.path, '--cli', ...target, ...args], { env, cwd: home })))
        program.endInput()
        let visits = 0
        const sent = program.says(/Please navigate to: (http\S+\/authorize\?\S+)/).then(([, authorize = '']) => {
          visits++
          return logInByBrowser(authorize, login)
        })
        // It ends without where nobody has to log in.
        await Promise.race([sent, program.ended])
        const end = await program.ended
        return { ...end, stdout: program.stdout.join('\n'), stderr: program.stderr.join('\n'), visits }
      },
      async tokens() {
        const files = await readdir(home, { recursive: true, withFileTypes: true })
        const texts = await Promise.all(files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'utf8')))
        const jwts = new Set(texts.join('\n').match(/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g))
        return [...jwts].filter((jwt) => decodeProtectedHeader(jwt).typ === 'at+jwt')
      },
    }
  }

  const LIST = ['--method', 'tools/list', '--format', 'json']
  const CALL = ['--method', 'tools/call', '--tool-name', 'echo', '--format', 'json']

  test.each([
    { way: 'by registering', described: false },
    { way: 'by a document about itself', described: true },
  ])('logs in $way, and from then on by what it keeps, until it logs in anew', async ({ described }) => {
    const s = await secured({ trusted: [wallet.did] })
    const host = await forThisTest(didHost())
    const id = `${host.origin}/inspector.json`
    const document = { client_id: id, client_name: 'Inspector', redirect_uris: ['http://127.0.0.1/oauth/callback'], token_endpoint_auth_method: 'none' }
    host.host('/inspector.json', { ...document, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] })
    const as = described ? ['--client-metadata-url', id] : []
    const ann = await person(s.url, { wallet: { secretKey } })

    const first = await ann.ask(...as, ...LIST)
    expect([first.stderr, first.code, first.visits]).toEqual([expect.stringContaining('Authorization complete'), 0, 1])
    expect(first.stdout).toContain('"echo"')
    const [before = ''] = await ann.tokens()
    const claims = decodeJwt(before)
    expect(claims).toMatchObject({ sub: wallet.did, aud: s.url.href })
    expect({ byDocument: claims['client_id'] === id, byRegistering: String(claims['client_id']).startsWith('reg.') }).toEqual({
      byDocument: described,
      byRegistering: !described,
    })

    const second = await ann.ask(...as, ...CALL, '--stored-auth-only')
    expect([second.code, second.visits]).toEqual([0, 0])
    expect(second.stdout).toContain('"echo"')

    s.pass(901)
    const third = await ann.ask(...as, ...CALL, '--stored-auth-only')
    expect([third.code, third.visits]).toEqual([0, 0])
    const [renewed = ''] = await ann.tokens()
    expect(renewed).not.toBe(before)

    const anew = await ann.ask(...as, ...CALL, '--relogin')
    expect([anew.stderr, anew.code, anew.visits]).toEqual([expect.stringContaining('Authorization complete'), 0, 1])
    // It looks for the endpoint where only its web page keeps it, so what it had before is not taken back.
    const [last = ''] = await ann.tokens()
    expect([before, renewed]).not.toContain(last)

    const seen = [JSON.stringify(s.upstream.received), s.log.join('\n')].join('\n')
    for (const token of [before, renewed, last]) expect(seen).not.toContain(token.split('.')[2])
  })

  test('is told that the person said no', async () => {
    const s = await secured({ trusted: [wallet.did] })
    const ann = await person(s.url, { deny: true })
    const { code, stderr, stdout, visits } = await ann.ask(...LIST)
    expect([code === 0, visits, stdout]).toEqual([false, 1, ''])
    expect(stderr).toContain('the person said no')
    expect(await ann.tokens()).toEqual([])
    expect(s.reached()).toEqual([])
  })
})

/** Where its program is. Throws when there is one and it does not start. */
function fetchInspector(): { path: string; missing?: string } {
  const { status, stdout, stderr } = spawnSync('npx', ['-y', '-p', INSPECTOR, '-c', 'command -v mcp-inspector'], {
    cwd: tmpdir(),
    encoding: 'utf8',
    timeout: INSTALL_LIMIT_MS,
  })
  const path = stdout.trim()
  if (status === 0 && path !== '') return { path }
  const npm = /npm (?:error|ERR!) (.*)/.exec(stderr)?.[1]
  if (status === null || npm !== undefined)
    return { path, missing: `${INSPECTOR} cannot be had: ${npm ?? `not installed within ${INSTALL_LIMIT_MS / 1000} s`}` }
  throw new Error(`${INSPECTOR} does not start (exit code ${status}): ${stderr}`)
}
