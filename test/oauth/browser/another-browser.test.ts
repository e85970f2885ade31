// A login belongs to the browser that began it: who has only its address, or the cookie of another one, can do nothing with it.
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { challengeOf, keyProver, walletProver } from '../../api-keys/stage.ts'
import { secured, type Secured } from '../../support/secured.ts'
import { testWallet } from '../../support/wallet.ts'
import { ask, type Answer } from '../../support/wire.ts'
import { approve, authorizeUrl, begin, browser, exchange, registered, tokensIn, type Begun, type Browser } from './stage.ts'

const NOT_YOURS = {
  error: 'another_browser',
  error_description: 'this login was begun in another browser, or not at all: begin again where you want to log in',
}

/** Every door of a login. */
async function everything(tab: Browser, { at, uid }: Begun, s: Secured): Promise<Answer[]> {
  const prover = keyProver()
  return [
    await tab.get(at),
    await tab.post(`${at}/challenge`, prover.asked),
    await tab.post(`${at}/approve`, { ...prover.asked, message: 'x', signature: 'x' }),
    await tab.post(`${at}/deny`, {}),
    await tab.get(`${s.base}/authorize/${uid}`),
  ]
}

/** What each of them says, in JSON or in words. */
function said(answers: readonly Answer[]): unknown[] {
  return answers.map(({ status, json, headers, text }) => [
    status,
    headers.location,
    headers['set-cookie'],
    headers['content-type']?.startsWith('application/json') ? json : text.includes('<code>another_browser</code>') && NOT_YOURS,
  ])
}

const CLOSED = [403, undefined, undefined, NOT_YOURS]
const ALL_CLOSED = Array.from({ length: 5 }, () => CLOSED)

describe('an attacker begins a login and sends its address to a victim', () => {
  test('whose browser gets nothing of it: not the page, not a challenge, not the approval, not the way back', async () => {
    const victim = keyProver()
    const s = await secured({ trusted: [victim.did] })
    const client = await registered(s)
    const begun = await begin(s, browser(), client)
    expect(said(await everything(browser(), begun, s))).toEqual(ALL_CLOSED)
  })

  test('and not by a signature that the victim made for it either', async () => {
    const victim = walletProver(testWallet())
    const s = await secured({ trusted: [victim.did] })
    const client = await registered(s)
    const attacker = browser()
    const begun = await begin(s, attacker, client)
    const message = challengeOf(await attacker.post(`${begun.at}/challenge`, victim.asked))
    const signed = { ...victim.asked, message, signature: victim.sign(message) }
    // In the victim's browser, which has a login of its own as well.
    const tab = browser()
    const own = await begin(s, tab, client)
    expect((await tab.post(`${begun.at}/approve`, signed)).json).toEqual(NOT_YOURS)
    // Nor for the one that the victim began.
    expect((await tab.post(`${own.at}/approve`, signed)).json['error']).toBe('invalid_proof')
    expect((await attacker.get(`${s.base}/authorize/${begun.uid}`)).headers.location).not.toContain('code=')
  })

  test('whose approval in its own browser sends no code to another one', async () => {
    const victim = keyProver()
    const s = await secured({ trusted: [victim.did] })
    const client = await registered(s)
    const tab = browser()
    const begun = await begin(s, tab, client)
    expect((await approve(tab, begun, victim)).status).toBe(200)
    expect(said([await browser().get(`${s.base}/authorize/${begun.uid}`)])).toEqual([CLOSED])
    // The one that it belongs to goes on.
    expect((await tab.get(`${s.base}/authorize/${begun.uid}`)).headers.location).toContain('code=')
  })
})

describe('a cookie', () => {
  test('of another login opens nothing', async () => {
    const s = await secured()
    const client = await registered(s)
    const [one, other] = [browser(), browser()]
    const begun = await begin(s, one, client)
    await begin(s, other, client)
    expect(said(await everything(other, begun, s))).toEqual(ALL_CLOSED)
    // Nor under the name of this one.
    const [, value] = other.cookie().split('=')
    const { status, json } = await ask(new URL(begun.at), { headers: { cookie: `openmcp-login-${begun.uid}=${value}` } })
    expect([status, json]).toEqual([403, NOT_YOURS])
  })

  test('that is there twice is none, and neither is an empty, shortened or longer one', async () => {
    const s = await secured()
    const tab = browser()
    const begun = await begin(s, tab, await registered(s))
    const cookie = tab.cookie()
    const statusWith = async (text: string): Promise<number> => (await ask(new URL(begun.at), { headers: { cookie: text } })).status
    expect(await statusWith(cookie)).toBe(200)
    expect(await statusWith(`a=b; ${cookie}; c=d`)).toBe(200)
    for (const other of [
      `${cookie}; ${cookie}`,
      `${cookie.split('=')[0]}=`,
      cookie.slice(0, -1),
      `${cookie}A`,
      cookie.toUpperCase(),
      `x${cookie}`,
      '',
      ';;;=;',
    ]) {
      expect([other, await statusWith(other)]).toEqual([other, 403])
    }
  })

  test('is for this site alone, for no script, and for no plain connection where there is TLS in front', async () => {
    const plain = await secured()
    const { headers } = await ask(authorizeUrl(plain, await registered(plain)))
    expect(headers['set-cookie']).toEqual([expect.stringMatching(/^openmcp-login-[\w-]{43}=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/)])

    const s = await secured({ listen: { publicUrl: new URL('https://mcp.example.com'), allowHosts: ['mcp.example.com'] }, trusted: [] })
    const host = { host: 'mcp.example.com' }
    const register = await ask(new URL(`${s.base}/register`), { headers: host, body: { redirect_uris: ['http://127.0.0.1/callback'] } })
    const at = authorizeUrl({ ...s, url: new URL('https://mcp.example.com/mcp') }, String(register.json['client_id']))
    const begun = await ask(at, { headers: host })
    expect(begun.headers.location).toMatch(/^https:\/\/mcp\.example\.com\/keys\?login=[\w-]{43}$/)
    expect(begun.headers['set-cookie']).toEqual([
      expect.stringMatching(/^__Host-openmcp-login-[\w-]{43}=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/),
    ])
    const uid = new URL(begun.headers.location ?? '').searchParams.get('login')
    const cookie = begun.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    const page = (headersSent: Record<string, string>): Promise<Answer> => ask(new URL(`${s.base}/login/${uid}`), { headers: headersSent })
    expect((await page({ ...host, cookie })).status).toBe(200)
    // Another host, or a plain connection, could have set this one.
    expect((await page({ ...host, cookie: cookie.replace('__Host-', '') })).json).toEqual(NOT_YOURS)
    expect((await page({ cookie })).json).toEqual(NOT_YOURS)
  })

  test('goes with the login', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did] })
    const tab = browser()
    const begun = await begin(s, tab, await registered(s))
    await approve(tab, begun, who)
    expect(tab.cookie()).toContain(begun.uid)
    await tab.get(`${s.base}/authorize/${begun.uid}`)
    expect(tab.cookie()).toBe('')
  })
})

test('a name that is guessed says nothing about whether there is such a login', async () => {
  const s = await secured()
  const begun = await begin(s, browser(), await registered(s))
  const guesses = [randomBytes(32).toString('base64url'), begun.uid.toLowerCase(), 'x', '__proto__', 'a'.repeat(500)]
  for (const uid of guesses) expect(said(await everything(browser(), { uid, at: `${s.base}/login/${uid}` }, s))).toEqual(ALL_CLOSED)
})

test('two tabs of one browser log in side by side, in any order', async () => {
  const [ann, bob] = [keyProver(), walletProver(testWallet())]
  const s = await secured({ trusted: [ann.did, bob.did] })
  const [one, other] = [await registered(s, { client_name: 'one' }), await registered(s, { client_name: 'other' })]
  const both = browser()
  const first = await begin(s, both, one)
  const second = await begin(s, both, other)
  expect((await both.get(first.at)).json['client']).toMatchObject({ name: 'one' })
  expect((await both.get(second.at)).json['client']).toMatchObject({ name: 'other' })
  for (const [begun, who, client] of [
    [second, bob, other],
    [first, ann, one],
  ] as const) {
    const approved = await approve(both, begun, who)
    const back = new URL((await both.get(String(approved.json['redirect_to']))).headers.location ?? 'none:')
    const { access } = tokensIn(await exchange(s, client, back.searchParams.get('code') ?? ''))
    const [, claims = ''] = access.split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ sub: who.did, client_id: client })
  }
})

test('each login is proved anew: a browser that logged in before is asked again', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const client = await registered(s)
  const tab = browser()
  const first = await begin(s, tab, client)
  await approve(tab, first, who)
  await tab.get(`${s.base}/authorize/${first.uid}`)
  const second = await begin(s, tab, client)
  expect((await tab.get(`${s.base}/authorize/${second.uid}`)).headers.location).toBe(`${s.base}/keys?login=${second.uid}`)
  expect((await tab.get(second.at)).status).toBe(200)
})
