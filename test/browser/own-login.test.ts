// A person logs in at a server with an account of their own, in a real browser: the proof, the page before the hop, the issuer, and back.
import { describe, expect, test } from 'vitest'

import { ownStage } from '../support/own-login-stage.ts'
import { problemsOf } from './look.ts'
import { button, chromium, heading, LOOKS, SKIPPED, visits, wallet, WALLET } from './visit.ts'

describe.skipIf(chromium.missing !== undefined)(`a login of one's own in a browser${SKIPPED}`, () => {
  const { visit } = visits()

  test('goes from the proof over a page that names who and where to the issuer, and back', async () => {
    const stage = await ownStage([wallet.did])
    const { page, complaints } = await visit(`${stage.base}/oauth/far/authorize`, WALLET)
    await heading(page, 'A login of your own').waitFor()
    const asked = await page.locator('body').innerText()
    expect(asked).toContain('This server asks who you are. No program is let in by this.')
    expect(asked).not.toMatch(/May use|Access goes to|a program on this computer/)
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').click()
    await heading(page, 'A login of your own at far').waitFor()
    const text = await page.locator('main').textContent()
    for (const name of [wallet.did, stage.far.issuer, stage.far.url.href]) expect(text).toContain(name)
    await button(page, 'Log in').click()
    await heading(page, 'Logged in').waitFor()
    expect(stage.far.given).toEqual(['authorization_code'])
    expect(complaints).toEqual([])
    await page.goto(`${stage.base}/oauth/far/authorize`)
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').click()
    await button(page, 'Forget my login').click()
    await heading(page, 'Forgotten').waitFor()
    expect(stage.far.revoked.length).toBeGreaterThan(0)
  })

  test.each(LOOKS)('its page can be read by everybody: %s, %d wide', async (colorScheme, width) => {
    const stage = await ownStage([wallet.did])
    const { page } = await visit(`${stage.base}/oauth/far/authorize`, { ...WALLET, colorScheme, viewport: { width, height: 800 } })
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').click()
    await button(page, 'Log in').waitFor()
    expect(await problemsOf(page, `own-login-${colorScheme}-${width}`)).toEqual([])
  })
})
