// The first minute of a node: one link, for one identity, once.
import { expect, test } from 'vitest'

import { listTrust } from '../../src/policy/rules.ts'
import { CLIENT_ASSERTION, JWT_BEARER, bearer, secured, type Secured } from '../support/secured.ts'
import { assertionClaims, holder, proofKey, secondsNow, type Holder } from '../support/did.ts'
import type { Json } from '../support/json.ts'
import { ask, type Answer } from '../support/wire.ts'

function secretOf({ enrolment }: Secured): string {
  const secret = /^#enrol=([\w-]{43})$/.exec(enrolment?.hash ?? '')?.[1]
  if (secret === undefined) throw new Error('there is a link')
  return secret
}

async function redeem(s: Secured, who: Holder, enrolment: string, claims: Json = {}): Promise<Answer> {
  return s.post('/token', { grant_type: JWT_BEARER, assertion: await who.sign(assertionClaims(who.did, s.base, claims)), enrolment })
}

test('a node that trusts nobody prints a link, whose secret no request line will hold', async () => {
  const s = await secured()
  expect(s.enrolment?.href).toBe(`${s.base}/keys#enrol=${secretOf(s)}`)
  expect(s.log.join('')).not.toContain(secretOf(s))
})

test('a node that trusts somebody, or has a key, prints none', async () => {
  const ann = await holder()
  expect((await secured({ trusted: [ann.did] })).enrolment).toBeUndefined()
  expect((await secured({ security: { apiKeys: ['k'.repeat(32)] } })).enrolment).toBeUndefined()
})

test('whoever redeems it is trusted from then on, and nobody after', async () => {
  const [ann, bob] = [await holder(), await holder()]
  const s = await secured()
  const secret = secretOf(s)
  const answer = await redeem(s, ann, secret)
  expect([answer.status, answer.json['scope']]).toEqual([200, 'mcp'])
  expect((await ask(s.url, { method: 'PUT', headers: bearer(String(answer.json['access_token'])) })).status).toBe(405)
  expect(await s.token(ann)).toMatch(/^ey/)
  for (const who of [bob, bob]) expect((await redeem(s, who, secret)).json['error']).toBe('invalid_grant')
  expect((await redeem(s, ann, secret)).status).toBe(200)
  expect(s.log.join('')).toContain(`trusted by the enrolment link id=${ann.did}`)
  expect(s.log.join('')).not.toContain(secret)
})

test('it is redeemed by private_key_jwt as well', async () => {
  const ann = await holder()
  const s = await secured()
  const client_assertion = await ann.sign(assertionClaims(ann.did, s.base))
  const form = { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion, enrolment: secretOf(s) }
  expect((await s.post('/token', form)).status).toBe(200)
})

test('of two that redeem it at once, one is trusted', async () => {
  for (const durable of [false, true]) {
    const s = await secured({ durable })
    const all = await Promise.all(Array.from({ length: 8 }, () => holder()))
    const secret = secretOf(s)
    const answers = await Promise.all(all.map((who) => redeem(s, who, secret)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ json }) => json['error'] === 'invalid_grant')).toHaveLength(7)
  }
})

test('it is good for fifteen minutes', async () => {
  const ann = await holder()
  const inTime = await secured()
  inTime.pass(14 * 60)
  const times = (seconds: number): Json => ({ iat: secondsNow() + seconds, exp: secondsNow() + seconds + 60 })
  expect((await redeem(inTime, ann, secretOf(inTime), times(14 * 60))).status).toBe(200)
  const late = await secured()
  late.pass(15 * 60 + 1)
  expect((await redeem(late, ann, secretOf(late), times(15 * 60 + 1))).json['error']).toBe('invalid_grant')
})

test('what proves nobody does not use it up, nor what is refused otherwise', async () => {
  const [ann, mallory] = [await holder(), await holder()]
  const s = await secured()
  const secret = secretOf(s)
  const invalid = [
    await mallory.sign(assertionClaims(ann.did, s.base)),
    await ann.sign(assertionClaims(ann.did, 'https://other.example')),
    await ann.sign(assertionClaims(ann.did, s.base, { exp: secondsNow() - 100 })),
    'garbage',
  ]
  for (const assertion of invalid) expect((await s.post('/token', { grant_type: JWT_BEARER, assertion, enrolment: secret })).status).toBe(400)
  const good = await ann.sign(assertionClaims(ann.did, s.base))
  expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: good, enrolment: secret, resource: 'https://other.example' })).json['error']).toBe(
    'invalid_target',
  )
  expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: good, enrolment: secret }, { dpop: 'garbage' })).json['error']).toBe('invalid_dpop_proof')
  expect((await s.post('/token', { grant_type: JWT_BEARER, assertion: good, enrolment: secret })).status).toBe(200)
})

test('a secret that is nearly right is wrong, and lets nobody guess', async () => {
  const ann = await holder()
  const s = await secured()
  const secret = secretOf(s)
  for (const wrong of [secret.slice(1), `${secret}a`, secret.toUpperCase(), `${s.enrolment?.href}`, 'a'.repeat(43), "' OR 1=1", '*', 'a'.repeat(9000)]) {
    expect((await redeem(s, ann, wrong)).json['error']).toBe('invalid_grant')
  }
  expect((await redeem(s, ann, secret)).status).toBe(200)
})

test('a bound token comes of it, and a used proof does not', async () => {
  const ann = await holder()
  const s = await secured()
  const key = await proofKey()
  expect(await s.token(ann, { form: { enrolment: secretOf(s) }, key })).toMatch(/^ey/)
})

test('the trust is written down for every process on that store, and for the next start', async () => {
  const ann = await holder()
  const s = await secured({ durable: true })
  await redeem(s, ann, secretOf(s))
  expect(await listTrust(await s.otherProcess())).toEqual([{ id: ann.did }])
})
