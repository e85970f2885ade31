import { describe, expect, test } from 'vitest'

import { secured } from '../support/secured.ts'
import { testWallet } from '../support/wallet.ts'
import { makeKey, statusWith } from './stage.ts'
import { alertOn, button, chromium, heading, secretKey, SKIPPED, visits, wallet, WALLET } from './visit.ts'

describe.skipIf(chromium.missing !== undefined)(`wallets in a browser${SKIPPED}`, () => {
  const { visit } = visits()
  const other = testWallet(Uint8Array.from({ length: 32 }, () => 0x22))
  const two = [
    { secretKey, name: 'One' },
    { secretKey: '2'.repeat(64), name: 'Other' },
  ]

  test('one that refuses is told in words, and not in its own', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    for (const [declines, words] of [
      [4001, 'You declined in the wallet'],
      ['ACTION_REJECTED', 'You declined in the wallet'],
      [-32002, 'already asking you something'],
      [4902, 'wrong network'],
      [4900, 'wrong network'],
      [4100, 'does not let this page ask'],
      [4200, 'cannot sign a text'],
      [-32603, 'could not do this'],
      [null, 'could not do this'],
    ] as const) {
      await page.evaluate(`testWallet[0].declines = ${JSON.stringify(declines)}`)
      await button(page, 'Test Wallet').click()
      await page.getByRole('alert').filter({ hasText: words }).waitFor()
      expect([declines, await alertOn(page)]).toEqual([declines, expect.not.stringContaining('words of a wallet')])
      expect(await heading(page, 'Who are you?').isVisible()).toBe(true)
    }
  })

  test('one that is locked is told in words, and works when it is open', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallets: [{ secretKey, locked: true }] })
    await button(page, 'Test Wallet').click()
    expect(await alertOn(page)).toContain('Unlock it')
    await page.evaluate('testWallet[0].locked = false')
    await button(page, 'Test Wallet').click()
    await page.getByText('None yet.').waitFor()
  })

  test('of several each has its button, and what happens in one is nothing to whoever uses another', async () => {
    const stage = await secured({ trusted: [wallet.did, other.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallets: two })
    await button(page, 'One').click()
    await heading(page, 'Your keys').waitFor()
    await button(page, 'Use another').click()
    await button(page, 'Other').click()
    await heading(page, 'Your keys').waitFor()
    expect(await page.locator('#identity').innerText()).toBe(other.address)
    await page.evaluate(`testWallet[0].emit('accountsChanged', [])`)
    await page.evaluate(`testWallet[0].emit('chainChanged', '0x89')`)
    expect(await statusWith(stage, await makeKey(page))).toBe(200)
  })

  test('another account is another person: keys, and a key that is shown, are gone from the page', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await button(page, 'Test Wallet').click()
    const key = await makeKey(page, 'Laptop')
    await page.evaluate(`testWallet[0].emit('accountsChanged', ['${wallet.address.toUpperCase().replace('0X', '0x')}'])`)
    expect(await page.locator('#secret').inputValue()).toBe(key)
    await page.evaluate(`testWallet[0].emit('accountsChanged', ['${other.address}'])`)
    expect(await alertOn(page)).toContain('another account')
    expect(await heading(page, 'Your keys').isVisible()).toBe(false)
    expect(await page.locator('#secret').inputValue()).toBe('')
  })

  test('one on another network is told in words and signs all the same; the words go when it comes back', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallets: [{ secretKey, chainId: '0x89' }] })
    await button(page, 'Test Wallet').click()
    await page.getByText('network 137').waitFor()
    await page.getByText('None yet.').waitFor()
    await page.evaluate(`testWallet[0].chainId = '0x1'; testWallet[0].emit('chainChanged', '0x1')`)
    await page.getByText('network 137').waitFor({ state: 'hidden' })
    expect(await statusWith(stage, await makeKey(page))).toBe(200)
  })

  test('whoever stops to wait for one is asked again who they are, and its late signature does nothing', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, { wallets: [{ secretKey, answers: false }] })
    const sent: string[] = []
    page.on('request', (request) => void (request.url().endsWith('/get-api-key') && sent.push(request.url())))
    await button(page, 'Test Wallet').click()
    await expect.poll(() => page.evaluate('testWallet[0].answer !== undefined')).toBe(true)
    await button(page, 'Stop waiting').click()
    await heading(page, 'Who are you?').waitFor()
    await page.evaluate('testWallet[0].answer()')
    await button(page, 'Key in this browser').click()
    await heading(page, 'Not trusted here yet').waitFor()
    expect(sent).toHaveLength(1)
  })

  test('a signature by another key than the one of the account is refused in words', async () => {
    const stage = await secured({ trusted: [wallet.did] })
    const { page } = await visit(`${stage.base}/keys`, WALLET)
    await page.route('**/challenge', async (route) => {
      await page.evaluate(`testWallet[0].secretKey = '${'2'.repeat(64)}'`)
      await route.continue()
    })
    await button(page, 'Test Wallet').click()
    expect(await alertOn(page)).toContain('does not fit this identity')
  })
})
