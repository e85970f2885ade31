// `openmcp login`, attacked by the server it is sent to: what it would hand to a browser and its shell, or hear from a page.
import { describe, expect, test } from 'vitest'

import { browserFor } from '../../src/cli/open-browser.ts'
import { OpenMcpError } from '../../src/errors.ts'
import { logIn } from '../../src/login/log-in.ts'
import type { Invitation } from '../../src/login/wait-for-code.ts'
import { browse, littleLogin, type WrongLogin } from '../login/little-login.ts'
import { forThisTest } from '../support/tidy.ts'
import { ask, openSocket } from '../support/wire.ts'

/** Begins a login; what is shown, and how it ends. */
async function begun(wrong: WrongLogin = {}): Promise<{ forms: readonly unknown[]; shown: Promise<Invitation>; made: Promise<unknown> }> {
  const issuer = await forThisTest(littleLogin(wrong))
  let show: (invitation: Invitation) => void = () => {}
  const shown = new Promise<Invitation>((resolve) => {
    show = resolve
  })
  const ending = new AbortController()
  const made = logIn({
    resource: issuer.resource,
    client: {},
    bound: false,
    person: { show: (invitation) => show(invitation), onPasted: () => () => {}, tellWrong: () => {} },
    fetch: globalThis.fetch,
    now: Date.now,
    signal: ending.signal,
  })
  made.catch(() => {})
  return { forms: issuer.forms, shown, made }
}

describe('an issuer that lets people log in at', () => {
  test.each(['$(id)', '`id`', 'a;id;', "a'b", 'a"b', 'a&id', 'a!b', 'a(b)', 'a*b', '{a,b}', '~', 'a=b', 'a+b', 'a,b'])(
    '%s.example is refused before anybody is sent there',
    async (host) => {
      const { forms, shown, made } = await begun({ server: () => ({ authorization_endpoint: `https://${host}.example/authorize` }) })
      const first = await Promise.race([shown, made.catch((thrown: unknown) => thrown)])
      expect(first).toBeInstanceOf(OpenMcpError)
      expect(first).toMatchObject({ code: 'login_failed', message: expect.stringContaining('not written like one') })
      expect(forms).toEqual([])
    },
  )
})

test('a browser is opened with one argument that no shell reads as more, whatever the issuer wrote', async () => {
  const { shown } = await begun({ server: (origin) => ({ authorization_endpoint: `${origin}/a;$(id)|'"\`&!?x=$(id)&y=%27;` }) })
  const { url } = await shown
  const command = browserFor(url, { env: { DISPLAY: ':0' }, platform: 'linux' })
  expect(command).toEqual({ program: 'xdg-open', args: [url.href] })
  expect(url.href).toMatch(/^http:\/\/[\w.:/?&=%+*~-]+$/)
})

describe('a page that finds the port of a login', () => {
  test.each<[string, (state: string) => string]>([
    ['without a state', () => 'code=forged'],
    ['with a state of its own', () => 'code=forged&state=evil'],
    ['with a state twice', (state) => `code=forged&state=evil&state=${state}`],
    ['with an error', () => 'error=access_denied&state=evil'],
    ['with an empty state', () => 'code=forged&state='],
  ])('%s ends nothing: the real answer still comes through', async (_what, query) => {
    const { shown, made } = await begun()
    const { url, redirectUri } = await shown
    const state = url.searchParams.get('state') ?? ''
    for (let times = 0; times < 20; times++) {
      const { status, text } = await ask(new URL(`${redirectUri}?${query(state)}`))
      expect([status, text.includes('forged'), text.includes(state)]).toEqual([400, false, false])
    }
    expect((await ask(new URL(`${redirectUri}?code=x&state=${state}`), { method: 'POST' })).status).toBe(405)
    expect((await ask(new URL(`${redirectUri}?code=x&state=${state}`), { headers: { host: 'evil.example' } })).status).toBe(403)
    expect(
      (
        await ask(new URL(`${redirectUri}?code=x&state=${state}`), {
          headers: { host: redirectUri.replace('http://127.0.0.1', 'localhost').replace('/callback', '') },
        })
      ).status,
    ).toBe(403)
    expect((await browse(url.href)).status).toBe(200)
    expect(await made).toMatchObject({ tokenType: 'Bearer' })
  })

  test('and says nothing for long is not waited for', async () => {
    const { shown, made } = await begun()
    const { url, redirectUri } = await shown
    for (let count = 0; count < 8; count++) (await forThisTest(openSocket(new URL(redirectUri)))).write('GET /callback?code=')
    expect((await browse(url.href)).status).toBe(200)
    expect(await made).toMatchObject({ tokenType: 'Bearer' })
  })
})
