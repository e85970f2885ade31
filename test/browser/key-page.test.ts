import { mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { complaintsOf, findChromium, giveWallet, startChromium, type WalletOptions } from '../support/chromium.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { hexOf, testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'

const found = findChromium()
const REQUIRED = process.env['OPENMCP_TEST_REQUIRE_ALL'] === '1'
const SHOTS = fileURLToPath(new URL('../../results/key-page/', import.meta.url))
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

test.runIf(found.missing !== undefined && REQUIRED)('a browser is there', () => expect(found.missing).toBeUndefined())

describe.skipIf(found.missing !== undefined)(`the key page in a browser${found.missing === undefined ? '' : ` (skipped: ${found.missing})`}`, () => {
  let browser: Browser
  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true })
    browser = await startChromium(found)
  })
  afterAll(() => browser.close())

  const secretKey = '1'.repeat(64)
  const wallet = testWallet(Uint8Array.from({ length: 32 }, () => 0x11))

  interface Visit {
    page: Page
    context: BrowserContext
    complaints: string[]
  }
  async function visit(url: string, { wallet: given, ...how }: BrowserContextOptions & { wallet?: WalletOptions } = {}): Promise<Visit> {
    const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...how })
    onTestFinished(() => context.close())
    if (given) await giveWallet(context, given)
    context.setDefaultTimeout(10_000)
    const page = await context.newPage()
    const complaints = complaintsOf(page)
    await page.goto(url)
    return { page, context, complaints }
  }

  async function secretOn(page: Page): Promise<string> {
    await page.getByRole('heading', { name: 'Your new key' }).waitFor()
    return page.locator('#secret').inputValue()
  }

  async function toolsWith({ url }: Secured, key: string): Promise<string[]> {
    const client = new Client({ name: 'test', version: '1' })
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${key}` } } }))
    const { tools } = await client.listTools()
    await client.close()
    return tools.map(({ name }) => name)
  }

  const statusWith = async ({ url }: Secured, key: string): Promise<number> => (await ask(url, { headers: bearer(key), body: initializeMessage(1) })).status

  async function lifeOfAKey(stage: Secured, page: Page, choose: string): Promise<void> {
    await page.getByRole('button', { name: choose }).click()
    await page.getByText('None yet.').waitFor()
    await page.getByLabel('Label').fill('Laptop')
    await page.getByRole('button', { name: 'Make a key' }).click()
    const first = await secretOn(page)
    expect(await toolsWith(stage, first)).toEqual(['echo', 'secret'])
    await page.getByRole('button', { name: 'Copy key' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(first)
    await page.getByRole('button', { name: 'Done, hide the key' }).click()
    expect(await page.content()).not.toContain(first)

    await page.getByRole('button', { name: 'Rotate Laptop' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
    const second = await secretOn(page)
    expect(second).not.toBe(first)
    expect(await statusWith(stage, first)).toBe(401)
    expect(await toolsWith(stage, second)).toEqual(['echo', 'secret'])

    await page.getByRole('button', { name: 'Revoke Laptop' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('None yet.').waitFor()
    expect(await statusWith(stage, second)).toBe(401)
  }

  test.each(['announced', 'ethereum'] as const)('a person with a wallet (%s) gets a key, uses, rotates and revokes it', async (how) => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page, complaints } = await visit(`${stage.base}/keys`, { wallet: { secretKey, found: how } })
    await lifeOfAKey(stage, page, how === 'announced' ? 'Test Wallet' : 'Wallet')
    expect(complaints).toEqual([])
  })

  test('a person without one does the same with a key of the browser, and the link of the first start lets it in', async () => {
    const stage = await secured()
    const { page, context, complaints } = await visit(stage.enrolment?.href ?? '')
    expect(page.url()).toBe(`${stage.base}/keys`)
    expect(await page.evaluate('history.length')).toBeLessThan(3)
    await page.getByText('There is no wallet in this browser').waitFor()
    await page.getByRole('button', { name: 'Key in this browser' }).click()
    await page.getByRole('button', { name: 'Make a key' }).click()
    const key = await secretOn(page)
    expect(await toolsWith(stage, key)).toEqual(['echo', 'secret'])
    const did = await page.locator('#identity').textContent()
    expect(did).toMatch(/^did:key:z6Mk/)
    await page.getByRole('button', { name: 'Revoke the key without a label' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
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
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    await context.addInitScript(
      `const make = crypto.subtle.generateKey.bind(crypto.subtle); crypto.subtle.generateKey = (how, ...more) => how.name === 'Ed25519' ? Promise.reject(new DOMException('', 'NotSupportedError')) : make(how, ...more)`,
    )
    const page = await context.newPage()
    await page.goto(stage.enrolment?.href ?? '')
    await page.getByRole('button', { name: 'Key in this browser' }).click()
    await page.getByRole('button', { name: 'Make a key' }).click()
    expect(await statusWith(stage, await secretOn(page))).toBe(200)
    expect(await page.locator('#identity').textContent()).toMatch(/^did:key:zDn/)
  })

  test.each([
    [4001, 'You declined in the wallet'],
    [-32002, 'already asking you something'],
    [4902, 'wrong network'],
    [4900, 'wrong network'],
    [4100, 'does not let this page ask'],
    [-32603, 'could not do this'],
  ])('a wallet that answers %i is told in words', async (declines, words) => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallet: { secretKey, declines } })
    await page.getByRole('button', { name: 'Test Wallet' }).click()
    await page.getByRole('alert').filter({ hasText: words }).waitFor()
    expect(await page.content()).not.toContain('words of a wallet')
    expect(await page.getByRole('heading', { name: 'Who are you?' }).isVisible()).toBe(true)
  })

  test('a wallet on another network, a challenge that is over and a server that is gone are told in words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallet: { secretKey, chainId: '0x89' } })
    await page.getByRole('button', { name: 'Test Wallet' }).click()
    await page.getByText('network 137').waitFor()
    await page.getByText('None yet.').waitFor()
    await page.route('**/gen-api-key', (route) => {
      stage.pass(301)
      return route.continue()
    })
    await page.getByRole('button', { name: 'Make a key' }).click()
    await page.getByRole('alert').filter({ hasText: 'more than five minutes' }).waitFor()
    await stage.stop()
    await page.getByRole('button', { name: 'Make a key' }).click()
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
      wallet: { secretKey, name: script },
    })
    expect(page.url()).not.toContain('enrol')
    await page.locator('#identities button').first().click()
    await page.getByText('None yet.').waitFor()
    await page.getByLabel('Label').fill('<img src=x onerror=hit=1><b>')
    await page.getByRole('button', { name: 'Make a key' }).click()
    await secretOn(page)
    expect(await page.locator('#list h3').textContent()).toBe('<img src=x onerror=hit=1><b>')
    await page.route('**/get-api-key', (route) => route.fulfill({ status: 403, json: { error: 'not_trusted', how: script, error_description: script } }))
    await page.getByRole('button', { name: 'Use another' }).click()
    await page.locator('#identities button').first().click()
    await page.getByRole('heading', { name: 'Not trusted here yet' }).waitFor()
    expect(await page.evaluate('globalThis.hit')).toBeUndefined()
    expect(await page.locator('main img').count()).toBe(0)
  })

  describe.each([
    ['light', 390],
    ['light', 1280],
    ['dark', 390],
    ['dark', 1280],
  ] as const)('in %s at %i pixels', (colorScheme, width) => {
    test('axe finds nothing serious, and nothing is wider than the window', async () => {
      const stage = await secured({ trusted: [wallet.did] })
      const { page } = await visit(`${stage.base}/keys`, { wallet: { secretKey }, colorScheme, viewport: { width, height: 844 } })
      const look = async (name: string): Promise<void> => {
        await page.screenshot({ path: `${SHOTS}${name}-${colorScheme}-${width}.png`, fullPage: true })
        await page.evaluate(AXE)
        const { violations } = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>('axe.run()')
        expect(violations.map(({ id, impact, nodes }) => `${impact} ${id} ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
      }
      await page.getByRole('button', { name: 'Test Wallet' }).waitFor()
      await look('who')
      await page.getByRole('button', { name: 'Test Wallet' }).click()
      await page.getByLabel('Label').fill('Laptop')
      await page.getByRole('button', { name: 'Make a key' }).click()
      await secretOn(page)
      await page.getByLabel('Configuration for').selectOption('VS Code')
      await look('fresh')
      await page.getByRole('button', { name: 'Done, hide the key' }).click()
      await page.getByLabel('Label').fill('Build server, nightly')
      await page.getByRole('button', { name: 'Make a key' }).click()
      await secretOn(page)
      await page.getByRole('button', { name: 'Done, hide the key' }).click()
      await look('keys')
      await page.getByRole('button', { name: 'Rotate Laptop' }).click()
      await look('rotate')
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('button', { name: 'Use another' }).click()
      await page.getByRole('button', { name: 'Key in this browser' }).click()
      await page.getByRole('heading', { name: 'Not trusted here yet' }).waitFor()
      await look('untrusted')
    })
  })
})

test('the secret of a wallet in the tests is as long as one is', () => {
  expect(hexOf(Uint8Array.from({ length: 32 }, () => 0x11))).toBe('1'.repeat(64))
})
