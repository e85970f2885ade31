import type { BrowserContext, Page, Route } from 'playwright-core'
import { describe, expect, test } from 'vitest'

import { secured, type Secured } from '../support/secured.ts'
import { problemsOf } from './look.ts'
import { alertOn, button, chromium, heading, LOOKS, SKIPPED, visits, wallet, WALLET } from './visit.ts'

const HOSTILE = 'Echoes <img src="x" onerror="globalThis.hit = 1"> [here](javascript:globalThis.hit=1)'

/** What axe says of Swagger UI itself: its field for a body has no label, its buttons are faint, its parts are not all in one. */
const THEIRS =
  /^(?:serious color-contrast .*class="|critical label <textarea class="body-param__text"|moderate region <div class="information-container|moderate heading-order <h3 class="opblock-tag)/

/** As a server of ours would be told of. */
const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'everything', version: '1', description: HOSTILE },
  servers: [{ url: '.' }],
  paths: {
    '/tools/echo': {
      post: {
        operationId: 'echo',
        summary: 'Echo',
        description: HOSTILE,
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: { message: { type: 'string', description: HOSTILE, examples: ['hello'] }, tree: { $ref: '#/components/schemas/Tree' } },
                required: ['message'],
              },
            },
          },
        },
        responses: { 200: { description: HOSTILE, content: { 'application/json': { schema: { type: ['string', 'null'] } } } } },
      },
    },
  },
  components: { schemas: { Tree: { type: 'object', properties: { kids: { type: 'array', items: { $ref: '#/components/schemas/Tree' } } } } } },
}

describe.skipIf(chromium.missing !== undefined)(`the page on which operations are tried${SKIPPED}`, () => {
  const { visit } = visits()

  interface Called {
    authorization: string | undefined
    body: unknown
  }

  /** The document and its one tool, for whoever the guard of this proxy lets in. */
  function served({ base, url }: Secured): { before: (context: BrowserContext) => Promise<void>; called: Called[] } {
    const called: Called[] = []
    const guarded = (answer: (route: Route) => Promise<void>) => async (route: Route) => {
      const authorization = await route.request().headerValue('authorization')
      // The guard says who may; without a good credential it answers as it does at every door.
      const asked = await fetch(url, { method: 'DELETE', headers: authorization === null ? {} : { authorization } })
      if (asked.status !== 401) return answer(route)
      await route.fulfill({ status: 401, headers: { 'www-authenticate': asked.headers.get('www-authenticate') ?? '' }, json: {} })
    }
    const before = async (context: BrowserContext): Promise<void> => {
      await context.route(
        `${base}/openapi.json`,
        guarded((route) => route.fulfill({ json: DOCUMENT })),
      )
      await context.route(
        `${base}/tools/echo`,
        guarded(async (route) => {
          called.push({ authorization: (await route.request().headerValue('authorization')) ?? undefined, body: route.request().postDataJSON() })
          await route.fulfill({ json: 'the answer <b>itself</b>' })
        }),
      )
    }
    return { before, called }
  }

  async function tryEcho(page: Page): Promise<void> {
    await page.locator('.opblock-summary-control').click()
    await page.locator('.body-param__text').fill('{"message":"from the page"}')
    await button(page, 'Execute').click()
    await page.locator('.live-responses-table .response-col_description').getByText('the answer <b>itself</b>').first().waitFor()
  }

  async function logIn(page: Page, { base }: Secured): Promise<void> {
    await button(page, 'Log in').click()
    await heading(page, `API page of ${new URL(base).host}`).waitFor()
    await button(page, 'Test Wallet').click()
    await button(page, 'Approve').click()
    await page.getByText('Logged in').waitFor()
    await page.locator('.opblock').waitFor()
  }

  const withDocs = { trusted: [wallet.did], options: { openapi: {} } }

  test.each(['', '/pre'])('a person logs in with a wallet, tries an operation, and sees its answer (below "%s")', async (pathPrefix) => {
    const stage = await secured({ ...withDocs, listen: { pathPrefix } })
    const { before, called } = served(stage)
    const { page, complaints } = await visit(`${stage.base}/docs`, { ...WALLET, before })
    await logIn(page, stage)
    await tryEcho(page)
    expect(called).toEqual([{ authorization: expect.stringMatching(/^Bearer ey/), body: { message: 'from the page' } }])
    expect(page.url()).toBe(`${stage.base}/docs`)
    // One is the 401 that it began with.
    expect(complaints.filter((one) => !one.includes('401'))).toEqual([])
  })

  test('a login outlives its token, and ends when it is left', async () => {
    const stage = await secured(withDocs)
    const { before, called } = served(stage)
    const { page } = await visit(`${stage.base}/docs`, { ...WALLET, before })
    await logIn(page, stage)
    stage.pass(901)
    await page.evaluate('Date.now = ((now) => () => now() + 901_000)(Date.now)')
    await tryEcho(page)
    const { authorization = '' } = called[0] ?? {}
    const statusNow = async (): Promise<number> => (await fetch(stage.url, { method: 'DELETE', headers: { authorization } })).status
    expect(await statusNow()).not.toBe(401)
    await button(page, 'Forget it').click()
    await heading(page, 'Who are you?').waitFor()
    expect(await statusNow()).toBe(401)
  })

  test('what proves who one is stands nowhere on it, and is gone with the page', async () => {
    const stage = await secured({ ...withDocs, security: { apiKeys: ['a-key-of-the-operator-of-this-server'] } })
    const { before, called } = served(stage)
    const { page } = await visit(`${stage.base}/docs`, { before })
    await page.getByLabel('Token or API key').fill('a-key-of-the-operator-of-this-server')
    await button(page, 'Use it').click()
    await tryEcho(page)
    expect(called[0]?.authorization).toBe('Bearer a-key-of-the-operator-of-this-server')
    expect(await page.content()).not.toContain('a-key-of-the-operator-of-this-server')
    expect(await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie')).toBe('{}')
    await button(page, 'Forget it').click()
    await heading(page, 'Who are you?').waitFor()
  })

  test('a token that is none is refused, and another can be shown', async () => {
    const stage = await secured({ ...withDocs, security: { apiKeys: ['a-key-of-the-operator-of-this-server'] } })
    const { page } = await visit(`${stage.base}/docs`, { before: served(stage).before })
    await page.getByLabel('Token or API key').fill('another')
    await button(page, 'Use it').click()
    expect(await alertOn(page)).toContain('not accepted')
    await page.getByLabel('Token or API key').fill('a-key-of-the-operator-of-this-server')
    await button(page, 'Use it').click()
    await page.locator('.opblock').waitFor()
  })

  test('words of servers are text: no markup, no script, no link, and nothing from elsewhere', async () => {
    const stage = await secured({ ...withDocs, security: { apiKeys: ['a-key-of-the-operator-of-this-server'] } })
    const asked: string[] = []
    const { page, complaints } = await visit(`${stage.base}/docs`, { before: served(stage).before })
    page.on('request', (request) => asked.push(request.url()))
    await page.getByLabel('Token or API key').fill('a-key-of-the-operator-of-this-server')
    await button(page, 'Use it').click()
    await page.locator('.opblock-summary-control').click()
    await page.getByText(HOSTILE).first().waitFor()
    await page.getByRole('tab', { name: 'Schema' }).first().click()
    await page.getByRole('button', { name: 'Expand all' }).first().click()
    await page.locator('.json-schema-2020-12').getByText(HOSTILE).first().waitFor()
    expect(await page.locator('.swagger-ui img, .swagger-ui a[href^="javascript"]').count()).toBe(0)
    expect(await page.evaluate('globalThis.hit')).toBeUndefined()
    expect(asked.filter((url) => !url.startsWith(stage.base) && !url.startsWith('data:'))).toEqual([])
    expect(complaints.filter((one) => !one.includes('401'))).toEqual([])
  })

  test('an answer to a login that did not begin in this tab is not taken', async () => {
    const stage = await secured(withDocs)
    const { page } = await visit(`${stage.base}/docs?code=abc&state=mine&iss=${stage.base}`, { before: served(stage).before })
    expect(await alertOn(page)).toContain('no answer to a login')
    expect(page.url()).toBe(`${stage.base}/docs`)
  })

  test.each(['/servers/some/docs', '/some/docs'])('the page of a server (%s) asks for the document beside it, and has the files of all', async (path) => {
    const stage = await secured(withDocs)
    const asked: string[] = []
    const { page } = await visit(`${stage.base}${path}`, {
      before: async (context) => {
        context.on('request', (request) => asked.push(new URL(request.url()).pathname))
        await context.route(`**${path.replace(/docs$/, 'openapi.json')}`, (route) => route.fulfill({ json: DOCUMENT }))
      },
    })
    await page.locator('.opblock').waitFor()
    expect(asked).toContain(path.replace(/docs$/, 'openapi.json'))
    expect(asked.filter((one) => one.startsWith('/docs/'))).toHaveLength(4)
  })

  test('its files are kept for ever under names that change with them, and the frame is asked for anew', async () => {
    const { base } = await secured(withDocs)
    const frame = await fetch(`${base}/docs`)
    expect(frame.headers.get('cache-control')).toBe('no-cache')
    const again = await fetch(`${base}/docs`, { headers: { 'if-none-match': frame.headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
    const files = [...(await frame.text()).matchAll(/(?:href|src)="(docs\/[^"]+)"/g)].map(([, path]) => `${base}/${path}`)
    expect(files).toHaveLength(4)
    for (const url of files) {
      expect(url).toMatch(/-[0-9a-f]{16}\.(?:js|css)$/)
      const [packed, plain] = await Promise.all(['gzip', 'identity'].map((encoding) => fetch(url, { headers: { 'accept-encoding': encoding } })))
      expect(packed?.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
      expect(packed?.headers.get('content-encoding')).toBe('gzip')
      expect(packed?.headers.get('content-type')).toMatch(url.endsWith('.js') ? /^text\/javascript/ : /^text\/css/)
      expect(plain?.headers.get('content-encoding')).toBe(null)
      expect(await plain?.text()).toBe(await packed?.text())
    }
  })

  test.each(['/docs/LICENSE', '/docs/index.html', '/docs/page.js', '/docs/..%2fopenmcp.mjs', '/docs/'])('there is no %s', async (path) => {
    const { base } = await secured(withDocs)
    expect((await fetch(base + path)).status).toBe(404)
  })

  test('there is no page where none is asked for', async () => {
    const { base } = await secured()
    expect((await fetch(`${base}/docs`)).status).toBe(404)
  })

  describe.each(LOOKS)('in %s at %i pixels', (colorScheme, width) => {
    test('pictures of it are kept, and nothing is wider than the window', async () => {
      const stage = await secured({ ...withDocs, security: { apiKeys: ['a-key-of-the-operator-of-this-server'] } })
      const { page } = await visit(`${stage.base}/docs`, { before: served(stage).before, colorScheme, viewport: { width, height: 844 } })
      await heading(page, 'Who are you?').waitFor()
      expect(await problemsOf(page, `docs-ask-${colorScheme}-${width}`)).toEqual([])
      await page.getByLabel('Token or API key').fill('a-key-of-the-operator-of-this-server')
      await button(page, 'Use it').click()
      await tryEcho(page)
      const problems = await problemsOf(page, `docs-tried-${colorScheme}-${width}`)
      expect(problems.filter((one) => !THEIRS.test(one))).toEqual([])
    })
  })
})
