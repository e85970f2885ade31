// What logins leave in the store: no more than they need, nothing that opens anything, and nothing that is believed unread.
import { describe, expect, test, vi } from 'vitest'

import { keyProver } from '../../api-keys/stage.ts'
import { jsonOf } from '../../support/json.ts'
import { secured, type Secured } from '../../support/secured.ts'
import { ask } from '../../support/wire.ts'
import { approve, authorizeUrl, begin, browser, codeFor, exchange, refresh, registered, tokensIn } from './stage.ts'

async function kinds(s: Secured): Promise<string[]> {
  const store = await s.otherProcess()
  return (await store.list('login')).map(({ key }) => key.split(':')[0] ?? '').toSorted()
}

test('a login leaves its grant, what was used, and a refresh token: their secrets as hashes, and an end for each', async () => {
  const who = keyProver()
  const s = await secured({ durable: true, trusted: [who.did] })
  const client = await registered(s)
  const tab = browser()
  const begun = await begin(s, tab, client)
  expect(await kinds(s)).toEqual(['Interaction'])
  const to = String((await approve(tab, begun, who)).json['redirect_to'])
  const code = new URL((await tab.get(to)).headers.location ?? 'none:').searchParams.get('code') ?? ''
  expect(await kinds(s)).toEqual(['AuthorizationCode', 'Grant'])
  const tokens = tokensIn(await exchange(s, client, code))
  const fresh = tokensIn(await refresh(s, client, tokens.refresh))
  expect(await kinds(s)).toEqual(['AuthorizationCode', 'AuthorizationCode-used', 'Grant', 'RefreshToken', 'RefreshToken', 'RefreshToken-used'])
  const rows = await (await s.otherProcess()).list('login')
  for (const secret of [code, tokens.access, tokens.refresh, fresh.access, fresh.refresh, begun.uid]) expect(JSON.stringify(rows)).not.toContain(secret)
  expect(rows.every(({ expiresAtMs }) => expiresAtMs !== undefined && expiresAtMs <= s.now() + 91 * 24 * 3600_000)).toBe(true)
  s.pass(91 * 24 * 3600)
  expect(await kinds(s)).toEqual([])
})

test('no secret of a login is in the log, not even where all is logged', async () => {
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const client = await registered(s)
  const tab = browser()
  const begun = await begin(s, tab, client)
  const to = String((await approve(tab, begun, who)).json['redirect_to'])
  const cookie = tab.cookie().split('=')[1] ?? ''
  const code = new URL((await tab.get(to)).headers.location ?? 'none:').searchParams.get('code') ?? ''
  const tokens = tokensIn(await exchange(s, client, code))
  await exchange(s, client, code)
  await refresh(s, client, tokens.refresh)
  const log = s.log.join('\n')
  for (const secret of [cookie, code, tokens.access, tokens.refresh]) expect(log).not.toContain(secret)
})

test('a login whose grant another process took away gives no new tokens', async () => {
  const who = keyProver()
  const one = await secured({ durable: true, trusted: [who.did] })
  const client = await registered(one)
  const { refresh: token } = tokensIn(await exchange(one, client, await codeFor(one, who, client)))
  const store = await one.otherProcess()
  const [grant] = (await store.list('login')).filter(({ key }) => key.startsWith('Grant:'))
  await store.remove('login', grant?.key ?? '')
  expect((await refresh(one, client, token)).json['error']).toBe('invalid_grant')
})

describe('a row that is not as we write it lets nobody in', () => {
  test.each<[string, (value: string) => string]>([
    ['no JSON', () => '{'],
    ['nothing', () => ''],
    ['a list', () => '[]'],
    ['of another kind', (value) => value.replace('"kind":"', '"kind":"X')],
    ['without an end', (value) => JSON.stringify({ ...jsonOf(JSON.parse(value)), exp: undefined })],
    ['without what it is about', (value) => JSON.stringify({ ...jsonOf(JSON.parse(value)), accountId: 7, returnTo: 7 })],
  ])('%s', async (_what, spoiled) => {
    const who = keyProver()
    const s = await secured({ durable: true, trusted: [who.did] })
    const store = await s.otherProcess()
    const spoil = async (kind: string): Promise<void> => {
      const rows = (await store.list('login')).filter(({ key }) => key.startsWith(`${kind}:`))
      expect(rows).not.toEqual([])
      for (const row of rows) await store.put('login', { ...row, value: spoiled(row.value) })
    }
    const client = await registered(s)
    const tab = browser()
    const begun = await begin(s, tab, client)
    const code = await codeFor(s, who, client)
    const { refresh: token } = tokensIn(await exchange(s, client, await codeFor(s, who, client)))
    await spoil('Interaction')
    expect([(await tab.get(begun.at)).status, (await tab.get(`${s.base}/authorize/${begun.uid}`)).status]).toEqual([503, 503])
    await spoil('AuthorizationCode')
    expect((await exchange(s, client, code)).status).toBe(503)
    await spoil('Grant')
    expect((await refresh(s, client, token)).status).toBe(503)
    await spoil('RefreshToken')
    for (const path of ['/revoke']) expect((await s.post(path, { token })).status).toBe(503)
  })
})

test('when the store is away nobody begins, proves or refreshes anything, and the person reads it', async () => {
  const who = keyProver()
  const s = await secured({ durable: true, trusted: [who.did] })
  const client = await registered(s)
  const tab = browser()
  const begun = await begin(s, tab, client)
  const code = await codeFor(s, who, client)
  const { refresh: token } = tokensIn(await exchange(s, client, await codeFor(s, who, client)))
  const { rename } = await import('node:fs/promises')
  await rename(`${s.home}/store.db`, `${s.home}/elsewhere`)
  const page = await ask(authorizeUrl(s, client))
  expect([page.status, page.headers.location, page.headers['set-cookie']]).toEqual([503, undefined, undefined])
  expect(page.text).toContain('<code>temporarily_unavailable</code>')
  expect([(await tab.get(begun.at)).status, (await tab.post(`${begun.at}/deny`, {})).status]).toEqual([503, 503])
  expect([(await exchange(s, client, code)).status, (await refresh(s, client, token)).status]).toEqual([503, 503])
  // Back again, nothing is lost.
  await rename(`${s.home}/elsewhere`, `${s.home}/store.db`)
  expect([(await exchange(s, client, code)).status, (await tab.get(begun.at)).status]).toEqual([200, 200])
})

test('logins that are begun and left take turns: one address fills no store, and hears when to try again', async () => {
  const s = await secured({ durable: true })
  const client = await registered(s)
  const answers = []
  for (let nth = 0; nth < 40; nth++) answers.push(await ask(authorizeUrl(s, client, { state: 'x'.repeat(2000) })))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303, 429]))
  const begun = answers.filter(({ status }) => status === 303).length
  const [late] = answers.filter(({ status }) => status === 429)
  expect(Number(late?.headers['retry-after'])).toBeGreaterThan(0)
  expect(late?.text).toContain('<code>too_many_requests</code>')
  const rows = await (await s.otherProcess()).list('login')
  expect(rows).toHaveLength(begun)
  for (const { value } of rows) expect(value.length).toBeLessThan(6000)
  s.pass(60)
  expect((await ask(authorizeUrl(s, client))).status).toBe(303)
})

test('nothing is said on stdout or stderr by what answers logins', async () => {
  const said = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => vi.spyOn(console, name).mockImplementation(() => {}))
  const who = keyProver()
  const s = await secured({ trusted: [who.did] })
  const client = await registered(s)
  const { refresh: token } = tokensIn(await exchange(s, client, await codeFor(s, who, client)))
  await refresh(s, client, token)
  await ask(authorizeUrl(s, client, { redirect_uri: 'https://evil.example' }))
  for (const spy of said) {
    expect(spy.mock.calls).toEqual([])
    spy.mockRestore()
  }
})
