// Where the programs of people have their answer sent: each registers that, and a browser that has approved goes there with a code.
import { describe, expect, test } from 'vitest'

import { authorizeUrl, exchange, registerAnswer, tokensIn } from '../oauth/browser/stage.ts'
import { logInByBrowser } from '../support/browser-login.ts'
import { bearer, secured, sessionWith } from '../support/secured.ts'
import { chromium, secretKey, SKIPPED, visits, wallet } from './visit.ts'

/** As they register, and what each then asks for: on loopback, the port that it got. */
const PROGRAMS: readonly (readonly [name: string, registered: readonly string[], asked: string])[] = [
  ['VS Code, by its website', ['https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'], 'https://vscode.dev/redirect'],
  ['VS Code, on its port', ['https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'], 'http://127.0.0.1:33418/'],
  ['VS Code, on any port', ['https://vscode.dev/redirect', 'http://127.0.0.1/', 'http://127.0.0.1:33418/'], 'http://127.0.0.1:9/'],
  ['Cursor', ['cursor://anysphere.cursor-mcp/oauth/callback'], 'cursor://anysphere.cursor-mcp/oauth/callback'],
  ['Claude', ['https://claude.ai/api/mcp/auth_callback'], 'https://claude.ai/api/mcp/auth_callback'],
  ['Claude, by its other name', ['https://claude.com/api/mcp/auth_callback'], 'https://claude.com/api/mcp/auth_callback'],
  ['Claude Code', ['http://localhost:3118/callback'], 'http://localhost:9/callback'],
  ['the Inspector', ['http://localhost:6274/oauth/callback'], 'http://localhost:6274/oauth/callback'],
  ['the CLI of the Inspector', ['http://127.0.0.1:6276/oauth/callback'], 'http://127.0.0.1:6276/oauth/callback'],
]

describe.skipIf(chromium.missing !== undefined)(`the way back to a program${SKIPPED}`, () => {
  const { browser } = visits()

  test.each(PROGRAMS)('%s gets its code there', async (name, uris, asked) => {
    const s = await secured({ trusted: [wallet.did] })
    const { status, json } = await registerAnswer(s, { client_name: name, redirect_uris: uris, token_endpoint_auth_method: 'none' })
    expect([status, json['redirect_uris']]).toEqual([201, uris])
    const client = String(json['client_id'])
    // Whoever listens on such a port of this machine by chance is not asked.
    const elsewhere = asked.startsWith('http:')
    const back = await logInByBrowser(authorizeUrl(s, client, { redirect_uri: asked }), { browser: browser(), wallet: { secretKey }, elsewhere })
    expect(back.href.startsWith(`${asked}?`)).toBe(true)
    expect(Object.fromEntries(back.searchParams)).toEqual({ code: expect.any(String), state: 'the-state', iss: s.base })
    const { access } = tokensIn(await exchange(s, client, back.searchParams.get('code') ?? '', { redirect_uri: asked }))
    await sessionWith(s, bearer(access))
    expect(s.reached().map(({ body }) => body['method'])).toEqual(['initialize', 'notifications/initialized'])
  })
})
