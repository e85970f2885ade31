// A browser for the tests of a file, and people who open pages with it, each with a profile of their own.
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

import { complaintsOf, findChromium, giveWallet, startChromium, type WalletOptions } from '../support/chromium.ts'
import { testWallet } from '../support/wallet.ts'

export const chromium = findChromium()
/** After the name of a suite. */
export const SKIPPED = chromium.missing === undefined ? '' : ` (skipped: ${chromium.missing})`

export const secretKey = '1'.repeat(64)
export const wallet = testWallet(Uint8Array.from({ length: 32 }, () => 0x11))
export const WALLET = { wallets: [{ secretKey }] }

/** The widths and colours that pages are looked at in. */
export const LOOKS = [
  ['light', 390],
  ['light', 1280],
  ['dark', 390],
  ['dark', 1280],
] as const

export interface Visit {
  page: Page
  context: BrowserContext
  /** What the page wrote to its console as an error, and what it threw. */
  complaints: string[]
}

export type VisitOptions = BrowserContextOptions & { wallets?: readonly WalletOptions[]; before?: (context: BrowserContext) => Promise<unknown> }

export function visits(): { browser: () => Browser; visit: (url: URL | string, options?: VisitOptions) => Promise<Visit> } {
  let running: Browser | undefined
  beforeAll(async () => {
    running = await startChromium(chromium)
  })
  afterAll(() => running?.close())
  const browser = (): Browser => {
    if (!running) throw new Error('there is a browser from the first test on')
    return running
  }
  return {
    browser,
    async visit(url, { wallets = [], before, ...how } = {}) {
      const context = await browser().newContext({ permissions: ['clipboard-read', 'clipboard-write'], ...how })
      onTestFinished(() => context.close())
      if (wallets.length > 0) await giveWallet(context, ...wallets)
      await before?.(context)
      context.setDefaultTimeout(10_000)
      const page = await context.newPage()
      const complaints = complaintsOf(page)
      await page.goto(String(url))
      return { page, context, complaints }
    },
  }
}

export function button(page: Page, name: string): Locator {
  return page.getByRole('button', { name })
}

export function heading(page: Page, name: string): Locator {
  return page.getByRole('heading', { name })
}

/** What the page complains about, as soon as it does. */
export async function alertOn(page: Page): Promise<string> {
  const alert = page.locator('#alert:not(:empty)')
  await alert.waitFor()
  return alert.innerText()
}
