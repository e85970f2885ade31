// A real browser: Debian's, or the one that OPENMCP_TEST_CHROMIUM names, driven without one of playwright's own.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { rolldown } from 'rolldown'

const NAMES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/opt/google/chrome/chrome']
/** Also what a redirect leads to, which no route of playwright sees. */
const LOOPBACK_ALONE = '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1'
const WALLET = fileURLToPath(new URL('injected-wallet.ts', import.meta.url))

export interface Chromium {
  executable: string
  /** Why there is none. */
  missing?: string
}

export function findChromium(): Chromium {
  const named = process.env['OPENMCP_TEST_CHROMIUM']
  const executable = [...(named === undefined ? [] : [named]), ...NAMES].find((path) => existsSync(path))
  return executable === undefined ? { executable: '', missing: `none of ${[named ?? 'OPENMCP_TEST_CHROMIUM', ...NAMES].join(', ')} is there` } : { executable }
}

export function startChromium({ executable, missing }: Chromium): Promise<Browser> {
  if (missing !== undefined) throw new Error(missing)
  return chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', LOOPBACK_ALONE] })
}

export interface WalletOptions {
  /** 32 bytes as hex. */
  secretKey: string
  name?: string
  /** `ethereum`: stands in the window and announces nothing, as older ones do. */
  found?: 'announced' | 'ethereum'
  chainId?: string
  /** Declines what it is asked with the code of EIP-1193. */
  declines?: number
  /** False: its person does not look at it. */
  answers?: boolean
  /** Gives no account. */
  locked?: boolean
}

/**
 * Every page of this context has these wallets before its own scripts run. In the page `testWallet[n]` is what was given here, and
 * changes to it count; `testWallet[n].emit(event, news)` tells what the page listens to, `testWallet[n].answer()` signs at last.
 */
export async function giveWallet(context: BrowserContext, ...wallets: readonly WalletOptions[]): Promise<void> {
  const bundle = await rolldown({ input: WALLET, platform: 'browser' })
  const { output } = await bundle.generate({ format: 'iife' })
  await bundle.close()
  await context.addInitScript(`globalThis.testWallet = ${JSON.stringify(wallets)};\n${output[0].code}`)
}

/** What the page wrote to its console as an error, and what it threw. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return complaints
}
