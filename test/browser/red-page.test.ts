// The key page, attacked from inside its browser: programs that borrow a name, wallets and servers that send markup.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'

import { act, walletProver } from '../api-keys/stage.ts'
import { authorizeUrl, registered } from '../oauth/browser/stage.ts'
import { secured } from '../support/secured.ts'
import { button, chromium, heading, secretKey, SKIPPED, visits, wallet, WALLET } from './visit.ts'

const MARKUP = '<img src=x onerror="document.title=1"><script>document.title=1</script>'

describe.skipIf(chromium.missing !== undefined)(`the key page under attack${SKIPPED}`, () => {
  const { visit } = visits()

  test('a program on this computer may be any, whoever vouches for its name, and the person reads so', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const documents = createServer((req, res) => {
      const client = { client_id: `http://${req.headers.host}/client.json`, client_name: 'Example Code', redirect_uris: ['http://127.0.0.1/callback'] }
      res.setHeader('content-type', 'application/json').end(JSON.stringify(client))
    })
    await new Promise<void>((resolve) => {
      documents.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void documents.close())
    const { port } = documents.address() as AddressInfo // a TCP listener has one
    const { page } = await visit(authorizeUrl(stage, `http://127.0.0.1:${port}/client.json`))
    await heading(page, 'Example Code').waitFor()
    expect(await page.locator('#client-said').innerText()).toBe(`127.0.0.1:${port} gives it this name.`)
    expect(await page.locator('#beware').innerText()).toContain('Any program on this computer can take this name')
  })

  test('markup in the name of a client, a wallet or a key stays a text', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const who = walletProver(wallet)
    await act(stage, who, '/gen-api-key', { label: MARKUP.slice(0, 64) })
    const login = await visit(authorizeUrl(stage, await registered(stage, { client_name: MARKUP })), { wallets: [{ secretKey, name: MARKUP }] })
    await heading(login.page, '<img').first().waitFor()
    await login.page.getByRole('button', { name: '<img' }).click()
    await button(login.page, 'Approve').waitFor()
    const keys = await visit(`${stage.base}/keys`, WALLET)
    await button(keys.page, 'Test Wallet').click()
    await keys.page.getByText('onerror').first().waitFor()
    for (const { page, complaints } of [login, keys]) {
      expect([await page.locator('img, main script').count(), (await page.title()) === '1', complaints]).toEqual([0, false, []])
    }
  })

  test('whoever clicks twice has chosen who they are, and approved nothing', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(authorizeUrl(stage, await registered(stage)))
    await button(page, 'Key in this browser').waitFor()
    const isOpenAtOnce = await page.evaluate(`new Promise((resolve) => {
      const approve = document.querySelector('#approve')
      new MutationObserver((_news, observer) => {
        if (approve.hidden) return
        observer.disconnect()
        approve.click()
        resolve(!approve.disabled)
      }).observe(document.body, { attributes: true, subtree: true })
      document.querySelector('#identities button').click()
    })`)
    expect(isOpenAtOnce).toBe(false)
    await page.getByRole('button', { name: 'Approve', disabled: false }).waitFor()
    expect([await heading(page, 'You').isVisible(), await page.locator('#alert:not(:empty)').count(), page.url().startsWith(stage.base)]).toEqual([
      true,
      0,
      true,
    ])
  })

  test('a page that frames it, or opens it, gets nothing of it', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const elsewhere = createServer((_req, res) => {
      res.setHeader('content-type', 'text/html').end(`<iframe src="${stage.base}/keys"></iframe><script>opened = open("${stage.base}/keys")</script>`)
    })
    await new Promise<void>((resolve) => {
      elsewhere.listen(0, '127.0.0.1', resolve)
    })
    onTestFinished(() => void elsewhere.close())
    const { port } = elsewhere.address() as AddressInfo // a TCP listener has one
    const { page, context } = await visit(`http://127.0.0.1:${port}/`)
    await page.waitForLoadState('load')
    expect(page.frames().filter((frame) => frame.url().startsWith(stage.base))).toEqual([])
    const opened = context.pages().find((one) => one !== page) ?? (await context.waitForEvent('page'))
    await heading(opened, 'Who are you?').waitFor()
    expect(await opened.evaluate('window.opener')).toBe(null)
    expect(await page.evaluate('opened.closed')).toBe(true)
  })
})
