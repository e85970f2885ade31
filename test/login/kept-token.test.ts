import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeJwt } from 'jose'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCredential, type UpstreamCredential } from '../../src/login/credential.ts'
import { fetchWith } from '../../src/login/credential-fetch.ts'
import { keptToken } from '../../src/login/kept-token.ts'
import { logIn } from '../../src/login/log-in.ts'
import { createLogins, type Logins } from '../../src/login/logins.ts'
import { takeBack } from '../../src/login/take-back.ts'
import { createLog } from '../../src/observe/log.ts'
import { startProgram } from '../support/program.ts'
import type { OpenMcpError } from '../../src/errors.ts'
import { forThisTest } from '../support/tidy.ts'
import { ownDirectory, someLogin } from './kept.ts'
import { send } from './little-issuer.ts'
import { browse, littleLogin, type LittleLogin, type WrongLogin } from './little-login.ts'
import { refusalOf } from './refusal.ts'

interface Stage {
  issuer: LittleLogin
  logins: Logins
  directory: string
  clock: { ms: number }
  said: string[]
  credential: UpstreamCredential
  /** Another that holds the same logins. */
  another(): UpstreamCredential
  /** One request to the resource, as the ways out send it: its status. */
  call(credential?: UpstreamCredential): Promise<number>
}

/** Somebody has logged in. */
async function staged(wrong: WrongLogin = {}, { bound = false, isLoggedIn = true } = {}): Promise<Stage> {
  const issuer = await forThisTest(littleLogin(wrong))
  const directory = ownDirectory()
  const clock = { ms: Date.now() }
  const now = (): number => clock.ms
  const logins = createLogins({ directory, now })
  const said: string[] = []
  const log = createLog({ level: 'debug', format: 'text', write: (line) => said.push(line), now })
  const { resource } = issuer
  const another = (): UpstreamCredential => createCredential({ resource, source: keptToken({ logins, fetch: globalThis.fetch, now }), now, log })
  if (isLoggedIn) {
    const person = { show: ({ url }: { url: URL }) => void browse(url.href), onPasted: () => () => {}, tellWrong: () => {} }
    await logins.save(await logIn({ resource, client: {}, bound, person, fetch: globalThis.fetch, now, signal: new AbortController().signal }))
  }
  const credential = another()
  const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
  const call: Stage['call'] = async (by = credential) => (await fetchWith(by, globalThis.fetch)(resource, { method: 'POST', body: ping })).status
  return { issuer, logins, directory, clock, said, credential, another, call }
}

const refreshes = ({ issuer }: Stage): number => issuer.forms.filter((form) => form['grant_type'] === 'refresh_token').length

describe('an upstream that wants a login', () => {
  test('is shown the one that is kept when it asks, and not before', async () => {
    const stage = await staged()
    expect(await stage.credential.headers({ method: 'POST', url: stage.issuer.resource })).toEqual({})
    expect(await stage.call()).toBe(200)
    expect(await stage.call()).toBe(200)
    expect([...stage.issuer.tokensSeen]).toEqual(['access-2-canary'])
    expect(refreshes(stage)).toBe(0)
  })

  test('without one is refused in words that say what to type, and takes one that comes later', async () => {
    const stage = await staged({}, { isLoggedIn: false })
    await expect(stage.call()).rejects.toMatchObject({
      code: 'upstream_refused',
      message: `${stage.issuer.origin}/mcp wants a login (401), and there is none for it`,
      hint: expect.stringContaining(`openmcp login ${stage.issuer.origin}/mcp; or `),
    })
    expect(stage.issuer.asked.filter((line) => !line.endsWith(' /mcp'))).toEqual([])
  })

  test('has its token renewed beside the calls at 80 % of its life, and the new one is kept', async () => {
    const stage = await staged()
    await stage.call()
    stage.clock.ms += 2_879_000
    await stage.call()
    expect(refreshes(stage)).toBe(0)
    stage.clock.ms += 2000
    await stage.call()
    await expect.poll(() => refreshes(stage)).toBe(1)
    await expect
      .poll(async () => (await stage.logins.find(stage.issuer.resource))?.login)
      .toMatchObject({
        accessToken: 'access-3-canary',
        refreshToken: 'refresh-3-canary',
        expiresAtMs: stage.clock.ms + 3_600_000,
      })
    expect(stage.issuer.forms.at(-1)).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-2-canary',
      client_id: 'client-1',
      resource: stage.issuer.resource.href,
    })
  })

  test('has a token that was kept for long renewed when most of its life is over, not when most of the rest is', async () => {
    const stage = await staged()
    stage.clock.ms += 2_000_000
    await stage.call()
    expect(refreshes(stage)).toBe(0)
    stage.clock.ms += 1_000_000
    await stage.call()
    await expect.poll(() => refreshes(stage)).toBe(1)
  })

  test('has a token that is over renewed before the call', async () => {
    const stage = await staged()
    stage.issuer.expire()
    stage.clock.ms += 4_000_000
    expect(await Promise.all([stage.call(), stage.call(), stage.call()])).toEqual([200, 200, 200])
    expect([...stage.issuer.tokensSeen]).toEqual(['access-3-canary'])
    expect(refreshes(stage)).toBe(1)
  })

  test('that refuses its own token is shown another, once', async () => {
    const stage = await staged()
    stage.issuer.expire()
    expect(await stage.call()).toBe(200)
    expect(refreshes(stage)).toBe(1)
  })

  test('that refuses every token is not asked in a circle', async () => {
    const stage = await staged({ at: { '/mcp': (res) => send(res, 401, {}, { 'www-authenticate': 'Bearer' }) } }, { isLoggedIn: false })
    const login = { ...someLogin({ resource: stage.issuer.resource.href }), issuer: stage.issuer.origin, tokenEndpoint: `${stage.issuer.origin}/token` }
    await stage.logins.save({ ...login, obtainedAtMs: stage.clock.ms, expiresAtMs: undefined })
    await expect(stage.call()).rejects.toMatchObject({ code: 'login_failed' })
    expect(stage.issuer.asked.filter((line) => line === 'POST /mcp').length).toBeLessThanOrEqual(3)
    expect(refreshes(stage)).toBe(1)
  })

  test('and whose issuer renews no more: says so, and what to type', async () => {
    const stage = await staged()
    await stage.call()
    stage.issuer.expire()
    stage.issuer.forget()
    await expect(stage.call()).rejects.toMatchObject({
      code: 'login_failed',
      message: `the login for ${stage.issuer.origin}/mcp is over: ${stage.issuer.origin} does not renew it (invalid_grant: not [secret])`,
      hint: `openmcp login ${stage.issuer.origin}/mcp`,
    })
    stage.clock.ms += 10_000
    await expect(stage.call()).rejects.toMatchObject({ code: 'login_failed', hint: `openmcp login ${stage.issuer.origin}/mcp` })
    // What was refused is not shown twice.
    expect(refreshes(stage)).toBe(1)
  })

  test('and whose issuer gave nothing to renew it with: is called until its token is over', async () => {
    const stage = await staged({ refresh: 'none' })
    await stage.call()
    stage.clock.ms += 3_500_000
    expect(await stage.call()).toBe(200)
    stage.clock.ms += 200_000
    await expect(stage.call()).rejects.toMatchObject({ code: 'login_failed', hint: `openmcp login ${stage.issuer.origin}/mcp` })
    expect(refreshes(stage)).toBe(0)
  })

  test('and whose token has no known end: is called until it refuses', async () => {
    const stage = await staged({ lifeSeconds: null, refresh: 'none' })
    await stage.call()
    stage.clock.ms += 40 * 24 * 3_600_000
    expect(await stage.call()).toBe(200)
    stage.issuer.expire()
    await expect(stage.call()).rejects.toMatchObject({ code: 'login_failed' })
  })

  test('goes on with what it has while its issuer is away', async () => {
    let isAway = false
    const stage = await staged({ token: (res) => (isAway ? (send(res, 503, {}), true) : undefined) })
    await stage.call()
    isAway = true
    stage.clock.ms += 3_000_000
    expect(await stage.call()).toBe(200)
    await expect.poll(() => stage.said.join('')).toContain('the token for the upstream was not renewed')
    expect((await stage.logins.find(stage.issuer.resource))?.login.refreshToken).toBe('refresh-2-canary')
  })

  test('keeps its refresh token when its issuer gives no other', async () => {
    let isRenewing = false
    const stage = await staged({ token: (res) => (isRenewing ? (send(res, 200, { access_token: 'later', token_type: 'Bearer' }), true) : undefined) })
    isRenewing = true
    stage.clock.ms += 4_000_000
    await stage.call()
    expect((await stage.logins.find(stage.issuer.resource))?.login).toMatchObject({ accessToken: 'later', refreshToken: 'refresh-2-canary' })
  })

  test('shows a token bound to a key with a proof of that key, after another start too', async () => {
    const stage = await staged({ server: () => ({ dpop_signing_alg_values_supported: ['ES256'] }) }, { bound: true })
    const request = { method: 'POST', url: stage.issuer.resource }
    const refusal = { status: 401, challenge: 'DPoP', nonce: undefined, sent: {} }
    await stage.credential.refused(request, refusal)
    const headers = await stage.credential.headers(request)
    expect(headers).toMatchObject({ authorization: 'DPoP access-2-canary' })
    expect(decodeJwt(headers['dpop'] ?? '')).toMatchObject({ htm: 'POST', htu: stage.issuer.resource.href, ath: expect.any(String) })
  })

  test('has nothing of its tokens in the log', async () => {
    const stage = await staged()
    await stage.call()
    stage.clock.ms += 4_000_000
    stage.issuer.forget()
    await expect(stage.call()).rejects.toMatchObject({ code: 'login_failed' })
    expect(stage.said.join('')).not.toContain('canary')
  })
})

describe('an upstream that wants more than the login may do', () => {
  const tooLittle =
    (scope: string): NonNullable<WrongLogin['at']>[string] =>
    (res) =>
      send(res, 403, {}, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` })

  test('is refused in words that say which login may do both, and is asked once', async () => {
    const stage = await staged()
    await stage.call()
    const { message, hint, code } = await refusalIn(stage, tooLittle('files:write mcp'))
    expect(code).toBe('upstream_refused')
    expect(message).toContain('(403 insufficient_scope: files:write mcp)')
    expect(hint).toBe(`openmcp login ${stage.issuer.resource.href} --scope 'mcp files:write'`)
    expect(refreshes(stage)).toBe(0)
  })

  test('is shown a login that may do both as soon as there is one', async () => {
    const stage = await staged()
    await stage.call()
    const person = { show: ({ url }: { url: URL }) => void browse(url.href), onPasted: () => () => {}, tellWrong: () => {} }
    const { resource } = stage.issuer
    const options = { resource, client: {}, bound: false, scope: 'mcp more', fetch: globalThis.fetch, now: () => stage.clock.ms }
    await stage.logins.save(await logIn({ ...options, person, signal: new AbortController().signal }))
    const request = { method: 'POST', url: resource }
    const sent = await stage.credential.headers(request)
    const challenge = 'Bearer error="insufficient_scope", scope="more"'
    expect(await stage.credential.refused(request, { status: 403, challenge, nonce: undefined, sent })).toBe(true)
    const wider = await stage.credential.headers(request)
    expect(wider).not.toEqual(sent)
    const again = stage.credential.refused(request, { status: 403, challenge, nonce: undefined, sent: wider })
    expect((await refusalOf(again)).hint).toBe(`openmcp login ${resource.href} --scope 'mcp more'`)
    expect(refreshes(stage)).toBe(0)
  })

  test('puts none of its words into a shell of ours: what can be typed as it is comes into the hint, and nothing else', async () => {
    const stage = await staged()
    await stage.call()
    const { hint } = await refusalIn(stage, tooLittle("a'; $(id) ok `id` --x"))
    expect(hint).toBe(`openmcp login ${stage.issuer.resource.href} --scope 'mcp ok --x'`)
  })

  test('and has another reason, is passed on as it is', async () => {
    const stage = await staged()
    await stage.call()
    const answer = await fetchWith(stage.credential, () => Promise.resolve(new Response(null, { status: 403 })))(stage.issuer.resource, { method: 'POST' })
    expect(answer.status).toBe(403)
  })

  function refusalIn({ credential, issuer }: Stage, answer: NonNullable<WrongLogin['at']>[string]): Promise<OpenMcpError> {
    return forThisTest(littleLogin({ at: { '/mcp': answer } })).then((strict) =>
      refusalOf(fetchWith(credential, (_url, init) => fetch(strict.resource, init))(issuer.resource, { method: 'POST', body: '{}' })),
    )
  }
})

describe('of several that hold the same login', () => {
  test('one renews it, and the others take what it has got', async () => {
    const stage = await staged()
    const others = [stage.another(), stage.another(), stage.another()]
    await Promise.all(others.map(stage.call))
    stage.clock.ms += 4_000_000
    expect(await Promise.all(others.map(stage.call))).toEqual([200, 200, 200])
    expect(refreshes(stage)).toBe(1)
    expect((await stage.logins.find(stage.issuer.resource))?.login.refreshToken).toBe('refresh-3-canary')
  })

  test('one that is told so late takes what is kept by then', async () => {
    const stage = await staged()
    const [first, late] = [stage.another(), stage.another()]
    await Promise.all([stage.call(first), stage.call(late)])
    stage.issuer.expire()
    await stage.call(first)
    expect(await stage.call(late)).toBe(200)
    expect(refreshes(stage)).toBe(1)
  })

  describe('in processes of their own', () => {
    let racer: string
    beforeAll(async () => {
      const built = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url))
      mkdirSync(built, { recursive: true })
      racer = join(mkdtempSync(join(built, 'login-racer-')), 'racer.mjs')
      const bundle = await rolldown({ input: fileURLToPath(new URL('racer.ts', import.meta.url)), platform: 'node', external: [/^node:/] })
      await bundle.write({ file: racer, format: 'esm', codeSplitting: false })
      await bundle.close()
    })
    afterAll(() => rmSync(join(racer, '..'), { recursive: true }))

    test('one renews it: a refresh token is never shown twice', async () => {
      const wrong: WrongLogin = { lifeSeconds: 0 }
      const stage = await staged(wrong)
      wrong.lifeSeconds = 3600
      const racers = await Promise.all(
        [1, 2, 3, 4].map(() => forThisTest(startProgram(process.execPath, [racer, stage.directory, stage.issuer.resource.href]))),
      )
      await expect.poll(() => racers.map(({ stdout }) => stdout[0]), { timeout: 15_000 }).toEqual(['ready', 'ready', 'ready', 'ready'])
      for (const { write } of racers) write('go\n')
      await Promise.all(racers.map(({ ended }) => ended))
      expect(racers.map(({ stdout, stderr }) => [stdout[1], ...stderr])).toEqual(racers.map(() => ['access-3-canary']))
      expect(refreshes(stage)).toBe(1)
    })
  })
})

describe('a login that is taken back', () => {
  test('has both its tokens ended, the one that could renew it first', async () => {
    const { issuer, logins } = await staged()
    const { login } = (await logins.find(issuer.resource)) ?? {}
    if (!login) throw new Error('there is a login')
    expect(await takeBack(login, { fetch: globalThis.fetch })).toEqual({ done: true })
    expect(issuer.takenBack).toEqual([
      { token: 'refresh-2-canary', token_type_hint: 'refresh_token', client_id: 'client-1' },
      { token: 'access-2-canary', token_type_hint: 'access_token', client_id: 'client-1' },
    ])
  })

  test.each<[string, WrongLogin, string]>([
    ['there is nowhere to do so', { server: () => ({ revocation_endpoint: undefined }) }, 'does not take tokens back'],
    ['its issuer is broken', { at: { '/revoke': (res) => send(res, 500, 'canary') } }, 'did not take the tokens back'],
    [
      'its issuer refuses',
      { at: { '/revoke': (res) => send(res, 400, { error: 'invalid_client', error_description: 'canary' }) } },
      'did not take the tokens back',
    ],
    ['its issuer redirects', { at: { '/revoke': (res) => send(res, 307, {}, { location: '/elsewhere' }) } }, 'follows no redirect'],
  ])('is told not to be when %s', async (_what, wrong, words) => {
    const { issuer, logins } = await staged(wrong)
    const { login } = (await logins.find(issuer.resource)) ?? {}
    if (!login) throw new Error('there is a login')
    const ended = await takeBack(login, { fetch: globalThis.fetch })
    expect(ended).toEqual({ done: false, why: expect.stringContaining(words) })
    expect(JSON.stringify(ended)).not.toContain('canary')
    expect(issuer.asked).not.toContain('POST /elsewhere')
  })
})
