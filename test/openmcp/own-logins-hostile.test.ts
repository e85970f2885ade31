// Logins of callers' own against somebody who is a trusted caller, too, and against servers and issuers that mean harm.
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'

import { keyOf, walletProver, type Prover } from '../api-keys/stage.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { onLoopback } from '../support/loopback.ts'
import { oidcUpstream } from '../support/oidc-upstream.ts'
import { agreed, allowed, consentOf, logInAsOwn, proved, begun, surfer } from '../support/own-login.ts'
import { ownStage, type OwnStage } from '../support/own-login-stage.ts'
import { bearer } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { testWallet } from '../support/wallet.ts'
import { ask } from '../support/wire.ts'

const ANN = walletProver(testWallet())
const BOB = walletProver(testWallet())
const staged = (more: Parameters<typeof ownStage>[1] = {}): Promise<OwnStage> => ownStage([ANN.did, BOB.did], more)

async function isLoggedIn(s: OwnStage, who: Prover, server = 'far'): Promise<unknown> {
  const headers = bearer((await keyOf(s, who)).secret)
  return (await ask(new URL(`${s.base}/oauth/${server}/status`), { headers })).json['authenticated']
}

describe('one caller and another', () => {
  test('whoever leads another browser to their own callback gets nothing into it, and loses nothing of what waits there', async () => {
    const s = await staged()
    const [mallory, ann] = [surfer('mallory'), surfer('amy')]
    const theirs = await allowed(mallory, await agreed(mallory, await consentOf(s, mallory, 'far', BOB)))
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    expect(await ann.get(theirs)).toMatchObject({ status: 403, text: expect.stringContaining('Another browser') })
    expect(s.far.given).toEqual([])
    expect((await ann.get(back)).status).toBe(200)
    expect([await isLoggedIn(s, ANN), await isLoggedIn(s, BOB)]).toEqual([true, false])
  })

  test('whoever brings the code of another with their own state gets no login: it is bound to what was begun', async () => {
    const s = await staged()
    const [mallory, ann] = [surfer('mallory'), surfer('amy')]
    const hers = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    const theirs = await allowed(mallory, await agreed(mallory, await consentOf(s, mallory, 'far', BOB)))
    theirs.searchParams.set('code', hers.searchParams.get('code') ?? '')
    expect((await mallory.get(theirs)).status).toBe(502)
    expect([s.far.given, await isLoggedIn(s, BOB)]).toEqual([[], false])
  })

  test('whoever brings the proof of another with their own state proves nothing', async () => {
    const s = await staged()
    const [mallory, ann] = [surfer(), surfer()]
    const hers = await proved(s, ann, await begun(s, ann, 'far'), ANN)
    const theirs = await proved(s, mallory, await begun(s, mallory, 'far'), BOB)
    theirs.searchParams.set('code', hers.searchParams.get('code') ?? '')
    expect(await mallory.get(theirs)).toMatchObject({ status: 403, text: expect.stringContaining('Not proved') })
  })

  test('whoever has the cookie of another name of a login has none of it', async () => {
    const s = await staged()
    const [mallory, ann] = [surfer(), surfer()]
    const { url, state } = await consentOf(s, ann, 'far', ANN)
    await consentOf(s, mallory, 'far', BOB)
    // Every cookie they have, under the name that the other login has.
    const [name = ''] = [...ann.jar.keys()].filter((each) => !mallory.jar.has(each))
    for (const value of mallory.jar.values()) {
      mallory.jar.set(name, value)
      expect((await mallory.form(url, { state, answer: 'forget' })).status).toBe(403)
    }
    expect((await ann.form(url, { state, answer: 'no' })).status).toBe(400)
  })

  test('in two tabs of one browser two logins go on beside each other, each to its own end', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const [one, two] = [await consentOf(s, ann, 'far', ANN), await consentOf(s, ann, 'far', ANN)]
    const [first, second] = [await agreed(ann, one), await agreed(ann, two)]
    expect(first.searchParams.get('state')).not.toBe(second.searchParams.get('state'))
    expect(first.searchParams.get('code_challenge')).not.toBe(second.searchParams.get('code_challenge'))
    const [to, back] = [await allowed(ann, second), await allowed(ann, first)]
    expect((await ann.get(to)).status).toBe(200)
    expect((await ann.get(back)).status).toBe(200)
    expect(await isLoggedIn(s, ANN)).toBe(true)
  })

  test('who looks at the page before the hop again and again has nobody asked again and again', async () => {
    let asked = 0
    const counted: typeof fetch = (...request) => {
      asked++
      return fetch(...request)
    }
    const s = await staged({ own: { fetch: counted } })
    const ann = surfer()
    const { url, state } = await consentOf(s, ann, 'far', ANN)
    const before = asked
    for (let times = 0; times < 5; times++) expect((await ann.get(`${url.replace('/answer', '/consent')}?state=${state}`)).status).toBe(200)
    expect([asked, before > 0]).toEqual([before, true])
  })

  test('who answers one page twice at once is sent on once', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const { url, state } = await consentOf(s, ann, 'far', ANN)
    const answers = await Promise.all([ann.form(url, { state, answer: 'yes' }), ann.form(url, { state, answer: 'yes' })])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400]))
  })
})

describe('a name in the path', () => {
  test.each(['..%2f..%2ffar', '..%5c..', 'far%00', 'far%2f', '__proto__', 'constructor', 'FAR', 'far ', 'a'.repeat(300), '%ff'])(
    '%s is no server, and leaves nothing',
    async (name) => {
      const s = await staged()
      const headers = bearer((await keyOf(s, ANN)).secret)
      for (const [path, method] of [
        ['status', 'GET'],
        ['authorize', 'GET'],
        ['forget', 'POST'],
      ] as const) {
        expect((await ask(new URL(`${s.base}/oauth/${name}/${path}`), { method, headers })).status).toBeGreaterThanOrEqual(400)
      }
      const { status, headers: answered } = await surfer().get(`${s.base}/oauth/${name}/callback?code=x&state=y`)
      expect([status >= 400, answered.location]).toEqual([true, undefined])
      expect(await readdir(s.directory)).toEqual([])
    },
  )
})

describe('what a request says of us', () => {
  test.each([
    ['x-forwarded-host', 'evil.example'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-prefix', '//evil.example'],
    ['forwarded', 'host=evil.example;proto=https'],
    ['x-original-url', 'https://evil.example/'],
  ])('%s moves nobody', async (name, value) => {
    const s = await staged()
    const { headers } = await ask(new URL(`${s.base}/oauth/far/authorize`), { headers: { [name]: value } })
    const to = new URL(headers.location ?? '')
    expect([to.origin, to.searchParams.get('redirect_uri')]).toEqual([s.base, `${s.base}/oauth/far/proved`])
    const asked = await ask(new URL(`${s.base}/oauth/far/authorize`), { headers: { ...bearer((await keyOf(s, ANN)).secret), [name]: value } })
    expect(asked.json['authorization_url']).toBe(`${s.base}/oauth/far/authorize`)
  })

  test('nothing that is asked for with it leads anywhere else', async () => {
    const s = await staged()
    const away = 'https://evil.example/'
    const query = new URLSearchParams({ redirect_uri: away, next: away, return_to: away, issuer: away, resource: away })
    const { headers } = await surfer().get(`${s.base}/oauth/far/authorize?${query.toString()}`)
    expect(headers.location).not.toContain('evil.example')
  })
})

describe('a server', () => {
  test('that is another one by the time of the answer is not given what the first was let in with', async () => {
    const s = await staged()
    const other = await forThisTest(oidcUpstream())
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    await s.apply([s.serverAt(other.url)])
    expect((await ann.get(back)).status).toBe(502)
    expect([s.far.given, other.given, await isLoggedIn(s, ANN)]).toEqual([[], [], false])
  })

  test('that has another name by then is not found by the old one, and not logged in at by the new one', async () => {
    const s = await staged()
    const ann = surfer('amy')
    const back = await allowed(ann, await agreed(ann, await consentOf(s, ann, 'far', ANN)))
    await s.apply([s.serverAt(s.far.url, 'near')])
    expect((await ann.get(back.href.replace('/far/', '/near/'))).status).toBe(400)
    expect((await ann.get(back)).status).toBe(404)
    expect([s.far.given, await isLoggedIn(s, ANN, 'near')]).toEqual([[], false])
  })

  test('that takes the name of one where callers are logged in is shown no token of theirs', async () => {
    const s = await staged()
    const headers = bearer((await keyOf(s, ANN)).secret)
    await logInAsOwn(s, surfer('amy'), 'far', ANN)
    const seen: unknown[] = []
    const { host, stop } = await onLoopback(
      createServer((req, res) => {
        seen.push(req.headers.authorization)
        res.writeHead(404).end()
      }),
    )
    await forThisTest({ stop })
    await s.apply([s.serverAt(new URL(`http://${host}/mcp`))])
    await ask(new URL(`${s.base}/servers/far/mcp`), { headers, body: initializeMessage(1) })
    expect(await isLoggedIn(s, ANN)).toBe(false)
    expect(seen.filter(Boolean)).toEqual([])
  })

  test('whose issuer sends people to the issuer of another gets no code of that', async () => {
    // It is not told what the token is for: else it would refuse by that alone.
    const s = await staged({ own: { indicator: 'none' } })
    const forms: string[] = []
    const evil = await evilServer(s, forms)
    await s.apply([s.serverAt(s.far.url), s.serverAt(evil, 'evil')])
    const ann = surfer('amy')
    const consent = await consentOf(s, ann, 'evil', ANN)
    expect(consent.text).toContain(`<strong>${evil.origin}</strong> at <strong>${new URL(s.far.issuer).host}</strong>`)
    const issuer = await agreed(ann, consent)
    expect(issuer.href).toContain(s.far.issuer)
    const back = await allowed(ann, issuer)
    expect([back.pathname, back.searchParams.get('iss'), back.searchParams.has('code')]).toEqual(['/oauth/evil/callback', s.far.issuer, true])
    expect((await ann.get(back)).status).toBe(502)
    // Nor at the other, whose code it is.
    expect(forms).toEqual([])
    expect([await isLoggedIn(s, ANN), await isLoggedIn(s, ANN, 'evil')]).toEqual([false, false])
  })
})

/** A server and its issuer, which has registered itself at the issuer of another server for our callback, and sends people there. */
async function evilServer(s: OwnStage, forms: string[]): Promise<URL> {
  const registered = await fetch(`${s.far.issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: [`${s.base}/oauth/evil/callback`], application_type: 'native', token_endpoint_auth_method: 'none' }),
  })
  const client: unknown = await registered.json()
  let origin = ''
  const server = createServer((req, res) => {
    const answers: Readonly<Record<string, unknown>> = {
      '/.well-known/oauth-protected-resource/mcp': { resource: `${origin}/mcp`, authorization_servers: [origin] },
      '/.well-known/oauth-authorization-server': {
        issuer: origin,
        authorization_endpoint: `${s.far.issuer}/auth`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        code_challenge_methods_supported: ['S256'],
      },
      '/register': client,
    }
    const answer = answers[req.url ?? '']
    if (req.url === '/token') forms.push('a code')
    if (req.url === '/mcp') return void res.writeHead(401, { 'www-authenticate': 'Bearer scope="mcp"' }).end()
    res.writeHead(answer === undefined ? 404 : req.url === '/register' ? 201 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}))
  })
  const { host, stop } = await onLoopback(server)
  await forThisTest({ stop })
  origin = `http://${host}`
  return new URL(`${origin}/mcp`)
}
