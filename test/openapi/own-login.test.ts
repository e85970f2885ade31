// Tools of a server at which each caller has a login of their own, by plain HTTP.
import { expect, test } from 'vitest'

import { keyOf, walletProver } from '../api-keys/stage.ts'
import { logInAsOwn, surfer } from '../support/own-login.ts'
import { ownStage } from '../support/own-login-stage.ts'
import { bearer } from '../support/secured.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'

test('a caller without a login there hears where to have one, nothing reaches the server, and with it the tool is called as they', async () => {
  const [ann, bob] = [walletProver(testWallet()), walletProver(testWallet())]
  const s = await ownStage([ann.did, bob.did], { server: { openapi: {} } })
  const [asAnn, asBob] = [bearer((await keyOf(s, ann)).secret), bearer((await keyOf(s, bob)).secret)]
  const url = `${s.base}/oauth/far/authorize`
  for (const [path, how] of [
    ['/servers/far/tools/whoami', { body: {} }],
    ['/far/whoami', { body: {} }],
    ['/servers/far/openapi.json', {}],
    ['/far/openapi.json', {}],
  ] as const) {
    const answer = await ask(new URL(s.base + path), { headers: asAnn, ...how })
    expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([path, 401, 'Bearer error="insufficient_user_authentication"'])
    expect(answer.json).toEqual({
      detail: {
        message: 'the server far wants a login of your own',
        code: 'login_needed',
        hint: `open ${url} in a browser, then try again`,
        server: 'far',
        data: { elicitations: [expect.objectContaining({ mode: 'url', url })] },
        error: 'authentication_required',
        authorization_url: url,
      },
    })
  }
  expect(s.far.tokens.size).toBe(0)

  await logInAsOwn(s, surfer('amy'), 'far', ann)
  expect((await ask(new URL(`${s.base}/far/whoami`), { headers: asAnn, body: {} })).text).toBe('"amy"')
  expect((await ask(new URL(`${s.base}/far/whoami`), { headers: asBob, body: {} })).status).toBe(401)

  // The session that stands ends with the login.
  await ask(new URL(`${s.base}/oauth/far/forget`), { method: 'POST', headers: asAnn })
  expect((await ask(new URL(`${s.base}/far/whoami`), { headers: asAnn, body: {} })).status).toBe(401)
})
