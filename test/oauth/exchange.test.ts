// RFC 8693: somebody acts for somebody else, and may never more than each of them.
import * as fc from 'fast-check'
import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'

import { addTrust, removeTrust } from '../../src/policy/rules.ts'
import { covers } from '../../src/policy/scopes.ts'
import { didHost } from '../support/did-host.ts'
import { assertionClaims, holder, proofKey, type Holder, type ProofKey, type Signer } from '../support/did.ts'
import { at, type Json } from '../support/json.ts'
import { callMessage, initializeMessage } from '../support/openmcp.ts'
import { CLIENT_ASSERTION, bearer, secured, sessionWith, type Secured } from '../support/secured.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { ask, type Answer } from '../support/wire.ts'
import { nodeSigner } from '../security/node-signer.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

interface How {
  actor?: Pick<Signer, 'did' | 'sign'>
  form?: Readonly<Record<string, string>>
  key?: ProofKey
}

async function exchange(s: Secured, subject: string, { actor, form = {}, key }: How = {}): Promise<Answer> {
  const client: Record<string, string> = actor
    ? { client_assertion_type: CLIENT_ASSERTION, client_assertion: await actor.sign(assertionClaims(actor.did, s.base)) }
    : {}
  const proof: Record<string, string> = key ? { dpop: await key.proof({ method: 'POST', url: `${s.base}/token` }) } : {}
  return s.post('/token', { grant_type: EXCHANGE, subject_token: subject, subject_token_type: ACCESS_TOKEN, ...client, ...form }, proof)
}

async function exchanged(s: Secured, subject: string, how: How = {}): Promise<string> {
  const { status, json } = await exchange(s, subject, how)
  if (typeof json['access_token'] !== 'string') throw new Error(`no token: ${status} ${JSON.stringify(json)}`)
  return json['access_token']
}

/** Six who are trusted with everything. */
async function company(): Promise<{ s: Secured; all: readonly [Holder, Holder, Holder, Holder, Holder, Holder] }> {
  const all = await Promise.all([holder(), holder(), holder(), holder(), holder(), holder()])
  return { s: await secured({ trusted: all.map(({ did }) => did) }), all }
}

async function statusWith(s: Secured, token: string): Promise<number> {
  const { status } = await ask(s.url, { headers: bearer(token), body: LIST })
  return status
}

test('an actor gets a token that names both, is for the same resource, and ends no later', async () => {
  const { s, all } = await company()
  const [ann, bot] = all
  const subject = await s.token(ann)
  s.pass(100)
  const answer = await exchange(s, subject, { actor: bot })
  expect(answer.json).toEqual({
    access_token: expect.any(String),
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    scope: 'mcp',
    issued_token_type: ACCESS_TOKEN,
  })
  const [before, after] = [decodeJwt(subject), decodeJwt(String(answer.json['access_token']))]
  expect(after).toMatchObject({ sub: ann.did, client_id: bot.did, act: { sub: bot.did }, aud: s.url.href, scope: 'mcp', exp: before.exp })
  expect(answer.json['expires_in']).toBeLessThanOrEqual(800)
  expect(after.jti).not.toBe(before.jti)
  expect(await statusWith(s, String(answer.json['access_token']))).toBe(200)
})

test('an actor may show a token of its own instead', async () => {
  const { s, all } = await company()
  const [ann, bot, other] = all
  const form = { actor_token: await s.token(bot), actor_token_type: ACCESS_TOKEN }
  expect(decodeJwt(await exchanged(s, await s.token(ann), { form }))).toMatchObject({ sub: ann.did, act: { sub: bot.did } })
  expect((await exchange(s, await s.token(ann), { form, actor: other })).json['error']).toBe('invalid_grant')
  const delegated = await exchanged(s, await s.token(other), { actor: bot })
  expect((await exchange(s, await s.token(ann), { form: { ...form, actor_token: delegated } })).json['error']).toBe('invalid_grant')
  expect((await exchange(s, await s.token(ann), { form: { ...form, actor_token: 'garbage' } })).json['error']).toBe('invalid_grant')
})

test('an actor that proves nothing makes no token, even where everybody is trusted', async () => {
  const [ann, bot] = [await holder(), await holder()]
  const s = await secured({ trusted: ['any'] })
  const subject = await s.token(ann)
  const revoked = await s.token(bot)
  await s.post('/revoke', { token: revoked })
  for (const token of ['garbage', revoked, await bot.sign(assertionClaims(bot.did, s.base))]) {
    const { status, json } = await exchange(s, subject, { form: { actor_token: token, actor_token_type: ACCESS_TOKEN } })
    expect([status, json['error']]).toEqual([400, 'invalid_grant'])
  }
})

test('the token of an actor that was taken back takes back what was made with it', async () => {
  const { s, all } = await company()
  const [ann, bot] = all
  const actorToken = await s.token(bot)
  const delegated = await exchanged(s, await s.token(ann), { form: { actor_token: actorToken, actor_token_type: ACCESS_TOKEN } })
  expect(await statusWith(s, delegated)).toBe(200)
  await s.post('/revoke', { token: actorToken })
  expect(await statusWith(s, delegated)).toBe(401)
})

test('whoever holds a bearer token and does not say who they are gets nothing for it', async () => {
  const { s, all } = await company()
  const [ann] = all
  const answer = await exchange(s, await s.token(ann))
  expect([answer.status, answer.json['error']]).toEqual([401, 'invalid_client'])
})

test('a bound token is exchanged by its key alone, and stays bound', async () => {
  const { s, all } = await company()
  const [ann, bot] = all
  const [key, other] = [await proofKey(), await proofKey()]
  const bound = await s.token(ann, { key })
  expect((await exchange(s, bound, { actor: bot })).json['error']).toBe('invalid_grant')
  expect((await exchange(s, bound, { actor: bot, key: other })).json['error']).toBe('invalid_grant')
  const narrower = await exchange(s, bound, { key, form: { scope: 'mcp:tools' } })
  expect(narrower.json).toMatchObject({ token_type: 'DPoP', scope: 'mcp:tools' })
  expect(decodeJwt(String(narrower.json['access_token']))).toMatchObject({ sub: ann.did, cnf: { jkt: key.jkt } })
  expect(decodeJwt(String(narrower.json['access_token']))).not.toHaveProperty('act')
})

test('actors nest, the one that calls first, four deep and no deeper', async () => {
  const { s, all } = await company()
  const [ann, ...bots] = all
  let token = await s.token(ann)
  for (const bot of bots.slice(0, 4)) token = await exchanged(s, token, { actor: bot })
  const [a, b, c, d] = bots.map(({ did }) => did)
  expect(decodeJwt(token)).toMatchObject({ sub: ann.did, act: { sub: d, act: { sub: c, act: { sub: b, act: { sub: a } } } } })
  expect(await statusWith(s, token)).toBe(200)
  const fifth = await exchange(s, token, { actor: bots[4] })
  expect([fifth.status, fifth.json['error']]).toEqual([400, 'invalid_request'])
  // Whoever calls already is not named twice.
  expect(decodeJwt(await exchanged(s, token, { actor: bots[3] }))['act']).toEqual(decodeJwt(token)['act'])
})

describe('a token ends with each of those it was made from and for', () => {
  test('when the subject token is taken back', async () => {
    const { s, all } = await company()
    const [ann, bot, sub] = all
    const subject = await s.token(ann)
    const first = await exchanged(s, subject, { actor: bot })
    const second = await exchanged(s, first, { actor: sub })
    expect([await statusWith(s, first), await statusWith(s, second)]).toEqual([200, 200])
    await s.post('/revoke', { token: subject })
    expect([await statusWith(s, first), await statusWith(s, second)]).toEqual([401, 401])
  })

  test('but not the other way round', async () => {
    const { s, all } = await company()
    const [ann, bot] = all
    const subject = await s.token(ann)
    await s.post('/revoke', { token: await exchanged(s, subject, { actor: bot }) })
    expect(await statusWith(s, subject)).toBe(200)
  })

  test('when an actor in the middle is trusted no more', async () => {
    const [ann, bot, sub] = await Promise.all([holder(), holder(), holder()])
    const s = await secured({ durable: true, trusted: [ann.did, sub.did] })
    const store = await s.otherProcess()
    await addTrust(store, { id: bot.did })
    const first = await until('trust to be heard of', async () => {
      const { json } = await exchange(s, await s.token(ann), { actor: bot })
      return typeof json['access_token'] === 'string' && json['access_token']
    })
    const second = await exchanged(s, first, { actor: sub })
    expect(await statusWith(s, second)).toBe(200)
    await removeTrust(store, bot.did)
    // What is in flight just then is cut.
    const isRefused = async (token: string): Promise<boolean> => (await statusWith(s, token).catch(() => 0)) === 401
    await until('the end of both', async () => (await isRefused(first)) && (await isRefused(second)))
    expect((await exchange(s, second, { actor: sub })).json['error']).toBe('invalid_grant')
  })

  test('at the time the first one ends', async () => {
    const { s, all } = await company()
    const [ann, bot] = all
    const subject = await s.token(ann)
    s.pass(890)
    const last = await exchange(s, subject, {
      actor: { ...bot, sign: (claims) => bot.sign({ ...claims, exp: Number(claims['exp']) + 890, iat: Number(claims['iat']) + 890 }) },
    })
    expect(last.json['expires_in']).toBeLessThanOrEqual(10)
    s.pass(11)
    expect(await statusWith(s, String(last.json['access_token']))).toBe(401)
  })

  test('an actor whose document is gone makes no token', async () => {
    const host = await forThisTest(didHost())
    const [ann, bot, sub] = [await holder(), host.identity('bot'), await holder()]
    const s = await secured({ trusted: [ann.did, bot.did, sub.did] })
    const delegated = await exchanged(s, await s.token(ann), { actor: bot })
    host.host('bot', 410)
    s.pass(61)
    const later = {
      ...sub,
      sign: (claims: Parameters<typeof sub.sign>[0]) => sub.sign({ ...claims, iat: Number(claims['iat']) + 61, exp: Number(claims['exp']) + 61 }),
    }
    expect((await exchange(s, delegated, { actor: later })).json['error']).toBe('invalid_grant')
  })
})

describe('narrower only', () => {
  test('more scopes than the token has are refused, whatever the actor may', async () => {
    const { s, all } = await company()
    const [ann, bot] = all
    const tools = await s.token(ann, { form: { scope: 'mcp:tools' } })
    for (const scope of ['mcp', 'mcp:resources', 'mcp:tools mcp:prompts', 'introspect']) {
      expect([scope, (await exchange(s, tools, { actor: bot, form: { scope } })).json['error']]).toEqual([scope, 'invalid_scope'])
    }
    expect(decodeJwt(await exchanged(s, tools, { actor: bot }))['scope']).toBe('mcp:tools')
    expect(decodeJwt(await exchanged(s, await s.token(ann), { actor: bot, form: { scope: 'mcp:prompts' } }))['scope']).toBe('mcp:prompts')
  })

  test('an actor with less makes less of it, in scopes and in tools', async () => {
    const [ann, bot] = [await holder(), await holder()]
    const s = await secured({ trusted: [ann.did, { id: bot.did, scopes: ['mcp:tools'], tools: ['echo'] }] })
    const delegated = await exchanged(s, await s.token(ann), { actor: bot })
    expect(decodeJwt(delegated)['scope']).toBe('mcp:tools')
    const headers = { ...bearer(delegated), 'mcp-session-id': await sessionWith(s, bearer(delegated)) }
    const listed = await ask(s.url, { headers, body: LIST })
    expect([listed.text.includes('echo'), listed.text.includes('secret')]).toEqual([true, false])
    expect(at((await ask(s.url, { headers, body: callMessage(2, 'secret') })).json, 'error', 'code')).toBe(-32602)
    expect((await ask(s.url, { headers, body: { ...LIST, method: 'prompts/list' } })).status).toBe(403)
  })

  test('another resource is refused', async () => {
    const { s, all } = await company()
    const [ann, bot] = all
    const subject = await s.token(ann)
    for (const name of ['resource', 'audience']) {
      for (const resource of [`${s.base}/sse`, s.base, 'https://other.example/mcp']) {
        expect((await exchange(s, subject, { actor: bot, form: { [name]: resource } })).json['error']).toBe('invalid_target')
      }
      expect((await exchange(s, subject, { actor: bot, form: { [name]: s.url.href } })).status).toBe(200)
    }
  })

  test('scopes never widen along any chain of exchanges', async () => {
    const some = fc.subarray(['mcp', 'mcp:tools', 'mcp:resources', 'mcp:prompts', 'introspect'], { minLength: 1 })
    const much = fc.oneof(some, fc.constant(['mcp', 'introspect']))
    const steps = fc.array(fc.tuple(fc.nat(2), fc.option(some)), { minLength: 1, maxLength: 6 })
    let made = 0
    await fc.assert(
      fc.asyncProperty(fc.tuple(much, much, much), steps, async (given, chain) => {
        const all = await Promise.all(given.map(async (scopes) => ({ who: await holder(), scopes })))
        const s = await secured({ trusted: all.map(({ who, scopes }) => ({ id: who.did, scopes })) })
        const [first] = all
        if (!first) throw new Error('there are three')
        let token = await s.token(first.who, { form: { scope: first.scopes.join(' ') } })
        const limits = [first.scopes]
        for (const [index, scopes] of chain) {
          const actor = all[index]
          // What is refused changes nothing, and the next one tries.
          const next = actor && (await exchanged(s, token, { actor: actor.who, ...(scopes && { form: { scope: scopes.join(' ') } }) }).catch(() => undefined))
          if (next === undefined) continue
          limits.push(actor?.scopes ?? [], scopesOf(token))
          token = next
          made += 1
        }
        await s.stop()
        return scopesOf(token).every((scope) => limits.every((most) => covers(most, scope)))
      }),
      { numRuns: 40 },
    )
    expect(made).toBeGreaterThan(40)
  })
})

function scopesOf(token: string): string[] {
  return String(decodeJwt(token)['scope']).split(' ')
}

test('types that are none of ours, and what is missing, are refused', async () => {
  const { s, all } = await company()
  const [ann, bot] = all
  const subject = await s.token(ann)
  const forms: Record<string, string>[] = [
    { subject_token: '' },
    { subject_token_type: '' },
    { subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' },
    { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
    { actor_token: subject },
    { actor_token: subject, actor_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
  ]
  for (const form of forms) expect([form, (await exchange(s, subject, { actor: bot, form })).json['error']]).toEqual([form, 'invalid_request'])
  expect((await exchange(s, subject, { actor: bot, form: { requested_token_type: ACCESS_TOKEN } })).status).toBe(200)
})

test('a token that does not hold is exchanged for nothing', async () => {
  const { s, all } = await company()
  const [ann, bot] = all
  const neighbour = await secured({ trusted: [ann.did] })
  const revoked = await s.token(ann)
  await s.post('/revoke', { token: revoked })
  const assertion = await ann.sign(assertionClaims(ann.did, s.base))
  for (const token of ['garbage', revoked, await neighbour.token(ann), assertion]) {
    expect((await exchange(s, token, { actor: bot })).json['error']).toBe('invalid_grant')
  }
})

test('sessions of a delegate belong to the delegation, not to either of the two', async () => {
  const { s, all } = await company()
  const [ann, bot, other] = all
  const [own, delegated] = [await s.token(ann), await exchanged(s, await s.token(ann), { actor: bot })]
  const foreign = [await s.token(bot), await exchanged(s, await s.token(ann), { actor: other }), delegated]
  const id = await sessionWith(s, bearer(own))
  for (const token of foreign) expect((await ask(s.url, { headers: { ...bearer(token), 'mcp-session-id': id }, body: LIST })).status).toBe(404)
  const delegates = await sessionWith(s, bearer(delegated))
  expect((await ask(s.url, { headers: { ...bearer(own), 'mcp-session-id': delegates }, body: LIST })).status).toBe(404)
  expect((await ask(s.url, { headers: bearer(own), body: initializeMessage(1) })).status).toBe(200)
})

test('a token of ours with actors that are not as we write them is none, even where everybody is trusted', async () => {
  const [ann, bot] = [await holder(), await holder()]
  const s = await secured({ trusted: ['any'] })
  const node = await nodeSigner(s)
  const deep = (depth: number): Json => ({ sub: bot.did, ...(depth > 1 && { act: deep(depth - 1) }) })
  for (const act of [{}, { sub: '' }, { sub: 7 }, { sub: bot.did, act: {} }, { sub: bot.did, act: null }, 'x', [], [{ sub: bot.did }], null, deep(5)]) {
    expect([act, await statusWith(s, await node.token(ann.did, { act }))]).toEqual([act, 401])
  }
  for (const act of [undefined, deep(1), deep(4)]) expect(await statusWith(s, await node.token(ann.did, { act }))).toBe(200)
})
