// What people do on the page of operations, and servers to do it with.
import type { ServerResponse } from 'node:http'
import type { Locator, Page } from 'playwright-core'

import { at, type Json } from '../support/json.ts'
import { json, type Received } from '../support/upstream.ts'
import { button, heading, LOOKS } from './visit.ts'

export const OPERATOR_KEY = 'a-key-of-the-operator-of-this-server'

/** Each width and each colour once: this page takes a second to open. */
export const SOME_LOOKS = [LOOKS[0], LOOKS[3]] as const

/** What axe says of Swagger UI itself: its field for a body has no label, its buttons are faint, its parts are not all in one. */
export const THEIRS =
  /^(?:serious color-contrast .*class="|critical label <textarea class="body-param__text"|moderate region <div class="information-container|moderate heading-order <h3 class="opblock-tag)/

export const ECHO = {
  name: 'echo',
  description: 'Echoes',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'], additionalProperties: false },
}

/** A server of these tools, each of which answers with these words. */
export function serverOf(tools: readonly Json[], { about = {}, words = 'the answer <b>itself</b>' }: { about?: Json; words?: string } = {}) {
  return ({ method, body }: Received, res: ServerResponse): void => {
    if (method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    if (method === 'DELETE') return void res.writeHead(200).end()
    const { id } = body
    if (id === undefined) return void res.writeHead(202).end()
    const protocolVersion = at(body, 'params', 'protocolVersion')
    const results: Readonly<Record<string, Json>> = {
      initialize: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'test', version: '1' }, ...about },
      'tools/list': { tools },
      'tools/call': { content: [{ type: 'text', text: words }] },
    }
    json(res, 200, { jsonrpc: '2.0', id, result: results[String(body['method'])] ?? {} }, { 'mcp-session-id': `test-${JSON.stringify(id)}` })
  }
}

export function operationAt(page: Page, path: string): Locator {
  return page.locator('.opblock', { has: page.locator(`[data-path="${path}"]`) })
}

export async function pathsOn(page: Page): Promise<string[]> {
  await page.locator('.opblock').first().waitFor()
  return page.locator('.opblock [data-path]').evaluateAll((all: { dataset: { path: string } }[]) => all.map(({ dataset }) => dataset.path))
}

/** Opens an operation, sends this as its body, and reads what is shown of the answer. */
export async function tryIt(page: Page, path: string, body?: Json): Promise<{ status: string; shown: string }> {
  const operation = operationAt(page, path)
  await operation.locator('.opblock-summary-control').click()
  if (body !== undefined) await operation.locator('.body-param__text').fill(JSON.stringify(body))
  await operation.getByRole('button', { name: 'Execute' }).click()
  const answer = operation.locator('.live-responses-table .response').first()
  const shown = await answer.locator('.highlight-code code').first().innerText()
  return { status: await answer.locator('.response-col_status').innerText(), shown: shown.replaceAll(/\s+/g, ' ').trim() }
}

/** As a person clicks, but all of these at once. */
export function clickAll(page: Page, selector: string): Promise<unknown> {
  return page.locator(selector).evaluateAll((all: { click(): void }[]) => all.forEach((one) => one.click()))
}

export async function showKey(page: Page, key = OPERATOR_KEY): Promise<void> {
  await page.getByLabel('Token or API key').fill(key)
  await button(page, 'Use it').click()
}

/** With the wallet that the browser has. */
export async function logIn(page: Page): Promise<void> {
  const { host } = new URL(page.url())
  await button(page, 'Log in').click()
  await heading(page, `API page of ${host}`).waitFor()
  await button(page, 'Test Wallet').click()
  await button(page, 'Approve').click()
  await page.getByText('Logged in').waitFor()
  await page.locator('.opblock').first().waitFor()
}

/** What a page complains of, but for the 401 that it begins with. */
export function unexpected(complaints: readonly string[]): string[] {
  return complaints.filter((one) => !one.includes('401'))
}
