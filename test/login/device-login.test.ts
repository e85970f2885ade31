import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { deviceLogin, type DeviceInvitation, type DeviceLoginOptions } from '../../src/login/device-login.ts'
import type { Login } from '../../src/login/login.ts'
import { forThisTest } from '../support/tidy.ts'
import { send } from './little-issuer.ts'
import { littleLogin, type LittleLogin, type WrongLogin } from './little-login.ts'
import { refusalOf } from './refusal.ts'

interface Stage {
  issuer: LittleLogin
  invited: DeviceInvitation[]
  /** Milliseconds of each wait. */
  waits: number[]
  made: Promise<Login>
}

const OFFERED = (origin: string): object => ({ device_authorization_endpoint: `${origin}/device_authorization` })

/** The person allows it before the third question. */
async function staged(wrong: WrongLogin = {}, more: Partial<DeviceLoginOptions> = {}): Promise<Stage> {
  const issuer = await forThisTest(littleLogin({ server: OFFERED, ...wrong }))
  const invited: DeviceInvitation[] = []
  const waits: number[] = []
  const made = deviceLogin({
    resource: issuer.resource,
    client: {},
    bound: false,
    fetch: globalThis.fetch,
    now: () => 1_000_000,
    signal: new AbortController().signal,
    show: (invitation) => void invited.push(invitation),
    async sleep(ms) {
      waits.push(ms)
      if (waits.length === 3) issuer.allowDevice(invited[0]?.code ?? '')
    },
    ...more,
  })
  return { issuer, invited, waits, made }
}

describe('a login at another device', () => {
  test('shows where to go and what to type there, asks after it, and leaves a login', async () => {
    const { issuer, invited, waits, made } = await staged()
    expect(await made).toMatchObject({
      address: issuer.resource.href,
      issuer: issuer.origin,
      refreshToken: expect.any(String),
      scope: 'mcp',
      client: { id: 'client-1' },
    })
    expect(invited).toEqual([{ issuer: issuer.origin, url: new URL('/device', issuer.origin), code: 'WXYZ-1' }])
    expect(waits).toEqual([5000, 5000, 5000])
    expect(issuer.registrations).toMatchObject([{ grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'], redirect_uris: [] }])
    expect(issuer.forms).toHaveLength(3)
    for (const form of issuer.forms) expect(form).toMatchObject({ client_id: 'client-1', device_code: 'device-1-canary', resource: `${issuer.origin}/mcp` })
  })

  test('waits as long as it is told, and five seconds more from each time that was too soon', async () => {
    let count = 0
    const hurried = await staged({
      device: () => ({ interval: 9 }),
      token: (res) => (++count === 1 ? (send(res, 400, { error: 'slow_down' }), true) : undefined),
    })
    await hurried.made
    expect(hurried.waits).toEqual([9000, 14_000, 14_000])
  })

  test('outlives an issuer that is away for a moment, and not one that is gone', async () => {
    let count = 0
    const away = await staged({ token: (res) => (++count <= 2 ? (send(res, 503, {}), true) : undefined) })
    await away.made
    expect(away.waits).toEqual([5000, 10_000, 20_000])
    const gone = await staged({ token: (res) => (send(res, 503, {}), true) })
    expect((await refusalOf(gone.made)).message).toContain('cannot give tokens now (HTTP 503)')
    expect(gone.waits).toHaveLength(3)
  })

  test('names for the tokens what the person says', async () => {
    const { issuer, made } = await staged({ indicator: null }, { indicator: 'none' })
    expect(await made).toMatchObject({ indicator: 'none' })
    expect(issuer.forms.every((form) => form['resource'] === undefined)).toBe(true)
  })

  test('ends with its time', async () => {
    const ending = new AbortController()
    const { made } = await staged(
      {},
      { signal: ending.signal, sleep: (_ms, signal) => sleep(60_000, undefined, { signal }).catch(() => Promise.reject(signal.reason)) },
    )
    ending.abort(new Error('over'))
    await expect(made).rejects.toThrow('over')
  })

  test.each<[string, WrongLogin, string, number]>([
    ['an issuer without one', { server: () => ({}) }, 'has no login at another device (RFC 8628)', 0],
    ['an endpoint that is no page of the web', { server: () => ({ device_authorization_endpoint: 'file:///etc/passwd' }) }, 'is not reached over https', 0],
    ['a person who says no', { token: (res) => (send(res, 400, { error: 'access_denied' }), true) }, 'the login was refused at', 1],
    ['a code whose time is over', { token: (res) => (send(res, 400, { error: 'expired_token' }), true) }, 'nobody typed the code at', 1],
    [
      'a client that may not',
      { at: { '/device_authorization': (res) => send(res, 400, { error: 'unauthorized_client' }) } },
      'lets nobody log in at another device (unauthorized_client)',
      0,
    ],
    ['no code at all', { at: { '/device_authorization': (res) => send(res, 200, '<h1>canary</h1>') } }, 'answers with something that is no code', 0],
    ['a code that moves the cursor', { device: () => ({ user_code: '\u001b[2J' }) }, 'gives a code that nobody could type', 0],
    ...['file:///etc/passwd', 'javascript:alert(1)', '-version', 'http://10.0.0.1/', 'https://$(id).example/', 'https://u:p@h.example/', ''].map(
      (uri): [string, WrongLogin, string, number] => [`a page at ${uri}`, { device: () => ({ verification_uri: uri }) }, '', 0],
    ),
  ])('comes to nothing with %s', async (_what, wrong, words, shown) => {
    const { issuer, invited, made } = await staged(wrong)
    const refusal = await refusalOf(made)
    expect(refusal).toMatchObject({ code: 'login_failed', message: expect.stringContaining(words) })
    expect(invited).toHaveLength(shown)
    expect([refusal.message, refusal.hint, String(refusal.cause)].join()).not.toContain('canary')
    expect(issuer.tokensSeen.size).toBe(0)
  })

  test('has nothing in its page that a shell would read', async () => {
    const { invited, made } = await staged({ device: (origin) => ({ verification_uri: `${origin}/a;b$(c)?x="&calc&y=\`d\`#'z` }) })
    await made
    expect(invited[0]?.url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w./%?=&+*-]+$/)
  })
})
