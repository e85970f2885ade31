// The page of operations in front of a guard.
import { describe, expect, test } from 'vitest'

import { HARD_TOOLS, hardToolServer } from '../support/hard-schemas.ts'
import { at } from '../support/json.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { clickAll, ECHO, logIn, OPERATOR_KEY, pathsOn, serverOf, showKey, SOME_LOOKS, tryIt, unexpected } from './docs-stage.ts'
import { problemsOf } from './look.ts'
import { alertOn, button, chromium, heading, SKIPPED, visits, wallet, WALLET } from './visit.ts'

const ANSWERED = { status: '200', shown: '"the answer <b>itself</b>"' }

/** Whoever has a wallet or the key of the operator is let in, and finds the tool `echo`. */
function withPage({ security, ...more }: SecuredOptions = {}): Promise<Secured> {
  return secured({
    trusted: [wallet.did],
    answer: serverOf([ECHO]),
    options: { openapi: {} },
    ...more,
    security: { apiKeys: [OPERATOR_KEY], ...security },
  })
}

const calledWith = ({ reached }: Secured): unknown[] =>
  reached()
    .filter(({ body }) => body['method'] === 'tools/call')
    .map(({ body }) => at(body, 'params', 'arguments'))

describe.skipIf(chromium.missing !== undefined)(`the page on which operations are tried${SKIPPED}`, () => {
  const { visit } = visits()

  describe('whoever opens it', () => {
    test.each(['', '/pre'])('logs in with a wallet, tries an operation, and sees its answer (below "%s")', async (pathPrefix) => {
      const stage = await withPage({ listen: { pathPrefix } })
      const { page, complaints } = await visit(`${stage.base}/docs`, WALLET)
      await logIn(page)
      expect(await tryIt(page, '/tools/echo', { message: 'from the page' })).toEqual(ANSWERED)
      expect(calledWith(stage)).toEqual([{ message: 'from the page' }])
      expect(page.url()).toBe(`${stage.base}/docs`)
      expect(unexpected(complaints)).toEqual([])
    })

    test.each(['required', 'nonce'] as const)('proves a key that it holds with each request, where tokens have to be bound (%s)', async (dpop) => {
      const stage = await withPage({ security: { dpop } })
      const { page, context } = await visit(`${stage.base}/docs`, WALLET)
      const shown: (string | undefined)[][] = []
      context.on('request', (request) => {
        const { authorization, dpop: proof } = request.headers()
        if (authorization !== undefined) shown.push([authorization, proof])
      })
      await page.getByText('A token has to be bound to a key here').waitFor()
      await logIn(page)
      expect(await tryIt(page, '/tools/echo', { message: 'bound' })).toEqual(ANSWERED)
      expect(calledWith(stage)).toEqual([{ message: 'bound' }])
      expect(new Set(shown.map(([, proof]) => proof)).size).toBe(shown.length)
      // Whoever took the token has nothing, with one of its proofs, too.
      for (const [taken = '', proof = ''] of shown) {
        expect(taken).toMatch(/^DPoP ey/)
        for (const headers of [{ authorization: taken }, { authorization: taken, dpop: proof }, bearer(taken.slice('DPoP '.length))]) {
          expect((await ask(new URL(`${stage.base}/tools/echo`), { headers, body: { message: 'stolen' } })).status).toBe(401)
        }
      }
      expect(calledWith(stage)).toEqual([])
      // Nor has a person who pastes it, but for a key of the operator.
      await button(page, 'Forget it').click()
      await showKey(page, shown[0]?.[0]?.slice('DPoP '.length))
      await page.getByText('This is not accepted here').waitFor()
      await showKey(page)
      expect(await tryIt(page, '/tools/echo', { message: 'with a key' })).toEqual(ANSWERED)
    })

    test('has a login that outlives its token, and ends when it is left', async () => {
      const stage = await withPage()
      const { page } = await visit(`${stage.base}/docs`, WALLET)
      await logIn(page)
      stage.pass(901)
      await page.evaluate('Date.now = ((now) => () => now() + 901_000)(Date.now)')
      const [request] = await Promise.all([page.waitForRequest(`${stage.base}/tools/echo`), tryIt(page, '/tools/echo', { message: 'later' })])
      const headers = { authorization: (await request.headerValue('authorization')) ?? '' }
      const statusNow = async (): Promise<number> => (await ask(new URL(`${stage.base}/openapi.json`), { headers })).status
      expect(await statusNow()).toBe(200)
      await button(page, 'Forget it').click()
      await heading(page, 'Who are you?').waitFor()
      expect(await statusNow()).toBe(401)
    })

    test('shows a key that stands nowhere on it, and is gone with the page', async () => {
      const stage = await withPage()
      const { page } = await visit(`${stage.base}/docs`)
      await showKey(page)
      expect(await tryIt(page, '/tools/echo', { message: 'with a key' })).toEqual(ANSWERED)
      expect(await page.content()).not.toContain(OPERATOR_KEY)
      expect(await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie')).toBe('{}')
      await button(page, 'Forget it').click()
      await heading(page, 'Who are you?').waitFor()
    })

    test('is told of what is no key here, and may show another', async () => {
      const stage = await withPage()
      const { page } = await visit(`${stage.base}/docs`)
      await showKey(page, 'in no headér')
      expect(await alertOn(page)).toContain('no token')
      await showKey(page, 'another')
      await page.getByText('This is not accepted here').waitFor()
      await showKey(page)
      await page.locator('.opblock').waitFor()
      expect(await page.locator('#alert').innerText()).toBe('')
    })

    test('finds those tools alone that are for them', async () => {
      const stage = await withPage({ trusted: [{ id: wallet.did, tools: ['e*'] }], answer: serverOf([ECHO, { ...ECHO, name: 'secret' }]) })
      const { page } = await visit(`${stage.base}/docs`, WALLET)
      await logIn(page)
      expect(await pathsOn(page)).toEqual(['/tools/echo'])
    })

    test('with an answer to a login that did not begin in this tab is not taken for anybody', async () => {
      const stage = await withPage()
      const { page } = await visit(`${stage.base}/docs?code=abc&state=mine&iss=${stage.base}`)
      expect(await alertOn(page)).toContain('no answer to a login')
      expect(page.url()).toBe(`${stage.base}/docs`)
    })

    test.each(SOME_LOOKS)('can read what is asked: %s, %d wide', async (colorScheme, width) => {
      const stage = await withPage()
      const { page } = await visit(`${stage.base}/docs`, { colorScheme, viewport: { width, height: 844 } })
      await showKey(page, 'another')
      await alertOn(page)
      expect(await problemsOf(page, `docs-ask-${colorScheme}-${width}`)).toEqual([])
    })
  })

  describe('it shows', () => {
    test('a list of more than a hundred tools, and of them those that are looked for', async () => {
      const many = Array.from({ length: 150 }, (_, index) => ({ ...ECHO, name: `tool-${index}` }))
      const stage = await withPage({ answer: serverOf(many) })
      const { page, complaints } = await visit(`${stage.base}/docs`)
      await showKey(page)
      await page.getByPlaceholder('Filter by tag or path').fill('TOOL-14')
      const numbers = ['14', ...Array.from({ length: 10 }, (_, index) => `14${index}`)]
      await expect.poll(() => pathsOn(page)).toEqual(numbers.map((number) => `/tools/tool-${number}`))
      expect((await tryIt(page, '/tools/tool-149', { message: 'the last' })).status).toBe('200')
      expect(unexpected(complaints)).toEqual([])
    })

    test('each of the schemas that are hard to show', async () => {
      const stage = await withPage({ answer: hardToolServer })
      const { page, complaints } = await visit(`${stage.base}/docs`)
      await showKey(page)
      await page.locator('.opblock').first().waitFor()
      await clickAll(page, '.opblock-summary-control')
      await expect.poll(() => page.locator('.opblock .btn.execute').count()).toBe(HARD_TOOLS.length)
      await clickAll(page, '.opblock-section-request-body [role="tab"]:text-is("Schema")')
      await page.locator('.opblock-section-request-body .json-schema-2020-12').first().waitFor()
      await clickAll(page, '.json-schema-2020-12-expand-deep-button:text-is("Expand all")')
      await page.locator('[data-json-schema-level="2"]').first().waitFor()
      expect(unexpected(complaints)).toEqual([])
    })
  })

  describe('its files', () => {
    test('are kept for ever under names that change with them, and the frame is asked for anew', async () => {
      const { base } = await withPage()
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

    test.each(['/servers/some/docs', '/some/docs'])('are the same for the page of a server (%s)', async (path) => {
      const { base } = await withPage()
      const filesOf = async (url: string): Promise<string[]> =>
        [...(await (await fetch(url)).text()).matchAll(/(?:href|src)="([^"]*docs\/[^"]+)"/g)].map(([, file = '']) => new URL(file, url).href)
      expect(await filesOf(base + path)).toEqual(await filesOf(`${base}/docs`))
    })

    test.each(['/docs/LICENSE', '/docs/index.html', '/docs/page.js', '/docs/..%2fopenmcp.mjs', '/docs/'])('are no others: %s', async (path) => {
      const { base } = await withPage()
      expect((await fetch(base + path)).status).toBe(404)
    })

    test('are not there where no page is asked for', async () => {
      const { base } = await secured()
      expect((await fetch(`${base}/docs`)).status).toBe(404)
    })
  })
})
