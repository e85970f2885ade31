// The page of operations of a server at which each caller has a login of their own.
import { describe, expect, test } from 'vitest'

import { keyOf, walletProver } from '../api-keys/stage.ts'
import { ownStage } from '../support/own-login-stage.ts'
import { testWallet } from '../support/wallet.ts'
import { showKey } from './docs-stage.ts'
import { alertOn, chromium, SKIPPED, visits } from './visit.ts'

describe.skipIf(chromium.missing !== undefined)(`the page on which operations are tried${SKIPPED}`, () => {
  const { visit } = visits()

  test('says where the login is made that is missing there, and does not ask again who one is', async () => {
    const ann = walletProver(testWallet())
    const s = await ownStage([ann.did], { server: { openapi: {} } })
    const { page } = await visit(`${s.base}/far/docs`)
    await showKey(page, (await keyOf(s, ann)).secret)
    expect(await alertOn(page)).toBe(`the server far wants a login of your own: open ${s.base}/oauth/far/authorize in a browser, then try again.`)
    expect(s.far.tokens.size).toBe(0)
  })
})
