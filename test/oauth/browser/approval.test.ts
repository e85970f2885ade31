// The person's part: what is signed, by whom, and what comes of yes and no.
import { describe, expect, test } from 'vitest'

import { act, challengeFor, challengeOf, keyProver, postJson, walletProver } from '../../api-keys/stage.ts'
import { at } from '../../support/json.ts'
import { bearer, secured, sessionWith } from '../../support/secured.ts'
import { testWallet } from '../../support/wallet.ts'
import { ask } from '../../support/wire.ts'
import { approve, begin, browser, exchange, logIn, registered, tokensIn } from './stage.ts'

describe('the message that is signed', () => {
  test('names this login, the place where the code goes, and what it opens, in words of ours alone', async () => {
    const who = walletProver(testWallet())
    const s = await secured()
    const client = await registered(s, {
      client_name: 'Your bank\nURI: https://evil.example',
      redirect_uris: ['http://127.0.0.1/callback', 'https://app.example/callback', 'cursor://anysphere.cursor-mcp/oauth/callback'],
    })
    for (const [redirect, words] of [
      ['http://127.0.0.1:9/callback', 'a program on this computer (127.0.0.1:9)'],
      ['https://app.example/callback', 'app.example'],
      ['cursor://anysphere.cursor-mcp/oauth/callback', 'the program that opens cursor: links'],
    ]) {
      const tab = browser()
      const begun = await begin(s, tab, client, { redirect_uri: redirect, scope: 'mcp:tools mcp:prompts' })
      const lines = challengeOf(await tab.post(`${begun.at}/challenge`, who.asked)).split('\n')
      expect(lines[0]).toBe(`${s.url.host} wants you to sign in with your Ethereum account:`)
      expect(lines[3]).toBe(`Log in, and let ${words} use this server in my name: mcp:tools, mcp:prompts. Signing costs nothing and moves nothing.`)
      expect(lines[5]).toBe(`URI: ${begun.at}`)
      expect(lines.join('\n')).not.toMatch(/bank|evil/)
    }
  })

  test('of a page of ours asks for nothing but who it is; of one that only looks like ours it names the place', async () => {
    const who = walletProver(testWallet())
    const s = await secured()
    const own = 'Show this server that it is you, and nobody else.'
    for (const [redirect, words] of [
      [`${s.base}/oauth/far/proved`, own],
      [`${s.base}/oauth/far/callback`, 'Log in, and let a program on this computer'],
      [`${s.base}/oauth/far/x/proved`, 'Log in, and let a program on this computer'],
      [`${s.base}/oauth/far/proved?x`, 'Log in, and let a program on this computer'],
      ['http://127.0.0.1:9/oauth/far/proved', 'Log in, and let a program on this computer'],
      ['https://evil.example/oauth/far/proved', 'Log in, and let evil.example'],
    ] as const) {
      const tab = browser()
      const begun = await begin(s, tab, await registered(s, { redirect_uris: [redirect], client_name: 'bank' }), { redirect_uri: redirect })
      expect(challengeOf(await tab.post(`${begun.at}/challenge`, who.asked)).split('\n')[3]).toContain(words)
      expect((await tab.get(begun.at)).json['redirect']).toMatchObject({ ours: words === own })
    }
  })

  test('is good for this login alone: not for another one, not for keys; and one for keys is none for a login', async () => {
    const who = keyProver()
    const s = await secured({ trusted: [who.did] })
    const client = await registered(s)
    const tab = browser()
    const [one, other] = [await begin(s, tab, client), await begin(s, tab, client)]
    const message = challengeOf(await tab.post(`${one.at}/challenge`, who.asked))
    const signed = { ...who.asked, message, signature: who.sign(message) }
    expect((await tab.post(`${other.at}/approve`, signed)).json['error']).toBe('invalid_proof')
    expect((await postJson(s, '/gen-api-key', signed)).json['error']).toBe('invalid_proof')
    const forKeys = await challengeFor(s, who.asked)
    expect((await tab.post(`${one.at}/approve`, { ...who.asked, message: forKeys, signature: who.sign(forKeys) })).json['error']).toBe('invalid_proof')
    // Once, also at once.
    const both = await Promise.all([signed, signed].map((body) => tab.post(`${one.at}/approve`, body)))
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await act(s, who, '/gen-api-key')).status).toBe(200)
  })

  test('is not changed, not signed by another, and not older than five minutes', async () => {
    const [who, other] = [keyProver(), keyProver()]
    const s = await secured({ trusted: [who.did, other.did] })
    const tab = browser()
    const begun = await begin(s, tab, await registered(s))
    const message = challengeOf(await tab.post(`${begun.at}/challenge`, who.asked))
    const send = async (more: object): Promise<unknown> =>
      (await tab.post(`${begun.at}/approve`, { ...who.asked, message, signature: who.sign(message), ...more })).json['error']
    const wider = message.replace('127.0.0.1:9)', '127.0.0.1:10)')
    expect(wider).not.toBe(message)
    expect(await send({ message: wider, signature: who.sign(wider) })).toBe('invalid_proof')
    expect(await send({ signature: other.sign(message) })).toBe('invalid_proof')
    expect(await send({ did: other.did })).toBe('invalid_proof')
    expect(await send({ signature: undefined })).toBe('invalid_proof')
    expect(await send({ message: 7 })).toBe('invalid_request')
    s.pass(301)
    expect(await send({})).toBe('expired_challenge')
    expect((await tab.get(`${s.base}/authorize/${begun.uid}`)).headers.location).toBe(`${s.base}/keys?login=${begun.uid}`)
  })
})

test('a stranger is told how to be trusted, leaves nothing behind, and may come back when trusted', async () => {
  const who = keyProver()
  const s = await secured({ durable: true, trusted: [keyProver().did] })
  const client = await registered(s)
  const tab = browser()
  const begun = await begin(s, tab, client)
  const refused = await approve(tab, begun, who)
  expect([refused.status, refused.json]).toMatchObject([403, { error: 'not_trusted', did: who.did, how: `openmcp trust add ${who.did}` }])
  const store = await s.otherProcess()
  expect(await store.list('replay')).toEqual([])
  expect((await store.list('login')).map(({ key }) => key.split(':')[0])).toEqual(['Interaction'])
  await store.put('trust', { key: who.did, value: JSON.stringify({ id: who.did }), expiresAtMs: undefined })
  await expect.poll(async () => (await approve(tab, begun, who)).status).toBe(200)
})

test('the link of the first start lets its holder in', async () => {
  const who = walletProver(testWallet())
  const s = await secured()
  const secret = s.enrolment?.hash.slice(1) ?? ''
  const enrolment = new URLSearchParams(secret).get('enrol') ?? secret
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  expect((await approve(tab, begun, who, { enrolment: 'no' })).json['error']).toBe('not_trusted')
  expect((await approve(tab, begun, who, { enrolment })).status).toBe(200)
})

test('no is told to the client, and ends the login', async () => {
  const s = await secured()
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  const denied = await tab.post(`${begun.at}/deny`, {})
  expect([denied.status, denied.json]).toEqual([200, { redirect_to: `${s.base}/authorize/${begun.uid}` }])
  const cookie = tab.cookie()
  const back = new URL((await tab.get(String(denied.json['redirect_to']))).headers.location ?? 'none:')
  expect(Object.fromEntries(back.searchParams)).toMatchObject({ error: 'access_denied', state: 'the-state', iss: s.base })
  expect(back.searchParams.has('code')).toBe(false)
  const { status, json } = await ask(new URL(begun.at), { headers: { cookie } })
  expect([status, json['error']]).toEqual([404, 'expired_login'])
})

test.each(['deny', 'approve'])('after %s a login is asked nothing more, and gives what was said first', async (first) => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  const answered = first === 'deny' ? await tab.post(`${begun.at}/deny`, {}) : await approve(tab, begun, who)
  expect(answered.status).toBe(200)
  for (const path of ['', '/challenge', '/approve', '/deny']) {
    const { status, json } = path === '' ? await tab.get(begun.at) : await tab.post(`${begun.at}${path}`, who.asked)
    expect([path, status, json['error']]).toEqual([path, 404, 'expired_login'])
  }
  const back = new URL((await tab.get(String(answered.json['redirect_to']))).headers.location ?? 'none:')
  expect([back.searchParams.has('code'), back.searchParams.get('error')]).toEqual(first === 'deny' ? [false, 'access_denied'] : [true, null])
})

test('one login gives one code, however often and at once the browser goes back for it', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  const to = String((await approve(tab, begun, who)).json['redirect_to'])
  const cookie = tab.cookie()
  const answers = await Promise.all([1, 2, 3].map(() => ask(new URL(to), { headers: { cookie } })))
  expect(answers.filter(({ headers }) => headers.location?.includes('code='))).toHaveLength(1)
  const late = await ask(new URL(to), { headers: { cookie } })
  expect([late.status, late.headers.location]).toEqual([404, undefined])
  expect(late.text).toContain('<code>expired_login</code>')
})

test('a login that nobody finishes is over after ten minutes', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  s.pass(601)
  for (const answer of [await tab.get(begun.at), await tab.post(`${begun.at}/challenge`, who.asked), await tab.post(`${begun.at}/deny`, {})]) {
    expect([answer.status, answer.json['error']]).toEqual([404, 'expired_login'])
  }
  expect((await tab.get(`${s.base}/authorize/${begun.uid}`)).text).toContain('<code>expired_login</code>')
})

test('whoever is not trusted any more between the proof and the way back gets no code', async () => {
  const who = keyProver()
  const s = await secured({ durable: true, trusted: [keyProver().did] })
  const store = await s.otherProcess()
  await store.put('trust', { key: who.did, value: JSON.stringify({ id: who.did }), expiresAtMs: undefined })
  const tab = browser()
  const begun = await begin(s, tab, await registered(s))
  await expect.poll(async () => (await approve(tab, begun, who)).status).toBe(200)
  await store.remove('trust', who.did)
  await expect.poll(async () => (await act(s, who, '/get-api-key')).json['error']).toBe('not_trusted')
  const back = new URL((await tab.get(`${s.base}/authorize/${begun.uid}`)).headers.location ?? 'none:')
  expect([back.searchParams.get('error'), back.searchParams.has('code')]).toEqual(['access_denied', false])
})

describe('what is given', () => {
  test('is no more than trust allows, and no less than nothing', async () => {
    const [some, none] = [keyProver(), keyProver()]
    const s = await secured({
      trusted: [
        { id: some.did, scopes: ['mcp:tools'] },
        { id: none.did, scopes: ['introspect'] },
      ],
    })
    const client = await registered(s)
    for (const scope of ['mcp', 'mcp:tools', 'mcp:tools mcp:resources', undefined]) {
      const back = await logIn(s, some, client, { scope })
      const answer = await exchange(s, client, back.searchParams.get('code') ?? '')
      expect([scope, answer.json['scope']]).toEqual([scope, 'mcp:tools'])
      await sessionWith(s, bearer(tokensIn(answer).access))
    }
    const tab = browser()
    const begun = await begin(s, tab, client, { scope: 'mcp:tools' })
    const refused = await approve(tab, begun, none)
    expect([refused.status, refused.json['error']]).toEqual([403, 'invalid_scope'])
    const other = await begin(s, tab, client, { scope: 'mcp:resources' })
    expect((await approve(tab, other, some)).json['error']).toBe('invalid_scope')
  })
})

describe('the doors of a login', () => {
  test('take JSON alone, so that no form of another page speaks to them', async () => {
    const s = await secured()
    const tab = browser()
    const { at: login } = await begin(s, tab, await registered(s))
    for (const path of ['challenge', 'approve', 'deny']) {
      const url = new URL(`${login}/${path}`)
      const headers = { cookie: tab.cookie() }
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
        expect((await ask(url, { method: 'POST', headers: { ...headers, 'content-type': type }, body: '{}' })).status).toBe(415)
      }
      expect((await ask(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{' })).status).toBe(400)
      expect((await ask(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '[]' })).status).toBe(400)
      expect(
        (await ask(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ x: 'x'.repeat(20_000) }) }))
          .status,
      ).toBe(413)
      const { status, headers: answered } = await ask(url, { headers })
      expect([status, answered.allow]).toEqual([405, 'POST'])
    }
    expect((await ask(new URL(login), { method: 'POST', headers: { cookie: tab.cookie() }, body: {} })).status).toBe(405)
  })

  test('are closed to a page of another origin, cookie or not', async () => {
    const s = await secured()
    const tab = browser()
    const { at: login } = await begin(s, tab, await registered(s))
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1']) {
      for (const [path, method] of [
        ['', 'GET'],
        ['/challenge', 'POST'],
        ['/approve', 'POST'],
        ['/deny', 'POST'],
        ['/deny', 'OPTIONS'],
      ] as const) {
        const { status, headers } = await ask(new URL(`${login}${path}`), {
          method,
          headers: { cookie: tab.cookie(), origin },
          ...(method === 'POST' && { body: {} }),
        })
        expect([origin, path, status, headers['access-control-allow-origin']]).toEqual([origin, path, 403, undefined])
      }
    }
    expect((await tab.get(login)).status).toBe(200)
  })
})

test('a client whose registration is over when its page opens is over with its logins', async () => {
  const s = await secured()
  const client = await registered(s)
  s.pass(90 * 24 * 3600 - 60)
  const tab = browser()
  const begun = await begin(s, tab, client)
  s.pass(120)
  const { status, json } = await tab.get(begun.at)
  expect([status, at(json, 'error')]).toEqual([404, 'expired_login'])
})
