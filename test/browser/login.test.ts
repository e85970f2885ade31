import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UnauthorizedError, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'

import { addTrust } from '../../src/policy/rules.ts'
import { logInByBrowser, whereSent } from '../support/browser-login.ts'
import { secured, type Secured } from '../support/secured.ts'
import { problemsOf } from './look.ts'
import { alertOn, button, chromium, heading, LOOKS, SKIPPED, visits, wallet, WALLET } from './visit.ts'

describe.skipIf(chromium.missing !== undefined)(`a login in a browser${SKIPPED}`, () => {
  const { browser, visit } = visits()

  interface Program {
    /** Where it sends its person. */
    readonly authorize: URL
    /** What its listener got, next. */
    answer(): Promise<URL>
    /** With the code that it got: the tools that it sees, and what one of them answers. */
    use(answer: URL): Promise<unknown>
  }

  /** The official client, with a listener on loopback, at the point where a person has to log in. */
  async function program({ url }: Secured, metadata: { client_name?: string; redirect_uris?: string[]; scope?: string } = {}): Promise<Program> {
    const got: ((answer: URL) => void)[] = []
    const answers: URL[] = []
    const listener = createServer((req, res) => {
      res.setHeader('content-type', 'text/html').end('<title>Back</title>You may close this window.')
      const answer = new URL(req.url ?? '', 'http://listener')
      if (answer.pathname !== '/callback') return
      const next = got.shift()
      if (next) next(answer)
      else answers.push(answer)
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void listener.close())
    const redirectUrl = metadata.redirect_uris?.[0] ?? `http://127.0.0.1:${(listener.address() as AddressInfo).port}/callback`
    let information: OAuthClientInformationMixed | undefined
    let tokens: OAuthTokens | undefined
    let verifier = ''
    let authorize: URL | undefined
    const authProvider: OAuthClientProvider = {
      redirectUrl,
      clientMetadata: { client_name: 'Test Program', redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none', ...metadata },
      state: () => 'a state <b>of</b> its own',
      clientInformation: () => information,
      saveClientInformation: (saved) => void (information = saved),
      tokens: () => tokens,
      saveTokens: (saved) => void (tokens = saved),
      redirectToAuthorization: (to) => void (authorize = to),
      saveCodeVerifier: (saved) => void (verifier = saved),
      codeVerifier: () => verifier,
    }
    const transport = new StreamableHTTPClientTransport(url, { authProvider })
    await expect(new Client({ name: 'test', version: '1' }).connect(transport)).rejects.toThrow(UnauthorizedError)
    if (!authorize) throw new Error('the client sends its person to the login')
    return {
      authorize,
      answer: () => {
        const known = answers.shift()
        return known ? Promise.resolve(known) : new Promise((resolve) => got.push(resolve))
      },
      async use(answer) {
        await transport.finishAuth(answer.searchParams.get('code') ?? '')
        const client = new Client({ name: 'test', version: '1' })
        await client.connect(new StreamableHTTPClientTransport(url, { authProvider }))
        const { content } = await client.callTool({ name: 'echo' })
        await client.close()
        return content
      },
    }
  }

  const DONE = [{ type: 'text', text: 'echo' }]

  async function approve(page: Page): Promise<void> {
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').click()
  }

  test('a person with a wallet approves what they are shown, and the program that asked calls a tool', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page, complaints } = await visit(asked.authorize, WALLET)
    await heading(page, 'Test Program').waitFor()
    expect(await page.locator('#client-said').textContent()).toBe('Not verified: the program chose this name itself.')
    expect(await page.locator('#login-scopes').textContent()).toBe('everything that you may use')
    expect(await page.locator('#login-server').textContent()).toBe(stage.url.href)
    const { host } = new URL(asked.authorize.searchParams.get('redirect_uri') ?? '')
    expect(await page.locator('#login-redirect').textContent()).toBe(`a program on this computer (${host})`)
    expect(await page.locator('#beware').isVisible()).toBe(true)
    expect(await button(page, 'Approve').isVisible()).toBe(false)
    await approve(page)
    const answer = await asked.answer()
    expect(answer.searchParams.get('state')).toBe('a state <b>of</b> its own')
    expect(answer.searchParams.get('iss')).toBe(stage.base)
    expect(await asked.use(answer)).toEqual(DONE)
    expect(complaints).toEqual([])
  })

  test('a person without a wallet does it with a key of the browser, is not trusted, is trusted, and goes on from there', async () => {
    const stage = await secured({ durable: true, trusted: [wallet.did] })
    const asked = await program(stage)
    let stranger = ''
    const trust = async (did: string): Promise<void> => {
      stranger = did
      await addTrust(await stage.otherProcess(), { id: did })
    }
    const answer = await logInByBrowser(asked.authorize, { browser: browser(), trust })
    expect(stranger).toMatch(/^did:key:z6Mk/)
    expect(await asked.use(answer)).toEqual(DONE)
  })

  test('the first identity of all is let in by the enrolment link, pasted where it is not trusted', async () => {
    const stage = await secured()
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    await approve(page)
    await heading(page, 'Not trusted here yet').waitFor()
    await page.getByText('I have an enrolment link').click()
    await page.getByLabel('Enrolment link').fill('nonsense')
    await button(page, 'Use the link').click()
    expect(await alertOn(page)).toContain('no enrolment link')
    await page.getByLabel('Enrolment link').fill(stage.enrolment?.href ?? '')
    await button(page, 'Use the link').click()
    expect(await asked.use(await asked.answer())).toEqual(DONE)
  })

  test('whoever says no sends the program away without anything', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const answer = await logInByBrowser(asked.authorize, { browser: browser(), deny: true })
    expect(answer.searchParams.get('error')).toBe('access_denied')
    expect(answer.searchParams.get('code')).toBeNull()
    expect(answer.searchParams.get('state')).toBe('a state <b>of</b> its own')
    expect(stage.reached()).toEqual([])
  })

  test('who declines in the wallet has agreed to nothing, and may try again', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    await button(page, 'Test Wallet').click()
    await page.evaluate('testWallet[0].declines = 4001')
    await button(page, 'Approve').click()
    expect(await alertOn(page)).toContain('You declined in the wallet')
    await page.evaluate('delete testWallet[0].declines')
    await button(page, 'Approve').click()
    expect(await asked.use(await asked.answer())).toEqual(DONE)
  })

  test('who stops to wait has agreed to nothing, even if the wallet signs later', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    const approvals: string[] = []
    page.on('request', (request) => void (request.url().endsWith('/approve') && approvals.push(request.url())))
    await page.evaluate('testWallet[0].answers = false')
    await approve(page)
    await expect.poll(() => page.evaluate('testWallet[0].answer !== undefined')).toBe(true)
    expect(await button(page, 'Deny').isDisabled()).toBe(true)
    await button(page, 'Stop waiting').click()
    await page.evaluate('testWallet[0].answer()')
    await button(page, 'Deny').click()
    expect((await asked.answer()).searchParams.get('error')).toBe('access_denied')
    expect(approvals).toEqual([])
  })

  test('another account in the wallet is another person: what waits for the first one is over', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    await page.evaluate('testWallet[0].answers = false')
    await approve(page)
    await expect.poll(() => page.evaluate('testWallet[0].answer !== undefined')).toBe(true)
    await page.evaluate(`testWallet[0].emit('accountsChanged', ['0x${'2'.repeat(40)}'])`)
    expect(await alertOn(page)).toContain('another account')
    await page.evaluate('testWallet[0].answer()')
    expect(await button(page, 'Approve').isVisible()).toBe(false)
    expect(await heading(page, 'Who are you?').isVisible()).toBe(true)
    expect(await button(page, 'Test Wallet').isEnabled()).toBe(true)
  })

  test('two taps are one answer', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    const signed: string[] = []
    page.on('request', (request) => void (request.url().endsWith('/challenge') && signed.push(request.url())))
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').dblclick()
    expect(await asked.use(await asked.answer())).toEqual(DONE)
    expect(signed).toHaveLength(1)
  })

  test('a second window of the same login says that it is over, and so does the way back', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    // Its cookie may be gone with it.
    const OVER = /This login (?:is over|cannot go on here)/
    const { page, context } = await visit(asked.authorize, WALLET)
    await heading(page, 'Test Program').waitFor()
    const second = await context.newPage()
    await second.goto(page.url())
    await button(second, 'Test Wallet').click()
    await button(second, 'Approve').waitFor()
    await approve(page)
    const answer = await asked.answer()
    await button(second, 'Approve').click()
    await second.getByRole('heading', { name: OVER }).waitFor()
    await page.waitForURL('**/callback?**')
    await page.goBack()
    await page.reload()
    await page.getByRole('heading', { name: OVER }).waitFor()
    expect(await button(page, 'Approve').isVisible()).toBe(false)
    expect(await asked.use(answer)).toEqual(DONE)
  })

  test('in another browser a login shows nothing of who asks, and nobody is let in', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const attacker = await visit(asked.authorize, WALLET)
    await heading(attacker.page, 'Test Program').waitFor()
    const victim = await visit(attacker.page.url(), WALLET)
    await heading(victim.page, 'This login cannot go on here').waitFor()
    expect(await victim.page.locator('main').innerText()).not.toContain('Test Program')
    for (const name of ['Test Wallet', 'Approve', 'Deny']) expect(await button(victim.page, name).isVisible()).toBe(false)
    expect(await victim.page.locator('main').innerText()).toContain('close this window')
  })

  test('a login that waited too long is over; a text that waited too long is signed again', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    await page.route('**/approve', (route) => {
      stage.pass(301)
      return route.continue()
    })
    await approve(page)
    expect(await alertOn(page)).toContain('more than five minutes')
    await button(page, 'Approve').click()
    await heading(page, 'This login is over').waitFor()
    await page.reload()
    await heading(page, 'This login is over').waitFor()
    expect(stage.reached()).toEqual([])
  })

  test('script in what a client says of itself, in its state and in its scope stays text', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const script = '<img src=x onerror="globalThis.hit=1">'
    const asked = await program(stage, { client_name: script })
    asked.authorize.searchParams.set('state', script)
    asked.authorize.searchParams.set('scope', `mcp:tools ${script}`)
    const { page } = await visit(asked.authorize, WALLET)
    await heading(page, script).waitFor()
    await approve(page)
    const answer = await asked.answer()
    expect(answer.searchParams.get('state')).toBe(script)
    await page.waitForURL('**/callback?**')
    await page.goBack()
    expect(await page.evaluate('globalThis.hit')).toBeUndefined()
    expect(await page.locator('main img').count()).toBe(0)
  })

  test.each(['login=%3Cimg%20src=x%3E', 'login=', 'login=../challenge', 'login=a&login=b'])('an address that names no login (%s) shows none', async (query) => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys?${query}`, WALLET)
    await page.locator('#over, #unasked').filter({ visible: true }).waitFor()
    expect(await button(page, 'Test Wallet').isVisible()).toBe(false)
    expect(await page.locator('main img').count()).toBe(0)
  })

  test('an answer of the server that leads elsewhere is not followed', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const { page } = await visit(asked.authorize, WALLET)
    await page.route('**/approve', (route) => route.fulfill({ json: { redirect_to: 'https://evil.example/' } }))
    await approve(page)
    expect(await alertOn(page)).toContain('does not know')
    expect(new URL(page.url()).origin).toBe(stage.base)
  })

  test('a client that is known by its document is called after the host of it, and what it may use is told in words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const documents = createServer((req, res) => {
      const client = { client_id: `http://${req.headers.host}/client.json`, client_name: 'Example Chat', redirect_uris: ['https://chat.example/callback'] }
      res.setHeader('content-type', 'application/json').end(JSON.stringify(client))
    })
    await new Promise<void>((resolve) => documents.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void documents.close())
    const host = `127.0.0.1:${(documents.address() as AddressInfo).port}`
    const asked = {
      client_id: `http://${host}/client.json`,
      redirect_uri: 'https://chat.example/callback',
      response_type: 'code',
      code_challenge: 'a'.repeat(43),
      code_challenge_method: 'S256',
      scope: 'mcp:tools mcp:prompts',
      resource: stage.url.href,
    }
    const { page } = await visit(`${stage.base}/authorize?${new URLSearchParams(asked).toString()}`, WALLET)
    await heading(page, 'Example Chat').waitFor()
    expect(await page.locator('#client-said').innerText()).toBe(`${host} gives it this name.`)
    expect(await page.locator('#login-scopes').innerText()).toBe('tools, prompts')
    expect(await page.locator('#login-redirect').innerText()).toBe('chat.example')
    expect(await page.locator('#beware').isVisible()).toBe(false)
  })

  test('where the server is away before it is known who asks, it can be asked again', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    let isAway = true
    const { page } = await visit(asked.authorize, {
      ...WALLET,
      before: (context) => context.route('**/login/*', (route) => (isAway ? route.fulfill({ status: 502, body: '<h1>Bad gateway</h1>' }) : route.continue())),
    })
    expect(await alertOn(page)).toContain('The server does not answer')
    expect(await button(page, 'Approve').isVisible()).toBe(false)
    isAway = false
    await button(page, 'Try again').click()
    await approve(page)
    expect(await asked.use(await asked.answer())).toEqual(DONE)
  })

  test('a program that is opened by links of its own is named by them, and the page says that it may be closed', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage, { redirect_uris: ['test-program://callback'] })
    const { page } = await visit(asked.authorize, WALLET)
    const sent = whereSent(page, stage.base)
    await page.getByText('the program on this device that opens test-program: links').waitFor()
    await approve(page)
    expect((await sent).protocol).toBe('test-program:')
    await heading(page, 'You are logged in').waitFor()
    await page.getByText('you can close it').waitFor()
  })

  test('a login is not shown in a frame', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const asked = await program(stage)
    const evil = createServer((_req, res) => {
      res.setHeader('content-type', 'text/html')
      res.end(`<iframe src="${asked.authorize.href.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"></iframe>`)
    })
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void evil.close())
    const { page, complaints } = await visit(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`, WALLET)
    const frame = page.frames().find((one) => one !== page.mainFrame())
    expect(await frame?.content()).not.toContain('Who are you?')
    expect(complaints.join('\n')).toMatch(/frame/i)
  })

  describe.each(LOOKS)('in %s at %i pixels', (colorScheme, width) => {
    test('axe finds nothing, and nothing is wider than the window', async () => {
      const stage = await secured()
      const asked = await program(stage, { client_name: 'MCP Inspector' })
      const { page } = await visit(asked.authorize, { ...WALLET, colorScheme, viewport: { width, height: 844 } })
      const problems: string[] = []
      const look = async (name: string): Promise<unknown> => problems.push(...(await problemsOf(page, `login-${name}-${colorScheme}-${width}`)))
      await button(page, 'Test Wallet').waitFor()
      await look('asked')
      await button(page, 'Test Wallet').click()
      await button(page, 'Approve').waitFor()
      await look('approve')
      await page.evaluate('testWallet[0].answers = false')
      await button(page, 'Approve').click()
      await expect.poll(() => page.evaluate('testWallet[0].answer !== undefined')).toBe(true)
      await look('waiting')
      await page.evaluate('testWallet[0].answers = true; testWallet[0].answer()')
      await heading(page, 'Not trusted here yet').waitFor()
      await page.getByText('I have an enrolment link').click()
      await look('untrusted')
      await page.context().clearCookies()
      await page.reload()
      await heading(page, 'This login cannot go on here').waitFor()
      await look('over')
      expect(problems).toEqual([])
    })
  })
})
