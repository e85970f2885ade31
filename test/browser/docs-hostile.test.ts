// The page of operations, and servers that would take it over: what they say is text, and nothing that got in would get anywhere.
import { describe, expect, test } from 'vitest'

import type { Json } from '../support/json.ts'
import { secured, type Secured } from '../support/secured.ts'
import { clickAll, ECHO, operationAt, OPERATOR_KEY, pathsOn, serverOf, showKey, tryIt, unexpected } from './docs-stage.ts'
import { chromium, SKIPPED, visits, type Visit } from './visit.ts'

const MARKUP =
  'Echoes <img src="x" onerror="globalThis.hit = 1"> [here](javascript:globalThis.hit=1) ![](http://evil.example/seen) <script>globalThis.hit = 1</script>'
const LINK = { url: 'javascript:globalThis.hit=1', description: MARKUP }

/** Every place of a tool that words can be in. */
const HOSTILE_TOOL: Json = {
  name: 'echo',
  title: MARKUP,
  description: MARKUP,
  icons: [{ src: 'http://evil.example/icon.svg' }],
  inputSchema: {
    type: 'object',
    title: MARKUP,
    externalDocs: LINK,
    properties: {
      message: {
        type: 'string',
        description: MARKUP,
        title: MARKUP,
        examples: [MARKUP],
        default: MARKUP,
        format: MARKUP,
        contentMediaType: 'text/html',
        externalDocs: LINK,
      },
      [MARKUP]: { enum: [MARKUP], $comment: MARKUP, deprecated: true },
      away: { $ref: 'http://evil.example/schema.json' },
      link: { type: 'string', format: 'uri', default: 'javascript:globalThis.hit=1' },
    },
    'x-logo': { url: 'http://evil.example/logo.png' },
  },
  outputSchema: { type: 'object', description: MARKUP, properties: { message: { description: MARKUP } } },
}

const named = (name: string, inputSchema: unknown = { type: 'object' }): Json => ({ name, description: name, inputSchema })

describe.skipIf(chromium.missing !== undefined)(`the page of operations and hostile servers${SKIPPED}`, () => {
  const { visit } = visits()

  async function shown(tools: readonly Json[], how?: Parameters<typeof serverOf>[1]): Promise<Visit & { stage: Secured; asked: string[] }> {
    const stage = await secured({ answer: serverOf(tools, how), security: { apiKeys: [OPERATOR_KEY] }, options: { openapi: {} } })
    const asked: string[] = []
    const visited = await visit(`${stage.base}/docs`, {
      before: async (context) => void context.on('request', (request) => asked.push(request.url())),
    })
    await showKey(visited.page)
    return { ...visited, stage, asked }
  }

  test('their words are text: no markup, no script, no link, and nothing is asked for elsewhere', async () => {
    const about = { serverInfo: { name: 'hostile', title: MARKUP, version: MARKUP }, instructions: MARKUP }
    const { page, stage, asked, complaints } = await shown([HOSTILE_TOOL], { about, words: MARKUP })
    expect(await tryIt(page, '/tools/echo', { message: MARKUP })).toMatchObject({ status: '200', shown: expect.stringContaining('<img src=') })
    await page.getByText('Echoes <img src="x"').first().waitFor()
    for (const tab of await page.getByRole('tab', { name: 'Schema' }).all()) await tab.click()
    await clickAll(page, '.json-schema-2020-12-expand-deep-button:text-is("Expand all")')
    await page.locator('.json-schema-2020-12').getByText('Echoes <img src="x"').first().waitFor()
    expect(await page.locator('#api img, #api script, #api iframe, #api a[href^="javascript" i], #api a[href*="evil.example"]').count()).toBe(0)
    expect(await page.evaluate('globalThis.hit')).toBeUndefined()
    expect(asked.filter((url) => !url.startsWith(`${stage.base}/`) && !url.startsWith('data:'))).toEqual([])
    expect(unexpected(complaints)).toEqual([])
  })

  test('names that mean something to JavaScript are names', async () => {
    const schema = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"object","properties":{"prototype":{}}}}}')
    const names = ['__proto__', 'constructor', 'toString', '..', 'a/b', '<b>', 'x'.repeat(500)]
    const { page, complaints } = await shown(names.map((name) => named(name, schema)))
    expect((await pathsOn(page)).length).toBe(names.length)
    expect((await tryIt(page, '/tools/__proto__', {})).status).toBe('200')
    expect((await tryIt(page, '/tools/constructor', {})).status).toBe('200')
    expect(await page.evaluate('({}).type')).toBeUndefined()
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    expect(unexpected(complaints)).toEqual([])
  })

  test('a document of five megabytes is shown, and what it tells of can be tried', async () => {
    const long = 'long words '.repeat(100_000)
    const properties = Object.fromEntries(Array.from({ length: 3000 }, (_, index) => [`property-${index}`, { type: 'string', description: 'x'.repeat(900) }]))
    const tools = [{ ...ECHO, description: long }, named('wide', { type: 'object', properties }), { ...named('other'), title: long.slice(0, 500_000) }]
    const { page, stage, complaints } = await shown(tools, { about: { instructions: 'x'.repeat(500_000) } })
    const response = await page.request.get(`${stage.base}/openapi.json`, { headers: { authorization: `Bearer ${OPERATOR_KEY}` } })
    expect((await response.body()).length).toBeGreaterThan(4_500_000)
    expect((await tryIt(page, '/tools/echo', { message: 'short' })).status).toBe('200')
    await operationAt(page, '/tools/wide').locator('.opblock-summary-control').click()
    await operationAt(page, '/tools/wide').locator('.body-param__text').waitFor()
    expect(unexpected(complaints)).toEqual([])
  })

  describe('whoever got a word in nevertheless', () => {
    test('finds a page that runs, frames and asks for nothing but what is its own', async () => {
      const { base } = await secured({ options: { openapi: {} } })
      const { headers } = await fetch(`${base}/docs`)
      expect(headers.get('content-security-policy')?.split(';')).toEqual([
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ])
      expect(Object.fromEntries(['cross-origin-opener-policy', 'x-frame-options', 'referrer-policy'].map((name) => [name, headers.get(name)]))).toEqual({
        'cross-origin-opener-policy': 'same-origin',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
      })
      expect(await (await fetch(`${base}/docs`)).text()).not.toMatch(/https?:\/\//)
    })

    test('makes no markup and no code of text, and asks for nothing elsewhere', async () => {
      const { page } = await visit(`${await guarded()}/docs`)
      const refusedAs = (script: string): Promise<string> =>
        // In the page itself, where a script of theirs would be, and not as the one who looks at it, who may more.
        page.evaluate(
          `new Promise((resolve) => setTimeout(async () => {
            try {
              await (${script})
              resolve('done')
            } catch ({ name }) {
              resolve(name)
            }
          }))`,
        )
      expect(await refusedAs("document.body.innerHTML = '<b>x</b>'")).toBe('TypeError')
      expect(await refusedAs("Object.assign(document.createElement('script'), { text: 'globalThis.hit = 1' })")).toBe('TypeError')
      expect(await refusedAs("trustedTypes.createPolicy('default', { createHTML: (text) => text })")).toBe('TypeError')
      expect(await refusedAs("new Function('return 1')()")).toBe('EvalError')
      expect(await refusedAs("fetch('http://127.0.0.1:9/')")).toBe('TypeError')
    })

    test('stands in no frame, and knows of no window that opened it', async () => {
      const base = await guarded()
      const { page, context } = await visit('about:blank', {
        before: (all) => all.route('http://localhost:1/', (route) => route.fulfill({ contentType: 'text/html', body: `<iframe src="${base}/docs"></iframe>` })),
      })
      await page.goto('http://localhost:1/')
      await expect.poll(() => page.frames()[1]?.url()).toMatch(/^chrome-error:/)
      const [opened] = await Promise.all([context.waitForEvent('page'), page.evaluate(`void (globalThis.opened = open('${base}/docs'))`)])
      await opened.getByRole('heading', { name: 'Who are you?' }).waitFor()
      expect(await opened.evaluate('opener')).toBe(null)
      expect(await page.evaluate('opened.closed')).toBe(true)
    })

    async function guarded(): Promise<string> {
      return (await secured({ options: { openapi: {} } })).base
    }
  })
})
