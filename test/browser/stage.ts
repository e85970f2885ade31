// What people do on the key page, and what the keys that they get are good for.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Page } from 'playwright-core'

import { initializeMessage } from '../support/openmcp.ts'
import { bearer, type Secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { button, heading } from './visit.ts'

/** The key that the page shows. */
export async function secretOn(page: Page): Promise<string> {
  await heading(page, 'Your new key').waitFor()
  return page.locator('#secret').inputValue()
}

export async function makeKey(page: Page, label = ''): Promise<string> {
  await page.getByLabel('Label').fill(label)
  await button(page, 'Make a key').click()
  return secretOn(page)
}

/** Rotates or revokes, and says yes when asked. */
export async function sayYes(page: Page, what: 'Rotate' | 'Revoke', label: string): Promise<void> {
  await button(page, `${what} ${label}`).click()
  await page.getByRole('dialog').getByRole('button', { name: what }).click()
}

/** What the official client sees. */
export async function toolsAt(url: URL, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }))
  const { tools } = await client.listTools()
  await client.close()
  return tools.map(({ name }) => name)
}

export async function statusWith({ url }: Pick<Secured, 'url'>, key: string): Promise<number> {
  return (await ask(url, { headers: bearer(key), body: initializeMessage(1) })).status
}
