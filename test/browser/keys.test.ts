import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BrowserContext, Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'

import { STATUS } from '../../src/oauth/json-endpoint.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { problemsOf } from './look.ts'
import { makeKey, sayYes, secretOn, statusWith, toolsAt } from './stage.ts'
import { alertOn, button, chromium, heading, LOOKS, SKIPPED, visits, wallet, WALLET, secretKey } from './visit.ts'

const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'

test.runIf(chromium.missing !== undefined && REQUIRED)('a browser is there', () => expect(chromium.missing).toBeUndefined())

describe.skipIf(chromium.missing !== undefined)(`the key page in a browser${SKIPPED}`, () => {
  const { visit } = visits()

  async function lifeOfAKey(stage: Secured, page: Page, choose: string): Promise<void> {
    await button(page, choose).click()
    await page.getByText('None yet.').waitFor()
    const first = await makeKey(page, 'Laptop')
    expect(await toolsAt(stage.url, bearer(first))).toEqual(['echo', 'secret'])
    await button(page, 'Copy key').click()
    await page.getByText('The key is copied.').waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(first)
    await button(page, 'Done, hide the key').click()
    expect(await page.content()).not.toContain(first)

    await sayYes(page, 'Rotate', 'Laptop')
    const second = await secretOn(page)
    expect(second).not.toBe(first)
    expect(await statusWith(stage, first)).toBe(401)
    expect(await toolsAt(stage.url, bearer(second))).toEqual(['echo', 'secret'])

    await sayYes(page, 'Revoke', 'Laptop')
    await page.getByText('None yet.').waitFor()
    expect(await statusWith(stage, second)).toBe(401)
  }

  test.each(['announced', 'ethereum'] as const)('a person with a wallet (%s) gets a key, uses, rotates and revokes it', async (how) => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page, complaints } = await visit(`${stage.base}/keys`, { wallets: [{ secretKey, found: how }] })
    await lifeOfAKey(stage, page, how === 'announced' ? 'Test Wallet' : 'Wallet')
    expect(complaints).toEqual([])
  })

  test('a person without one does the same with a key of the browser, and the link of the first start lets it in', async () => {
    const stage = await secured()
    const { page, context, complaints } = await visit(stage.enrolment?.href ?? '')
    expect(page.url()).toBe(`${stage.base}/keys`)
    expect(await page.evaluate('history.length')).toBeLessThan(3)
    await page.getByText('There is no wallet in this browser').waitFor()
    await button(page, 'Key in this browser').click()
    const key = await makeKey(page)
    expect(await toolsAt(stage.url, bearer(key))).toEqual(['echo', 'secret'])
    const did = await page.locator('#identity').textContent()
    expect(did).toMatch(/^did:key:z6Mk/)
    expect(await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])')).toBe('[{},{},""]')
    await sayYes(page, 'Revoke', 'the key without a label')
    await page.getByText('None yet.').waitFor()

    // The same key is there after a reload, and it cannot be taken out.
    await page.close()
    const again = await context.newPage()
    await again.goto(`${stage.base}/keys`)
    await lifeOfAKey(stage, again, 'Key in this browser')
    expect(await again.locator('#identity').textContent()).toBe(did)
    const taken = await again.evaluate(
      `new Promise((resolve) => { const o = indexedDB.open('openmcp'); o.onsuccess = () => { const r = o.result.transaction('keys').objectStore('keys').get('identity'); r.onsuccess = () => crypto.subtle.exportKey('pkcs8', r.result.privateKey).then(() => resolve('taken'), (e) => resolve(e.name)) } })`,
    )
    expect(taken).toBe('InvalidAccessError')
    expect(complaints).toEqual([])
  })

  test('a browser without Ed25519 makes a key of P-256', async () => {
    const stage = await secured()
    const before = (context: BrowserContext): Promise<unknown> =>
      context.addInitScript(
        `const make = crypto.subtle.generateKey.bind(crypto.subtle); crypto.subtle.generateKey = (how, ...more) => how.name === 'Ed25519' ? Promise.reject(new DOMException('', 'NotSupportedError')) : make(how, ...more)`,
      )
    const { page } = await visit(stage.enrolment?.href ?? '', { before })
    await button(page, 'Key in this browser').click()
    expect(await statusWith(stage, await makeKey(page))).toBe(200)
    expect(await page.locator('#identity').textContent()).toMatch(/^did:key:zDn/)
  })

  test('two windows that make the key of the browser at once have one', async () => {
    const stage = await secured()
    const { page, context } = await visit(`${stage.base}/keys`)
    const second = await context.newPage()
    await second.goto(`${stage.base}/keys`)
    await Promise.all([page, second].map((one) => button(one, 'Key in this browser').click()))
    await Promise.all([page, second].map((one) => heading(one, 'Not trusted here yet').waitFor()))
    expect(await second.locator('#identity').innerText()).toBe(await page.locator('#identity').innerText())
  })

  test('of several keys each is shown with what it is for, and the old one of a rotation lives as long as was chosen', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const old = await makeKey(page, 'Laptop')
    await button(page, 'Done, hide the key').click()
    await page.locator('#scope').selectOption('tools only')
    await page.getByLabel('Ends').selectOption('when you revoke it')
    const tools = await makeKey(page, 'Build')
    expect(await toolsAt(stage.url, bearer(tools))).toEqual(['echo', 'secret'])
    const [laptop = '', build = ''] = await page.locator('#list li').allInnerTexts()
    expect(laptop).toMatch(/Laptop\s+For everything that you may use · ends .+\s+Made .+ · never used/)
    expect(build).toMatch(/Build\s+For tools · works until you revoke it\s+Made .+ · never used/)

    await button(page, 'Rotate Laptop').click()
    await page.getByLabel('The old key works').selectOption('for another hour')
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
    await page.getByText('A new key has taken the place').waitFor()
    const fresh = await secretOn(page)
    expect([await statusWith(stage, old), await statusWith(stage, fresh)]).toEqual([200, 200])
    stage.pass(3601)
    expect([await statusWith(stage, old), await statusWith(stage, fresh)]).toEqual([401, 200])

    await button(page, 'Use another').click()
    await button(page, 'Test Wallet').click()
    await heading(page, 'Your keys').waitFor()
    expect(await page.locator('#list li').filter({ hasText: 'Build' }).innerText()).toContain('last used')
    expect(await page.content()).not.toContain(fresh)
  })

  test('to cancel changes nothing, and the keyboard is enough for all of it', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    const focused = (): Promise<string> => page.evaluate<string>(`document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText`)
    await button(page, 'Test Wallet').waitFor()
    await page.keyboard.press('Tab')
    expect(await focused()).toContain('Test Wallet')
    await page.keyboard.press('Enter')
    await page.getByText('None yet.').waitFor()
    expect(await focused()).toBe('Your keys')
    await page.keyboard.press('Tab')
    await page.keyboard.type('Laptop')
    await page.keyboard.press('Enter')
    const key = await secretOn(page)
    expect(await focused()).toBe('Your new key')
    const tabTo = async (name: string): Promise<void> => {
      for (let tabs = 0; tabs < 20 && !(await focused()).includes(name); tabs += 1) await page.keyboard.press('Tab')
      expect(await focused()).toContain(name)
    }
    await tabTo('Done')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('Your keys')
    await tabTo('Revoke Laptop')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('Cancel')
    await page.keyboard.press('Escape')
    expect(await focused()).toBe('Revoke Laptop')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    expect(await focused()).toBe('Revoke Laptop')
    expect(await statusWith(stage, key)).toBe(200)
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('None yet.').waitFor()
    expect(await focused()).toBe('Your keys')
    expect(await statusWith(stage, key)).toBe(401)
  })

  test('a question that follows another at once has an answer of its own', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const key = await makeKey(page, 'Laptop')
    await button(page, 'Done, hide the key').click()
    await button(page, 'Revoke Laptop').click()
    // The news that the first is closed come when the second is open.
    await page.evaluate(`document.querySelector('#confirm-no').click(); document.querySelector('[aria-label="Revoke Laptop"]').click()`)
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('None yet.').waitFor()
    expect(await statusWith(stage, key)).toBe(401)
  })

  test('a key that another window revoked is gone here too, in words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page, context } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    await makeKey(page, 'Laptop')
    const second = await context.newPage()
    await second.goto(`${stage.base}/keys`)
    await button(second, 'Test Wallet').click()
    await sayYes(second, 'Revoke', 'Laptop')
    await second.getByText('None yet.').waitFor()
    await sayYes(page, 'Rotate', 'Laptop')
    expect(await alertOn(page)).toContain('This key is gone')
  })

  test('on a slow network what is waited for is said, and a second tap does nothing', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    await page.getByText('None yet.').waitFor()
    const held: (() => void)[] = []
    await page.route('**/gen-api-key', (route) => held.push(() => void route.continue()))
    await page.getByLabel('Label').fill('Laptop')
    await button(page, 'Make a key').dblclick()
    await page.getByRole('status').filter({ hasText: 'Asking the server' }).waitFor()
    await page.getByLabel('Label').press('Enter')
    await expect.poll(() => held.length).toBe(1)
    for (const release of held) release()
    await secretOn(page)
    expect(await page.locator('#list li').count()).toBe(1)
  })

  test('a reload, or the way back to the page, shows no key again', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const key = await makeKey(page)
    await page.evaluate(`dispatchEvent(new PageTransitionEvent('pagehide'))`)
    expect(await page.content()).not.toContain(key)
    expect(await page.locator('#secret').inputValue()).toBe('')
    await page.goto(`${stage.base}/healthz`)
    await page.goBack()
    expect(await page.locator('#secret').inputValue()).toBe('')
    await page.reload()
    await button(page, 'Test Wallet').waitFor()
    expect(await page.locator('#secret').inputValue()).toBe('')
  })

  test('a stranger reads how to ask, and goes on from there when somebody trusts them', async () => {
    const stage = await secured()
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    await heading(page, 'Not trusted here yet').waitFor()
    expect(await page.locator('#ask').innerText()).toBe(`openmcp trust add ${wallet.did}`)
    await button(page, 'Try again').click()
    expect(await alertOn(page)).toContain('still not trusted')
    await page.getByText('I have an enrolment link').click()
    await page.getByLabel('Enrolment link').fill(stage.enrolment?.href ?? '')
    await page.getByLabel('Enrolment link').press('Enter')
    await page.getByText('None yet.').waitFor()
    expect(await statusWith(stage, await makeKey(page))).toBe(200)
  })

  test('whoever opens the link of the first start when it is over reads that, and how to ask', async () => {
    const stage = await secured()
    const first = await visit(stage.enrolment?.href ?? '', WALLET)
    await button(first.page, 'Test Wallet').click()
    await makeKey(first.page)
    const { page } = await visit(stage.enrolment?.href ?? '')
    await button(page, 'Key in this browser').click()
    await button(page, 'Make a key').click()
    await heading(page, 'Not trusted here yet').waitFor()
    expect(await alertOn(page)).toContain('This link lets nobody in any more')
    expect(await page.locator('#ask').innerText()).toMatch(/^openmcp trust add did:key:/)
  })

  /** One for each word of the server, or this does not compile. */
  const TOLD: Readonly<Record<Exclude<keyof typeof STATUS, 'not_trusted' | 'another_browser' | 'expired_login'>, string>> = {
    invalid_request: 'does not take what was asked',
    invalid_proof: 'does not fit this identity',
    expired_challenge: 'more than five minutes',
    invalid_client: 'The server refused this',
    invalid_scope: 'You may not use that yourself',
    unknown_key: 'This key is gone',
    no_keys_here: 'a client that logs in by itself',
    method_not_allowed: 'The server refused this',
    too_many_keys: 'Revoke one',
    already_rotated: 'replaced or revoked already',
    too_large: 'The server refused this',
    unsupported_media: 'The server refused this',
    too_many_requests: 'Wait a minute',
    server_error: 'wrong on the server',
    temporarily_unavailable: 'Nothing was changed',
  }

  test('every no of the server is told in our words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    for (const [error, words] of Object.entries({ ...TOLD, of_a_gateway: 'The server does not answer' })) {
      const status = Object.entries(STATUS).find(([word]) => word === error)?.[1] ?? 502
      await page.route('**/get-api-key', (route) => route.fulfill({ status, json: { error, error_description: '<b>words of a server</b>' } }))
      await button(page, 'Test Wallet').click()
      await page.getByRole('alert').filter({ hasText: words }).waitFor()
      expect([error, await alertOn(page)]).toEqual([error, expect.not.stringContaining('words of a server')])
      expect(await heading(page, 'Who are you?').isVisible()).toBe(true)
      await page.unroute('**/get-api-key')
    }
  })

  test('a challenge that is over and a server that is gone are told in words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    await page.getByText('None yet.').waitFor()
    await page.route('**/gen-api-key', (route) => {
      stage.pass(301)
      return route.continue()
    })
    await button(page, 'Make a key').click()
    expect(await alertOn(page)).toContain('more than five minutes')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Make a key')
    await stage.stop()
    await button(page, 'Make a key').click()
    await page.getByRole('alert').filter({ hasText: 'The server does not answer' }).waitFor()
    expect(await page.locator('#list li').count()).toBe(0)
  })

  test('another site reads and changes nothing, and frames nothing', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const evil = createServer((_req, res) => res.setHeader('content-type', 'text/html').end(`<iframe src="${stage.base}/keys"></iframe>`))
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void evil.close())
    const { page, complaints } = await visit(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`)
    for (const path of ['challenge', 'gen-api-key', 'get-api-key', 'rotate-api-key', 'revoke-api-key', 'reverse-lookup']) {
      for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
        const how = JSON.stringify({ method: 'POST', headers, body: JSON.stringify({ hex_string: wallet.address }) })
        expect(await page.evaluate(`fetch('${stage.base}/${path}', ${how}).then((r) => r.text(), () => 'refused')`)).toBe('refused')
      }
      expect(await page.evaluate(`fetch('${stage.base}/${path}?hex_string=${wallet.address}').then((r) => r.text(), () => 'refused')`)).toBe('refused')
    }
    const frame = page.frames().find((one) => one !== page.mainFrame())
    expect(await frame?.content()).not.toContain('API keys')
    expect(complaints.join('\n')).toMatch(/frame/i)
  })

  test('script in a label, a wallet name, the address and the answers stays text', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const script = '<img src=x onerror="globalThis.hit=1"><script>globalThis.hit=1</script>'
    const { page } = await visit(`${stage.base}/keys?x=${encodeURIComponent(script)}#enrol=${encodeURIComponent(script)}`, {
      wallets: [{ secretKey, name: script }],
    })
    expect(page.url()).not.toContain('enrol')
    await page.locator('#identities button').first().click()
    await page.getByText('None yet.').waitFor()
    await makeKey(page, '<img src=x onerror=hit=1><b>')
    expect(await page.locator('#list h3').textContent()).toBe('<img src=x onerror=hit=1><b>')
    await page.route('**/get-api-key', (route) => route.fulfill({ status: 403, json: { error: 'not_trusted', how: script, error_description: script } }))
    await button(page, 'Use another').click()
    await page.locator('#identities button').first().click()
    await heading(page, 'Not trusted here yet').waitFor()
    expect(await page.evaluate('globalThis.hit')).toBeUndefined()
    expect(await page.locator('main img').count()).toBe(0)
  })

  test('the page runs no script, style or markup but its own, and talks to its own server alone', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const injected = '<script>globalThis.hit = 1</script><img src="x" onerror="globalThis.hit = 1"><style>body { display: none }</style>'
    const before = (context: BrowserContext): Promise<unknown> =>
      context.route('**/keys', async (route) => {
        const response = await route.fetch()
        await route.fulfill({ response, body: (await response.text()).replace('<main>', `${injected}<main>`) })
      })
    const { page, complaints } = await visit(`${stage.base}/keys`, { ...WALLET, before })
    await button(page, 'Test Wallet').waitFor()
    const tried = await page.evaluate<string[]>(`(async () => {
      const outcomes = []
      const inline = document.createElement('script')
      inline.append('globalThis.hit = 1')
      try { document.body.append(inline) } catch (thrown) { outcomes.push(thrown.name) }
      try { document.body.innerHTML = '<b>markup</b>' } catch (thrown) { outcomes.push(thrown.name) }
      try { setTimeout('globalThis.hit = 1') } catch (thrown) { outcomes.push(thrown.name) }
      try { trustedTypes.createPolicy('mine', {}) } catch (thrown) { outcomes.push(thrown.name) }
      await fetch('http://127.0.0.1:1/').catch((thrown) => outcomes.push(thrown.name))
      await new Promise((resolve) => setTimeout(resolve))
      outcomes.push(String(globalThis.hit))
      return outcomes
    })()`)
    expect(tried.at(-1)).toBe('undefined')
    expect(tried.filter((outcome) => outcome.endsWith('Error')).length).toBeGreaterThanOrEqual(4)
    expect(complaints.some((complaint) => complaint.includes("connect-src 'self'"))).toBe(true)
  })

  describe.each(LOOKS)('in %s at %i pixels', (colorScheme, width) => {
    test('axe finds nothing, and nothing is wider than the window', async () => {
      const stage = await secured({ trusted: [wallet.did] })
      const { page } = await visit(`${stage.base}/keys`, { ...WALLET, colorScheme, viewport: { width, height: 844 } })
      const problems: string[] = []
      const look = async (name: string): Promise<unknown> => problems.push(...(await problemsOf(page, `${name}-${colorScheme}-${width}`)))
      await button(page, 'Test Wallet').waitFor()
      await look('who')
      await button(page, 'Test Wallet').click()
      await makeKey(page, 'Laptop')
      await page.getByLabel('Configuration for').selectOption('VS Code')
      await look('fresh')
      await button(page, 'Done, hide the key').click()
      await makeKey(page, 'Build server, nightly')
      await button(page, 'Done, hide the key').click()
      await look('keys')
      await button(page, 'Rotate Laptop').click()
      await look('rotate')
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
      await button(page, 'Use another').click()
      await button(page, 'Key in this browser').click()
      await heading(page, 'Not trusted here yet').waitFor()
      await look('untrusted')
      expect(problems).toEqual([])
    })
  })
})
