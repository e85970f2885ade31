// Users of an Open WebUI as callers: by its own seal, and by nothing that only looks like it.
import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { secondsNow } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { ownStage } from '../support/own-login-stage.ts'
import { agreed, allowed, surfer } from '../support/own-login.ts'
import { bearer, secured, type Secured } from '../support/secured.ts'
import { ask, type Answer } from '../support/wire.ts'

const SECRET = 'a key of an Open WebUI, long enough'
const ANN = '3f1e8a52-0000-4000-8000-000000000001'
const TRUSTED = ['open-webui|*']

function sealed(claims: Json = {}, { secret = SECRET, header = {} }: { secret?: string; header?: Json } = {}): string {
  const part = (value: Json): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part({ alg: 'HS256', typ: 'JWT', ...header })}.${part({ id: ANN, exp: secondsNow() + 3600, jti: 'one', ...claims })}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

async function statusWith(s: Secured, token: string): Promise<number> {
  return (await ask(s.url, { headers: bearer(token), body: initializeMessage(1) })).status
}

test('a user comes in where a rule says so, and at nobody else’s word', async () => {
  const s = await secured({ trusted: [`open-webui|${ANN}`], trust: { openWebUi: { secret: SECRET } } })
  expect(await statusWith(s, sealed())).toBe(200)
  expect(await statusWith(s, sealed({ id: 'another' }))).toBe(401)
})

test.each<[string, string]>([
  ['of another secret', sealed({}, { secret: 'x'.repeat(40) })],
  ['without a seal', `${sealed().split('.').slice(0, 2).join('.')}.`],
  ['with alg none', sealed({}, { header: { alg: 'none' } })],
  ['with another algorithm', sealed({}, { header: { alg: 'HS512' } })],
  ['with alg RS256 over the secret', sealed({}, { header: { alg: 'RS256' } })],
  ['whose name of the algorithm is spelled otherwise', sealed({}, { header: { alg: 'hs256' } })],
  ['with two algorithms', sealed({}, { header: { alg: ['HS256'] } })],
  ['of another kind', sealed({}, { header: { typ: 'at+jwt' } })],
  ['with a key of its own', sealed({}, { header: { jwk: { kty: 'oct', k: 'eA' } } })],
  ['that is over', sealed({ exp: secondsNow() - 120 })],
  ['without an end', sealed({ exp: undefined })],
  ['that lives a year', sealed({ exp: secondsNow() + 365 * 86_400 })],
  ['without a user', sealed({ id: undefined })],
  ['whose user is not named like one', sealed({ id: 'ann|bob' })],
  ['with an issuer', sealed({ iss: 'open-webui' })],
  ['with an empty issuer', sealed({ iss: '' })],
  ['that acts for somebody', sealed({ act: { sub: 'x' } })],
  ['bound to a key', sealed({ cnf: { jkt: 'x' } })],
])('a token %s lets nobody in', async (_which, token) => {
  const s = await secured({ trusted: TRUSTED, trust: { openWebUi: { secret: SECRET } } })
  expect(await statusWith(s, token)).toBe(401)
  expect(s.reached()).toEqual([])
})

test('without its secret nobody is believed, whatever the token says', async () => {
  const s = await secured({ trusted: TRUSTED })
  for (const token of [sealed(), sealed({}, { secret: '' }), sealed({}, { header: { alg: 'none' } })]) expect(await statusWith(s, token)).toBe(401)
})

test('when its word is taken no more, its users are out', async () => {
  const s = await secured({ trusted: TRUSTED, trust: { openWebUi: { secret: SECRET } } })
  const token = sealed()
  expect(await statusWith(s, token)).toBe(200)
  await s.configure({ identities: [{ id: 'open-webui|*' }], issuers: [], selfIssued: true })
  expect(await statusWith(s, token)).toBe(401)
})

describe('a login of their own', () => {
  const consentAt = async (base: string, jar: Readonly<Record<string, string>>): Promise<{ state: string; url: string; path: string }> => {
    const who = surfer('amy')
    for (const [name, value] of Object.entries(jar)) who.jar.set(name, value)
    const { url, answer } = await who.follow(`${base}/oauth/far/authorize`, ({ pathname }) => pathname === '/keys')
    const [, state = ''] = /name="state" value="([^"]+)"/.exec(answer?.text ?? '') ?? []
    return { state, url: url.href, path: url.pathname }
  }

  test('is begun by the cookie of an Open WebUI at this host, and used with its token', async () => {
    const s = await ownStage(TRUSTED, { trust: { openWebUi: { secret: SECRET, sameHost: true } } })
    const who = surfer('amy')
    who.jar.set('token', sealed())
    const { url, answer } = await who.follow(`${s.base}/oauth/far/authorize`)
    expect(answer?.text).toContain(`open-webui|${ANN}`)
    const [, state = ''] = /name="state" value="([^"]+)"/.exec(answer?.text ?? '') ?? []
    const back = await allowed(who, await agreed(who, { url: new URL('answer', url).href, state, text: '' }))
    expect((await who.get(back)).status).toBe(200)
    const status = await ask(new URL(`${s.base}/oauth/far/status`), { headers: bearer(sealed()) })
    expect(status.json).toMatchObject({ authenticated: true, server: 'far', user_id: 'open-web...' })
    const other = await ask(new URL(`${s.base}/oauth/far/status`), { headers: bearer(sealed({ id: 'another' })) })
    expect(other.json).toMatchObject({ authenticated: false })
  })

  test('is what its users call tools with by plain HTTP, each their own', async () => {
    const s = await ownStage(TRUSTED, { trust: { openWebUi: { secret: SECRET, sameHost: true } }, server: { openapi: {} } })
    const call = async (token: string): Promise<Answer> => ask(new URL(`${s.base}/far/whoami`), { headers: bearer(token), body: {} })
    const asked = await call(sealed())
    expect([asked.status, asked.json['detail']]).toMatchObject([401, { error: 'authentication_required', authorization_url: `${s.base}/oauth/far/authorize` }])
    const who = surfer('amy')
    who.jar.set('token', sealed())
    const { url, answer } = await who.follow(`${s.base}/oauth/far/authorize`)
    const [, state = ''] = /name="state" value="([^"]+)"/.exec(answer?.text ?? '') ?? []
    expect((await who.get(await allowed(who, await agreed(who, { url: new URL('answer', url).href, state, text: '' })))).status).toBe(200)
    expect((await call(sealed())).text).toBe('"amy"')
    for (const token of [sealed({ id: 'another' }), sealed({}, { header: { alg: 'none' } }), sealed({}, { secret: 'x'.repeat(40) })]) {
      expect((await call(token)).status).toBe(401)
    }
    expect(s.far.tokens.size).toBe(1)
  })

  test.each<[string, Readonly<Record<string, string>>, boolean]>([
    ['where it is served elsewhere', { token: sealed() }, false],
    ['with a cookie of another secret', { token: sealed({}, { secret: 'x'.repeat(40) }) }, true],
    ['with two cookies of that name', { token: `${sealed()}; token=${sealed({ id: 'mallory' })}` }, true],
  ])('is a matter of the key page %s', async (_where, jar, sameHost) => {
    const s = await ownStage(TRUSTED, { trust: { openWebUi: { secret: SECRET, sameHost } } })
    expect((await consentAt(s.base, jar)).path).toBe('/keys')
  })
})
