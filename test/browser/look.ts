// Takes a picture of a page, and looks at it as axe does, at the size that it has and at twice the text.
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'

const PICTURES = fileURLToPath(new URL('../../results/key-page/', import.meta.url))
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** WCAG 1.4.10: what has 320 pixels for itself, as a window of 1280 at 400 % has. */
const NARROWEST = 320

interface Violation {
  id: string
  impact: string
  nodes: { html: string }[]
}

export async function lookAt(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}${name}.png`, fullPage: true })
  await page.evaluate(AXE)
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run()')
  expect(violations.map(({ id, impact, nodes }) => `${impact} ${id} ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([])
  expect(await isTooWide(page)).toBe(false)
  const size = page.viewportSize()
  if (!size) return
  await page.setViewportSize({ width: NARROWEST, height: size.height })
  expect(await isTooWide(page)).toBe(false)
  await page.setViewportSize(size)
}

function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth')
}
