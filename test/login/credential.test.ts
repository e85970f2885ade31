import { decodeJwt } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { createCredential, type UpstreamCredential } from '../../src/login/credential.ts'
import { createDpopKey, type DpopKey } from '../../src/login/dpop-key.ts'
import { provenToken } from '../../src/login/proven-token.ts'
import { createLog } from '../../src/observe/log.ts'
import { forThisTest } from '../support/tidy.ts'
import { littleIssuer, send, type LittleIssuer, type Misbehaviour } from './little-issuer.ts'
import { testSigner, type TestSigner } from './signer.ts'

let signer: TestSigner
beforeAll(async () => {
  signer = await testSigner()
})

interface Stage {
  issuer: LittleIssuer
  credential: UpstreamCredential
  clock: { ms: number }
  said: string[]
  /** What a request to the resource would carry. */
  headers(): Promise<Readonly<Record<string, string>>>
  /** What becomes of a request that carried this and was answered 401. */
  refused(sent?: Readonly<Record<string, string>>, more?: { status?: number; challenge?: string; nonce?: string }): Promise<boolean>
}

async function staged(wrong: Misbehaviour = {}, dpop?: DpopKey): Promise<Stage> {
  const issuer = await forThisTest(littleIssuer(signer.publicKey, wrong))
  const clock = { ms: Date.now() }
  const said: string[] = []
  const now = (): number => clock.ms
  const log = createLog({ level: 'debug', format: 'text', write: (line) => said.push(line), now })
  const source = provenToken({ signer, dpop, fetch: globalThis.fetch, now })
  const credential = createCredential({ resource: issuer.resource, source, now, log })
  const request = { method: 'POST', url: issuer.resource }
  return {
    issuer,
    credential,
    clock,
    said,
    headers: () => credential.headers(request),
    refused: (sent = {}, { status = 401, challenge, nonce } = {}) => credential.refused(request, { status, challenge: challenge ?? 'Bearer', nonce, sent }),
  }
}

const logins = ({ issuer }: Stage): number => issuer.asked.filter((line) => line === 'POST /token').length

describe('a credential for an upstream', () => {
  test('is not shown to one that does not ask, and nobody is asked for one', async () => {
    const stage = await staged()
    expect(await stage.headers()).toEqual({})
    expect(stage.issuer.asked).toEqual([])
  })

  test('is obtained when it is wanted, and then goes with every request', async () => {
    const stage = await staged()
    expect(await stage.refused()).toBe(true)
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-1' })
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-1' })
    expect(logins(stage)).toBe(1)
  })

  test('goes to no other origin, and no other origin makes us ask for one', async () => {
    const { credential, refused } = await staged()
    await refused()
    const request = { method: 'POST', url: new URL('http://127.0.0.1:1/mcp') }
    expect(await credential.headers(request)).toEqual({})
    expect(await credential.refused(request, { status: 401, challenge: 'Bearer', nonce: undefined, sent: {} })).toBe(false)
  })

  test('is one for all that want it at once', async () => {
    const stage = await staged()
    expect(await Promise.all([stage.refused(), stage.refused(), stage.refused()])).toEqual([true, true, true])
    expect(logins(stage)).toBe(1)
  })

  test('is no answer to another refusal', async () => {
    const stage = await staged()
    expect(await stage.refused({}, { status: 407 })).toBe(false)
    expect(logins(stage)).toBe(0)
  })

  test('is renewed beside the calls when 80 % of its life are over', async () => {
    const stage = await staged()
    await stage.refused()
    stage.clock.ms += 719_000
    await stage.headers()
    expect(logins(stage)).toBe(1)
    stage.clock.ms += 2000
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-1' })
    await expect.poll(stage.headers).toEqual({ authorization: 'Bearer token-2' })
    expect(logins(stage)).toBe(2)
  })

  test('that has run out is renewed before the call', async () => {
    const stage = await staged()
    await stage.refused()
    stage.clock.ms += 901_000
    expect(await Promise.all([stage.headers(), stage.headers()])).toEqual([{ authorization: 'Bearer token-2' }, { authorization: 'Bearer token-2' }])
    expect(logins(stage)).toBe(2)
  })

  test('of a life that nobody told is taken for five minutes', async () => {
    const stage = await staged({ token: (res, count) => (send(res, 200, { access_token: `t${count}`, token_type: 'Bearer' }), true) })
    await stage.refused()
    stage.clock.ms += 299_000
    expect(await stage.headers()).toEqual({ authorization: 'Bearer t0' })
    stage.clock.ms += 2000
    expect(await stage.headers()).not.toEqual({ authorization: 'Bearer t0' })
  })

  test('that is refused is replaced, once for all that carried it', async () => {
    const stage = await staged()
    await stage.refused()
    const sent = await stage.headers()
    stage.clock.ms += 60_000
    expect(await Promise.all([stage.refused(sent), stage.refused(sent)])).toEqual([true, true])
    expect(await stage.refused(sent)).toBe(true)
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-2' })
    expect(logins(stage)).toBe(2)
  })

  test('that is refused as soon as it was given is replaced once, and not asked for in a circle', async () => {
    const stage = await staged()
    await stage.refused()
    expect(await stage.refused(await stage.headers())).toBe(true)
    await expect(stage.refused(await stage.headers())).rejects.toMatchObject({
      code: 'login_failed',
      message: expect.stringContaining('does not take the token'),
    })
    expect(logins(stage)).toBe(2)
  })

  test('that is refused to many calls as soon as it was given is replaced once for all of them', async () => {
    const stage = await staged()
    await stage.refused()
    const sent = await stage.headers()
    expect(await Promise.all([stage.refused(sent), stage.refused(sent), stage.refused(sent)])).toEqual([true, true, true])
    expect(logins(stage)).toBe(2)
  })

  test('that cannot be had is told as such, and not asked for again at once', async () => {
    const stage = await staged({ token: (res) => (send(res, 400, { error: 'invalid_grant' }), true) })
    await expect(stage.refused()).rejects.toMatchObject({ code: 'login_failed', hint: expect.stringContaining('openmcp trust add') })
    await expect(stage.refused()).rejects.toMatchObject({ code: 'login_failed' })
    expect(logins(stage)).toBe(1)
    stage.clock.ms += 1000
    await expect(stage.refused()).rejects.toMatchObject({ code: 'login_failed' })
    expect(logins(stage)).toBe(2)
    expect(await stage.headers()).toEqual({})
  })

  test('that cannot be renewed goes on while it lives, and the log says why', async () => {
    const stage = await staged({ token: (res, count) => (count > 0 ? (send(res, 503, { error: 'temporarily_unavailable' }), true) : undefined) })
    await stage.refused()
    stage.clock.ms += 800_000
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-1' })
    await expect.poll(() => stage.said.join('')).toContain('warning: the token for the upstream was not renewed: ')
    expect(await stage.headers()).toEqual({ authorization: 'Bearer token-1' })
    expect(logins(stage)).toBe(2)
    stage.clock.ms += 200_000
    await expect(stage.headers()).rejects.toMatchObject({ code: 'login_failed' })
  })

  test('is in no line of the log', async () => {
    const stage = await staged()
    await stage.refused()
    await stage.headers()
    expect(stage.said.join('')).toContain('there is a token of')
    expect(stage.said.join('')).not.toContain('token-1')
  })
})

describe('a credential that is bound to a key', () => {
  const bound = async (): Promise<Stage> => staged({}, await createDpopKey({ now: Date.now }))

  test('carries a proof of its own for every request', async () => {
    const stage = await bound()
    await stage.refused()
    const [one, other] = [await stage.headers(), await stage.headers()]
    expect(one).toMatchObject({ authorization: 'DPoP token-1' })
    const claims = [one, other].map((headers) => decodeJwt(headers['dpop'] ?? ''))
    expect(claims).toMatchObject([
      { htm: 'POST', htu: stage.issuer.resource.href, ath: expect.any(String) },
      { htm: 'POST', htu: stage.issuer.resource.href },
    ])
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(2)
  })

  test('takes the nonce that the resource wants, without a new login', async () => {
    const stage = await bound()
    await stage.refused()
    const sent = await stage.headers()
    expect(await stage.refused(sent, { challenge: 'DPoP error="use_dpop_nonce"', nonce: 'n1' })).toBe(true)
    expect(decodeJwt((await stage.headers())['dpop'] ?? '')).toMatchObject({ nonce: 'n1' })
    expect(logins(stage)).toBe(1)
  })
})
