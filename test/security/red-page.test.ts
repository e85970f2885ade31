// The key page, attacked: framed, fed, asked under other names, and reached from other pages. What runs in it is tested in a browser.
import { readFile } from 'node:fs/promises'
import { describe, expect, onTestFinished, test } from 'vitest'

import { keyProver } from '../api-keys/stage.ts'
import { approve, authorizeUrl, begin, browser, registered } from '../oauth/browser/stage.ts'
import { bearer, secured, type Secured, type SecuredOptions } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, openSocket, type Answer } from '../support/wire.ts'

const FILES = ['/keys', '/keys/page.js', '/keys/page.css']
const SCRIPT = '"><script>alert(1)</script>'

/** What keeps a page of ours alone with itself. */
const ALONE = {
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin-allow-popups',
  'cross-origin-resource-policy': 'same-origin',
}

/** Behind it nothing was reached when the test ends. */
async function unreached(options: SecuredOptions = {}): Promise<Secured> {
  const s = await secured(options)
  onTestFinished(() => expect(s.reached()).toEqual([]))
  return s
}

function rulesOf({ headers }: Answer): Map<string, string> {
  const [policy = ''] = [headers['content-security-policy']].flat()
  return new Map(policy.split(';').map((rule): [string, string] => [rule.split(' ')[0] ?? '', rule.slice(rule.indexOf(' ') + 1)]))
}

describe.each(['', '/x/y'])('with the path prefix "%s"', (pathPrefix) => {
  test('the page runs what is ours alone, is framed by nobody, and says so in every answer', async () => {
    const s = await unreached({ listen: { pathPrefix, allowOrigins: ['https://app.example'] } })
    for (const path of FILES) {
      const url = new URL(`${s.base}${path}`)
      const whole = await ask(url)
      const etag = String(whole.headers.etag)
      const answers = [
        whole,
        await ask(url, { method: 'HEAD' }),
        await ask(url, { headers: { 'if-none-match': etag } }),
        await ask(new URL(`${url.href}?login=x`)),
      ]
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 304, 200])
      for (const answer of answers) {
        expect(answer.headers).toMatchObject(ALONE)
        const rules = rulesOf(answer)
        expect([rules.get('default-src'), rules.get('script-src'), rules.get('connect-src')]).toEqual(["'none'", "'self'", "'self'"])
        expect([rules.get('frame-ancestors'), rules.get('base-uri'), rules.get('form-action')]).toEqual(["'none'", "'none'", "'self'"])
        expect([rules.get('require-trusted-types-for'), rules.get('trusted-types')]).toEqual(["'script'", "'none'"])
        expect([...rules.values()].join(' ')).not.toMatch(/unsafe|http|\*|data:|blob:/)
        expect(answer.headers['set-cookie']).toBe(undefined)
      }
    }
  })

  test('nothing that was sent is in it, nor is it another page for another query, header or name of ours', async () => {
    const s = await unreached({ listen: { pathPrefix, allowHosts: ['mcp.example.com'] } })
    const { text } = await ask(new URL(`${s.base}/keys`))
    const forwarded = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-prefix': '/evil', forwarded: 'host=evil.example' }
    const others = [
      ask(new URL(`${s.base}/keys?login=${encodeURIComponent(SCRIPT)}&error=${encodeURIComponent(SCRIPT)}`)),
      ask(new URL(`${s.base}/keys?login=x&login=y&__proto__[x]=y`)),
      ask(new URL(`${s.base}/keys`), { headers: { ...forwarded, 'x-original-url': '/evil', 'x-rewrite-url': '/evil', 'accept-language': SCRIPT } }),
      ask(new URL(`${s.base}/keys`), { headers: { host: 'mcp.example.com', cookie: `openmcp-login-x=${SCRIPT}` } }),
    ]
    for (const answer of await Promise.all(others)) expect([answer.status, answer.text]).toEqual([200, text])
    for (const host of ['evil.example', '127.0.0.1', `127.0.0.1:${s.url.port}@evil.example`, `127.0.0.1:${s.url.port}/evil`]) {
      expect((await ask(new URL(`${s.base}/keys`), { headers: { host } })).status).toBe(403)
    }
  })

  test('there is no way from it to another file', async () => {
    const s = await unreached({ listen: { pathPrefix } })
    const paths = String.raw`/keys/../keys/page.js/.. /keys/..%2f..%2fpackage.json /keys/%2e%2e/%2e%2e/package.json /keys/..\package.json /keys/....//page.js
       /keys/page.js%00.html /keys/page.js/ /keys//page.js /keys/page.JS /keys/page.js;x /keys/constructor /keys/__proto__ /keys/. /keys/index.html
       /keys/ /keys// /keys/page.js.map /keys/% /keys/%ff /keys/page.ts`.split(/\s+/)
    for (const path of paths) {
      // As it is written: nobody tidies it up before it is sent.
      const socket = await forThisTest(openSocket(s.url))
      socket.write(`GET ${pathPrefix}${path} HTTP/1.1\r\nHost: ${s.url.host}\r\nConnection: close\r\n\r\n`)
      const text = await until('the answer', () => socket.text().includes('\r\n\r\n') && socket.text())
      expect([path, /^HTTP\/1\.1 (400|404) /.test(text)]).toEqual([path, true])
      expect(text).not.toMatch(/"version"|import |<title>API keys/)
    }
    expect(s.reached()).toEqual([])
  })
})

test('the built page holds nothing that is inline, and nothing of anybody else', async () => {
  const file = (name: string): Promise<string> => readFile(new URL(`../../dist/key-page/${name}`, import.meta.url), 'utf8')
  const [html, script, style] = await Promise.all(['index.html', 'page.js', 'page.css'].map(file))
  expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+\s*=|\sstyle\s*=|javascript:|<iframe|<object|<embed|<base/i)
  expect([...(html ?? '').matchAll(/(?:src|href)="([^"]*)"/g)].map(([, place]) => place)).toEqual(['keys/page.css', 'keys/page.js'])
  expect(script).not.toMatch(
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|localStorage|sessionStorage|document\.cookie|sendBeacon|WebSocket/,
  )
  expect(script?.match(/https?:\/\/[^\s"'`]+/g) ?? []).toEqual([])
  expect(style).not.toMatch(/@import|url\(/)
})

describe('from another page', () => {
  test('no answer lets a script read it with the cookie of a login, also for an origin that the operator named', async () => {
    const who = keyProver()
    const origin = 'https://app.example'
    const s = await unreached({ trusted: [who.did], listen: { allowOrigins: [origin] } })
    const client = await registered(s)
    const tab = browser()
    const { uid, at } = await begin(s, tab, client)
    const headers = { origin, cookie: tab.cookie() }
    const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
    const answers = await Promise.all([
      ask(new URL(at), { headers }),
      ask(new URL(`${at}/approve`), { method: 'OPTIONS', headers: { ...headers, ...preflight } }),
      ask(new URL(`${at}/deny`), { method: 'OPTIONS', headers: { ...headers, ...preflight } }),
      ask(new URL(`${s.base}/authorize/${uid}`), { headers }),
      ask(authorizeUrl(s, client), { headers: { origin } }),
    ])
    // Without this header no browser sends the cookie after a preflight, nor shows a script what came with it.
    for (const { headers: told } of answers) expect(told['access-control-allow-credentials']).toBe(undefined)
  })

  test.each(['null', 'https://evil.example', 'http://127.0.0.1:1', 'http://127.0.0.1', 'http://localhost', 'https://127.0.0.1', 'chrome-extension://x', ''])(
    'at "%s" nothing of a login is asked, begun or answered',
    async (origin) => {
      const who = keyProver()
      const s = await unreached({ trusted: [who.did] })
      const client = await registered(s)
      const tab = browser()
      const begun = await begin(s, tab, client)
      const headers = { origin, cookie: tab.cookie() }
      const all: [string, object][] = [
        [begun.at, {}],
        [`${begun.at}/challenge`, { body: who.asked }],
        [`${begun.at}/approve`, { body: who.asked }],
        [`${begun.at}/deny`, { body: {} }],
        [`${s.base}/register`, { body: { redirect_uris: ['http://127.0.0.1/cb'] } }],
        [`${s.base}/keys`, {}],
        [authorizeUrl(s, client).href, {}],
      ]
      for (const [url, asked] of all) {
        const { status, headers: told } = await ask(new URL(url), { ...asked, headers })
        expect([url, status, told['set-cookie']]).toEqual([url, 403, undefined])
      }
      expect((await approve(tab, begun, who)).status).toBe(200)
    },
  )

  test('a form posts nothing: neither as what forms are, nor as a text that looks like JSON', async () => {
    const s = await unreached()
    const client = await registered(s)
    const tab = browser()
    const { at } = await begin(s, tab, client)
    for (const type of [
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/plain',
      'text/plain; application/json',
      'text/json',
      '',
    ]) {
      for (const act of ['challenge', 'approve', 'deny']) {
        const { status } = await ask(new URL(`${at}/${act}`), { method: 'POST', headers: { cookie: tab.cookie(), 'content-type': type }, body: '{}' })
        expect([type, act, status]).toEqual([type, act, 415])
      }
    }
    expect((await tab.get(at)).status).toBe(200)
  })

  test('a redirect says where to by our own names, whatever a header says', async () => {
    const s = await unreached()
    const client = await registered(s)
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-port': '1', forwarded: 'host=evil.example;proto=https' }
    const { headers: told } = await ask(authorizeUrl(s, client), { headers })
    expect(told.location).toMatch(new RegExp(`^${s.base}/keys\\?login=[\\w-]+$`))
    expect([told['set-cookie']].flat().join('')).toMatch(/^openmcp-login-[\w-]+=[\w-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/)
  })
})

test('a key opens no page, and no page needs one', async () => {
  const s = await unreached({ security: { apiKeys: ['0f9d3c1e7a5b8246d1f0c3b7e9a82465'] } })
  const [open, shown] = [await ask(new URL(`${s.base}/keys`)), await ask(new URL(`${s.base}/keys`), { headers: bearer('0f9d3c1e7a5b8246d1f0c3b7e9a82465') })]
  expect([shown.status, shown.text]).toEqual([open.status, open.text])
})
