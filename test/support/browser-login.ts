// A person who logs in: a real Chromium goes to an authorize URL, proves a wallet or a key of the browser on the key page, and is sent on.
import type { Browser, BrowserContext, Page, Request } from 'playwright-core'

import { findChromium, giveWallet, startChromium, type WalletOptions } from './chromium.ts'
import { until } from './until.ts'

export interface BrowserLoginOptions {
  /** A wallet that the browser has; without one it makes a key of its own. */
  wallet?: WalletOptions
  /** Says no instead. */
  deny?: boolean
  /** What the operator does when the page says that this identity is proved and not trusted; then it is tried again. */
  trust?: (did: string) => Promise<void>
  /** One that runs already, to save half a second; otherwise one is started and ended. */
  browser?: Browser
  /** The browser is on another computer: what listens on loopback here is not reached by it. */
  elsewhere?: boolean
  /** Takes every certificate: those of tests are made for them. */
  anyCertificate?: boolean
}

/**
 * Goes where a client sends its person (`…/authorize?…`), through the login, and returns where the browser was sent in the end: the
 * redirect URI with `code`, `state` and `iss`, or with `error`. A listener on loopback is really visited, so a client that waits for
 * its code gets it; where nobody listens, the URL alone is enough. Nothing but loopback is reached. The key page must be built, which
 * the projects `browser` and `e2e` do; `findChromium().missing` says whether a browser is there. Throws when the page says anything else.
 */
export async function logInByBrowser(authorize: string | URL, options: BrowserLoginOptions = {}): Promise<URL> {
  const browser = options.browser ?? (await startChromium(findChromium()))
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: options.anyCertificate ?? false })
    try {
      context.setDefaultTimeout(15_000)
      return await logIn(context, new URL(authorize), options)
    } finally {
      await context.close()
    }
  } finally {
    if (browser !== options.browser) await browser.close()
  }
}

async function logIn(context: BrowserContext, authorize: URL, { wallet, deny = false, trust, elsewhere = false }: BrowserLoginOptions): Promise<URL> {
  if (elsewhere) {
    // With another status the answer says where to, and nobody goes there.
    await context.route(/\/authorize\/[^/?]+$/, async (route) => route.fulfill({ response: await route.fetch({ maxRedirects: 0 }), status: 200 }))
  }
  if (wallet) await giveWallet(context, wallet)
  const page = await context.newPage()
  const sentOn = elsewhere ? whereSent(page, authorize.origin) : whereArrived(page, authorize.origin)
  await page.goto(authorize.href)
  if (deny) await page.getByRole('button', { name: 'Deny' }).click()
  else {
    await page.getByRole('button', { name: wallet ? (wallet.name ?? 'Test Wallet') : 'Key in this browser' }).click()
    await page.getByRole('button', { name: 'Approve' }).click()
    const untrusted = page.getByRole('heading', { name: 'Not trusted here yet' })
    if (trust && (await Promise.race([untrusted.waitFor().then(() => true), sentOn.then(() => false)]))) {
      await trust(((await page.locator('#ask').textContent()) ?? '').replace(/^.* /, ''))
      // A running proxy follows within a second.
      return until('a login of somebody who is trusted now', async () => {
        await page.getByRole('button', { name: 'Try again' }).click()
        return Promise.race([sentOn, alertOn(page).then((words) => (words.includes('still not trusted') ? undefined : refused(words)))])
      })
    }
  }
  return Promise.race([sentOn, alertOn(page).then(refused)])
}

/** Read from the redirect itself: what it leads to may be a program, or nobody. */
export function whereSent(page: Page, from: string): Promise<URL> {
  return new Promise((resolve) =>
    page.on('response', (response) => {
      const { location } = response.headers()
      if (location === undefined || new URL(response.url()).origin !== from) return
      const to = new URL(location, response.url())
      if (to.origin !== from) resolve(to)
    }),
  )
}

/** The same, once who listens on loopback has answered: a browser that is closed before goes nowhere. */
async function whereArrived(page: Page, from: string): Promise<URL> {
  const asked = new Promise<void>((resolve) => {
    const isOnward = (request: Request): boolean => {
      const before = request.redirectedFrom()
      return before !== null && new URL(before.url()).origin === from && new URL(request.url()).origin !== from
    }
    const look = (request: Request): void => void (isOnward(request) && resolve())
    page.on('requestfinished', look)
    page.on('requestfailed', look)
  })
  const to = await whereSent(page, from)
  if (to.protocol === 'http:') await asked
  return to
}

async function alertOn(page: Page): Promise<string> {
  const alert = page.locator('#alert:not(:empty)')
  await alert.waitFor()
  return alert.innerText()
}

function refused(words: string): never {
  throw new Error(`the key page says: ${words}`)
}
