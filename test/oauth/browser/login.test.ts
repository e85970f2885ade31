// A person logs in through the browser, from the first redirect to a call of a tool.
import { describe, expect, test } from 'vitest'

import { keyProver, walletProver } from '../../api-keys/stage.ts'
import { bearer, secured, sessionWith } from '../../support/secured.ts'
import { testWallet } from '../../support/wallet.ts'
import { BACK, approve, begin, browser, exchange, refresh, registered, tokensIn } from './stage.ts'

describe.each([
  ['a wallet', '', () => walletProver(testWallet())],
  ['a key', '/below/it', () => keyProver('EdDSA')],
  ['a P-256 key', '', () => keyProver('ES256')],
] as const)('%s, with the path prefix "%s"', (_what, pathPrefix, prover) => {
  test('logs in: page, challenge, signature, code, token, call, refresh', async () => {
    const who = prover()
    const s = await secured({ trusted: [who.did], listen: { pathPrefix }, durable: true })
    const client = await registered(s, { client_name: 'A client <b>' })
    const tab = browser()
    const begun = await begin(s, tab, client)
    expect((await tab.get(begun.at)).json).toEqual({
      client: { name: 'A client <b>', id_host: null, vouched: false },
      redirect: { host: '127.0.0.1:9', loopback: true, ours: false },
      scopes: ['mcp'],
      resource: s.url.href,
      expires_at: expect.any(String),
    })
    const approved = await approve(tab, begun, who)
    expect([approved.status, approved.json]).toEqual([200, { redirect_to: `${s.base}/authorize/${begun.uid}` }])
    const back = new URL((await tab.get(String(approved.json['redirect_to']))).headers.location ?? 'none:')
    expect(`${back.origin}${back.pathname}`).toBe(BACK)
    expect(Object.fromEntries(back.searchParams)).toEqual({ code: expect.any(String), state: 'the-state', iss: s.base })
    const answer = await exchange(s, client, back.searchParams.get('code') ?? '')
    expect([answer.status, answer.json]).toEqual([
      200,
      { access_token: expect.any(String), token_type: 'Bearer', expires_in: 900, scope: 'mcp', refresh_token: expect.any(String) },
    ])
    const { access, refresh: refreshToken } = tokensIn(answer)
    await sessionWith(s, bearer(access))
    expect(s.reached().map(({ body }) => body['method'])).toEqual(['initialize', 'notifications/initialized'])
    const fresh = tokensIn(await refresh(s, client, refreshToken))
    expect(fresh.refresh).not.toBe(refreshToken)
    await sessionWith(s, bearer(fresh.access))
  })
})
