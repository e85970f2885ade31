// Logins of callers' own at a server whose issuer is oidc-provider: what works, and what must not.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp.ts'
import { keyOf, walletProver, type Prover } from '../api-keys/stage.ts'
import { INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { agreed, allowed, begun, consentOf, logInAsOwn, proved, surfer } from '../support/own-login.ts'
import { ownStage, type OwnStage as Stage } from '../support/own-login-stage.ts'
import { bearer, type Secured } from '../support/secured.ts'
import { until } from '../support/until.ts'
import { testWallet } from '../support/wallet.ts'
import { ask, type Answer } from '../support/wire.ts'

const ANN = walletProver(testWallet())
const BOB = walletProver(testWallet())
const staged = (more: Parameters<typeof ownStage>[1] = {}): Promise<Stage> => ownStage([ANN.did, BOB.did], more)

async function keyFor(s: Secured, who: Prover): Promise<Readonly<Record<string, string>>> {
  return bearer((await keyOf(s, who)).secret)
}

async function opened(s: Stage, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return ask(new URL(`${s.base}/servers/far/mcp`), { headers, body: initializeMessage(1) })
}

/** Who the upstream says that the caller is. */
async function whoami(s: Stage, headers: Readonly<Record<string, string>>): Promise<string> {
  const url = new URL(`${s.base}/servers/far/mcp`)
  const answer = await opened(s, headers)
  const session = answer.headers['mcp-session-id']
  if (typeof session !== 'string') throw new Error(`no session: ${answer.status} ${answer.text}`)
  const inSession = { ...headers, 'mcp-session-id': session }
  await ask(url, { headers: inSession, body: INITIALIZED })
  const { text } = await ask(url, { headers: inSession, body: { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'whoami', arguments: {} } } })
  return /"text":"(\w+)"/.exec(text)?.[1] ?? text
}

async function statusOf(s: Stage, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return ask(new URL(`${s.base}/oauth/far/status`), { headers })
}

test('two callers log in in their browsers, and each is themselves there', async () => {
  const s = await staged()
  const [ann, bob] = await Promise.all([keyFor(s, ANN), keyFor(s, BOB)])
  expect(await logInAsOwn(s, surfer('amy'), 'far', ANN)).toMatchObject({ status: 200, text: expect.stringContaining('Your login is kept') })
  expect(await whoami(s, ann)).toBe('amy')
  expect(await whoami(s, bob)).toContain('wants a login of your own')
  expect(await logInAsOwn(s, surfer('ben'), 'far', BOB)).toMatchObject({ status: 200 })
  expect(await Promise.all([whoami(s, ann), whoami(s, bob)])).toEqual(['amy', 'ben'])
})

test('the page before the hop names the caller, the issuer and the server', async () => {
  const s = await staged()
  const { text } = await consentOf(s, surfer(), 'far', ANN)
  for (const name of [ANN.did, s.far.issuer, s.far.url.href, '<strong>far</strong>']) expect(text).toContain(name)
})

test('status and authorize say what mcpo says', async () => {
  const s = await staged()
  const ann = await keyFor(s, ANN)
  const before = await statusOf(s, ann)
  expect(before.json).toEqual({ authenticated: false, server: 'far', user_id: 'did:pkh:...', session_created: null, last_activity: null })
  const asked = await ask(new URL(`${s.base}/oauth/far/authorize`), { headers: ann })
  expect([asked.status, asked.json['error'], asked.json['server']]).toEqual([401, 'authentication_required', 'far'])
  await logInAsOwn(s, surfer(), 'far', ANN)
  await whoami(s, ann)
  const after = await statusOf(s, ann)
  expect(after.json).toMatchObject({ authenticated: true, session_created: expect.stringMatching(/^2.*Z$/), last_activity: expect.stringMatching(/^2.*Z$/) })
  expect((await ask(new URL(`${s.base}/oauth/far/authorize`), { headers: ann })).json).toMatchObject({ authenticated: true, server: 'far' })
})

test('where mcpo has the login of a server, a browser is sent on to it, and a stranger learns of no server by its name', async () => {
  const s = await staged()
  for (const name of ['far', 'none']) {
    const here = new URL(`${s.base}/${name}/login`)
    const { status, headers } = await ask(here)
    expect([status, new URL(headers.location ?? '', here).href]).toEqual([303, `${s.base}/oauth/${name}/authorize`])
  }
  expect((await ask(new URL(`${s.base}/%2e%2e/login`))).status).toBe(404)
})

test('what is kept is of one caller, for us alone to read', async () => {
  const s = await staged()
  await logInAsOwn(s, surfer(), 'far', ANN)
  await logInAsOwn(s, surfer(), 'far', BOB)
  const callers = join(s.directory, 'callers')
  const own = await readdir(callers)
  expect(own).toHaveLength(2)
  for (const each of own) {
    const files = await readdir(join(callers, each))
    expect(files).toHaveLength(1)
    const modes = [await stat(join(callers, each)), await stat(join(callers, each, files[0] ?? ''))].map(({ mode }) => mode & 0o777)
    expect(modes).toEqual([0o700, 0o600])
  }
})

describe('somebody else', () => {
  test('an attacker begins, and a victim who proves themselves gets nowhere: the browser is another', async () => {
    const s = await staged()
    const [attacker, victim] = [surfer('mallory'), surfer('amy')]
    // The victim is sent to the key page of a login that the attacker began.
    const started = await attacker.get(`${s.base}/oauth/far/authorize`)
    const { url } = await victim.follow(started.headers.location ?? '', ({ pathname }) => pathname === '/keys')
    const back = await proved(s, victim, { uid: url.searchParams.get('login') ?? '' }, ANN)
    expect(await victim.get(back)).toMatchObject({ status: 403, text: expect.stringContaining('Another browser') })
    expect(s.far.given).toEqual([])
  })

  test('an attacker begins, and a victim who logs in at the upstream leaves nothing with the attacker', async () => {
    const s = await staged()
    const [attacker, victim] = [surfer(), surfer('amy')]
    const issuer = await agreed(attacker, await consentOf(s, attacker, 'far', BOB))
    const back = await allowed(victim, issuer)
    expect(await victim.get(back)).toMatchObject({ status: 403 })
    expect(s.far.given).toEqual([])
    expect((await statusOf(s, await keyFor(s, BOB))).json['authenticated']).toBe(false)
  })

  test('a callback without a cookie does not end the login of who began it', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    expect((await surfer().get(back)).status).toBe(403)
    expect((await ann.get(back)).status).toBe(200)
  })

  test('a state comes back a second time for nothing', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    const cookies = new Map(ann.jar)
    expect((await ann.get(back)).status).toBe(200)
    for (const [name, value] of cookies) ann.jar.set(name, value)
    expect((await ann.get(back)).status).toBe(400)
    expect(s.far.given).toEqual(['authorization_code'])
    expect(s.far.refused).toEqual([])
  })

  test('a proof comes back a second time for nothing', async () => {
    const s = await staged()
    const ann = surfer()
    const back = await proved(s, ann, await begun(s, ann, 'far'), ANN)
    const cookies = new Map(ann.jar)
    expect((await ann.get(back)).status).toBe(303)
    for (const [name, value] of cookies) ann.jar.set(name, value)
    expect((await ann.get(back)).status).toBe(400)
  })

  test('after ten minutes nothing waits any more', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    s.pass(601)
    expect((await ann.get(back)).status).toBe(400)
    expect(s.far.given).toEqual([])
  })

  test('a login of one caller is nothing to another: not its state, not its use, not its end', async () => {
    const s = await staged()
    const [ann, bob] = await Promise.all([keyFor(s, ANN), keyFor(s, BOB)])
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    expect((await statusOf(s, bob)).json['authenticated']).toBe(false)
    expect((await ask(new URL(`${s.base}/oauth/far/forget`), { method: 'POST', headers: bob })).json).toMatchObject({ message: 'There was no login of yours' })
    expect((await statusOf(s, ann)).json['authenticated']).toBe(true)
    expect(await whoami(s, ann)).toBe('amy')
  })

  test('the session of one caller is none to another', async () => {
    const s = await staged()
    const [ann, bob] = await Promise.all([keyFor(s, ANN), keyFor(s, BOB)])
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    await logInAsOwn(s, surfer('ben'), 'far', BOB)
    const session = String((await opened(s, ann)).headers['mcp-session-id'])
    const { status } = await ask(new URL(`${s.base}/servers/far/mcp`), {
      headers: { ...bob, 'mcp-session-id': session },
      body: { jsonrpc: '2.0', id: 2, method: 'tools/list' },
    })
    expect(status).toBe(404)
  })

  test.each(['status', 'forget'])('without a credential %s is not answered', async (path) => {
    const s = await staged()
    const { status } = await ask(new URL(`${s.base}/oauth/far/${path}`), { method: path === 'status' ? 'GET' : 'POST' })
    expect(status).toBe(401)
  })

  test('a stranger learns of no server by its name', async () => {
    const s = await staged()
    for (const name of ['far', 'none']) expect((await surfer().get(`${s.base}/oauth/${name}/authorize`)).status).toBe(303)
    const ann = surfer()
    expect(await ann.get(await proved(s, ann, await begun(s, ann, 'none'), ANN))).toMatchObject({ status: 404 })
    expect((await ask(new URL(`${s.base}/oauth/none/status`), { headers: await keyFor(s, ANN) })).status).toBe(404)
  })

  test('whoever is not trusted any more is not let on', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    await s.configure({ identities: [{ id: BOB.did }], issuers: [], selfIssued: true })
    expect((await ann.get(back)).status).toBe(404)
    expect(s.far.given).toEqual([])
  })
})

describe('an answer of the issuer', () => {
  test('that names another issuer ends the login, and nothing is exchanged', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    back.searchParams.set('iss', 'https://evil.example')
    expect((await ann.get(back)).status).toBe(502)
    expect(s.far.given).toEqual([])
  })

  test('is echoed nowhere', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    back.searchParams.delete('code')
    back.searchParams.set('error', 'access_denied')
    back.searchParams.set('error_description', '<script>canary</script>')
    const { status, text } = await ann.get(back)
    expect([status, text]).toEqual([400, expect.stringContaining('Nothing was kept')])
    expect(text).not.toContain('canary')
  })

  test('comes back to the server that it was begun at, and to no other', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    expect((await ann.get(back.href.replace('/far/', '/other/'))).status).toBe(400)
  })
})

test('where a browser is sent back to is said by no Host header', async () => {
  const s = await staged()
  const ann = surfer()
  const issuer = await agreed(ann, await consentOf(s, ann, 'far', ANN))
  expect(issuer.searchParams.get('redirect_uri')).toBe(`${s.base}/oauth/far/callback`)
  expect(issuer.searchParams.get('code_challenge_method')).toBe('S256')
  const other = s.base.replace('127.0.0.1', 'localhost')
  const { headers } = await surfer().get(`${other}/oauth/far/authorize`)
  expect(headers.location).toBe(`${s.base}/oauth/far/authorize?again`)
})

test('below a prefix all of it is there', async () => {
  const s = await staged({ listen: { pathPrefix: '/x/y' } })
  expect((await logInAsOwn(s, surfer('amy'), 'far', ANN)).status).toBe(200)
  expect(await whoami(s, await keyFor(s, ANN))).toBe('amy')
})

test('behind a public URL the browser is kept to it, by a cookie that no other host can set', async () => {
  const publicUrl = new URL('https://mcp.example')
  const s = await staged({ listen: { publicUrl, allowHosts: [publicUrl.host] } })
  const begin = (host: string, query = ''): Promise<Answer> => ask(new URL(`${s.base}/oauth/far/authorize${query}`), { headers: { host } })
  const asked = await begin(publicUrl.host)
  const to = new URL(asked.headers.location ?? '')
  expect([to.origin, to.pathname, to.searchParams.get('redirect_uri')]).toEqual([publicUrl.origin, '/authorize', `${publicUrl.origin}/oauth/far/proved`])
  expect(asked.headers['set-cookie']).toEqual([expect.stringMatching(/^__Host-[\w-]+=[\w-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/)])
  // By another of our names it is sent to the one that people use, once.
  const { host } = new URL(s.base)
  expect((await begin(host)).headers.location).toBe(`${publicUrl.origin}/oauth/far/authorize?again`)
  expect((await begin(host, '?again')).status).toBe(400)
})

test('under a name to which no browser can be sent back, nobody is sent anywhere', async () => {
  const publicUrl = new URL('https://localhost:8443')
  const s = await staged({ listen: { publicUrl, allowHosts: [publicUrl.host] } })
  const answer = await ask(new URL(`${s.base}/oauth/far/authorize`), { headers: { host: publicUrl.host } })
  expect([answer.status, answer.headers['set-cookie'], answer.text]).toEqual([503, undefined, expect.stringContaining('--public-url')])
})

test('a login is renewed, once for all', async () => {
  const s = await staged()
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  expect(await whoami(s, ann)).toBe('amy')
  s.far.expire()
  expect(await Promise.all([whoami(s, ann), whoami(s, ann)])).toEqual(['amy', 'amy'])
  expect(s.far.given).toEqual(['authorization_code', 'refresh_token'])
  expect(s.far.revoked).toEqual([])
})

test('a login that lies idle for longer than the server allows is taken back, and nothing is sent with it', async () => {
  let later = 0
  const s = await staged({ own: { idleSeconds: 1800, now: () => Date.now() + later } })
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  for (let times = 0; times < 3; times++) {
    later += 1700_000
    expect(await whoami(s, ann)).toBe('amy')
  }
  const shown = s.far.tokens.size
  later += 1801_000
  expect(await whoami(s, ann)).toContain('wants a login of your own')
  expect((await statusOf(s, ann)).json['authenticated']).toBe(false)
  expect([s.far.tokens.size, s.far.revoked.length > 0]).toEqual([shown, true])
})

test('a login whose caller does not come back is taken back while others call, and theirs is not', async () => {
  let later = 0
  const s = await staged({ own: { idleSeconds: 1800, now: () => Date.now() + later } })
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  await logInAsOwn(s, surfer('ben'), 'far', BOB)
  later = 1000_000
  expect(await whoami(s, ann)).toBe('amy')
  later = 2000_000
  expect(await whoami(s, ann)).toBe('amy')
  const kept = async (): Promise<number> => (await Promise.all((await readdir(join(s.directory, 'callers'))).map(filesOf))).flat().length
  const filesOf = (own: string): Promise<string[]> => readdir(join(s.directory, 'callers', own))
  await until('one login less', async () => (await kept()) === 1)
  expect(s.far.revoked.length).toBeGreaterThan(0)
  expect(await whoami(s, ann)).toBe('amy')
})

test('a login that was made before this process began is idle since it was renewed last', async () => {
  let later = 0
  const s = await staged({ own: { idleSeconds: 1800, now: () => Date.now() + later } })
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  expect((await statusOf(s, ann)).json['authenticated']).toBe(true)
  later = 1801_000
  expect((await statusOf(s, ann)).json['authenticated']).toBe(false)
})

test('a caller who forgets a login has it taken back, and what was open with it ends', async () => {
  const s = await staged()
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  const session = String((await opened(s, ann)).headers['mcp-session-id'])
  const { json } = await ask(new URL(`${s.base}/oauth/far/forget`), { method: 'POST', headers: ann })
  expect(json).toEqual({ message: 'Your login was forgotten', authenticated: false, server: 'far' })
  const late = await ask(new URL(`${s.base}/servers/far/mcp`), {
    headers: { ...ann, 'mcp-session-id': session },
    body: { jsonrpc: '2.0', id: 2, method: 'tools/list' },
  })
  expect([late.status, late.text]).toEqual([200, expect.stringContaining('"tools":[]')])
  expect(await whoami(s, ann)).toContain('wants a login of your own')
  expect(s.far.revoked.length).toBeGreaterThan(0)
})

test('a new login takes the place of the old one, also in what is open', async () => {
  const s = await staged()
  const ann = await keyFor(s, ANN)
  await logInAsOwn(s, surfer('amy'), 'far', ANN)
  expect(await whoami(s, ann)).toBe('amy')
  await logInAsOwn(s, surfer('amelia'), 'far', ANN)
  expect(await whoami(s, ann)).toBe('amelia')
})

test('whoever says no is sent nowhere, and leaves nothing', async () => {
  const s = await staged()
  const ann = surfer()
  const { url, state } = await consentOf(s, ann, 'far', ANN)
  expect((await ann.form(url, { state, answer: 'no' })).status).toBe(400)
  expect((await ann.form(url, { state, answer: 'yes' })).status).toBe(400)
})

test('a key of the operator is nobody who could have a login', async () => {
  const key = 'k'.repeat(40)
  const s = await staged({ security: { apiKeys: [key] } })
  const { status, json } = await opened(s, bearer(key))
  expect([status, json]).toMatchObject([502, { error: { message: expect.stringContaining('nobody in particular') } }])
  expect((await ask(new URL(`${s.base}/servers/far/sse`), { headers: { ...bearer(key), accept: 'text/event-stream' } })).status).toBe(502)
  expect((await statusOf(s, bearer(key))).status).toBe(502)
  expect(s.far.tokens.size).toBe(0)
})

describe('whatever else is asked of the server', () => {
  test.each<[string, Partial<NamedServer>]>([
    ['one connection for each identity', { isolation: 'identity' }],
    ['no sessions', { stateless: true }],
  ])('with %s each caller is themselves', async (_how, server) => {
    const s = await staged({ server })
    const [ann, bob] = await Promise.all([keyFor(s, ANN), keyFor(s, BOB)])
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    await logInAsOwn(s, surfer('ben'), 'far', BOB)
    const url = new URL(`${s.base}/servers/far/mcp`)
    const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'whoami', arguments: {} } }
    const who = async (headers: Readonly<Record<string, string>>): Promise<string> =>
      server.stateless ? (/"text":"(\w+)"/.exec((await ask(url, { headers, body: call })).text)?.[1] ?? 'nobody') : whoami(s, headers)
    expect(await Promise.all([who(ann), who(bob), who(ann)])).toEqual(['amy', 'ben', 'amy'])
  })

  test('one connection for all is refused, and nothing is sent', async () => {
    const s = await staged({ server: { isolation: 'shared' } })
    expect((await opened(s, await keyFor(s, ANN))).json).toMatchObject({ error: { message: expect.stringContaining('cannot be one for all') } })
    expect(s.far.tokens.size).toBe(0)
  })

  test('among all servers as one, each caller has what they are logged in for', async () => {
    const s = await ownStage([ANN.did, BOB.did], { options: { target: undefined, aggregate: { name: 'all', version: '1' } } as object })
    const [ann, bob] = await Promise.all([keyFor(s, ANN), keyFor(s, BOB)])
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    const list = async (headers: Readonly<Record<string, string>>): Promise<string> => {
      const session = (await ask(s.url, { headers, body: initializeMessage(1) })).headers['mcp-session-id']
      const inSession = { ...headers, 'mcp-session-id': String(session) }
      await ask(s.url, { headers: inSession, body: INITIALIZED })
      return (await ask(s.url, { headers: inSession, body: { jsonrpc: '2.0', id: 2, method: 'tools/list' } })).text
    }
    expect(await list(ann)).toContain('whoami')
    expect(await list(bob)).not.toContain('whoami')
  })
})
