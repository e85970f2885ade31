// Takes a picture of a page, and looks at it as axe does, at the size that it has and at the narrowest that there is.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import type { Page } from 'playwright-core'

const PICTURES = fileURLToPath(new URL('../../results/key-page/', import.meta.url))
/** WCAG 1.4.10: what a window of 1280 has at 400 %. */
const NARROWEST = 320

interface Violation {
  id: string
  impact: string
  nodes: { html: string }[]
}

/** What is wrong with it; a picture is kept. */
export async function problemsOf(page: Page, picture: string): Promise<string[]> {
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: `${PICTURES}${picture}.png`, fullPage: true })
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run()')
  const problems = violations.map(({ id, impact, nodes }) => `${impact} ${id} ${nodes.map(({ html }) => html).join(' ')}`)
  const size = page.viewportSize()
  for (const width of size ? [size.width, NARROWEST] : []) {
    await page.setViewportSize({ width, height: size?.height ?? width })
    const wide = await page.evaluate<number>('document.documentElement.scrollWidth')
    if (wide > width) problems.push(`${wide} pixels in a window of ${width}`)
  }
  if (size) await page.setViewportSize(size)
  return problems
}
