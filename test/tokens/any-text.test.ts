// Whatever somebody shows as a token, a proof or an assertion: it is refused, and nothing breaks.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { CLIENT_ASSERTION, JWT_BEARER, secured, type Secured } from '../support/secured.ts'
import { ask, type Answer } from '../support/wire.ts'
import { assertionClaims, compactJwt, holder, keyHolder, nodeKey, proofKey } from '../support/did.ts'
import type { Json } from '../support/json.ts'

/** What a header may hold. */
const visible = fc.stringMatching(/^[!-~]([ -~]{0,80}[!-~])?$/)

const anyMember = fc.oneof(
  fc.constantFrom('iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'act', 'cnf', 'client_id', 'origins', '__proto__', 'constructor'),
  fc.string(),
)
const anyHeader = fc.constantFrom('alg', 'kid', 'typ', 'jwk', 'jku', 'x5c', 'crit', 'b64', 'zip', 'cty', '__proto__')
const anyValue = fc.oneof(fc.string(), fc.jsonValue(), fc.double(), fc.constantFrom('EdDSA', 'none', 'at+jwt', 'dpop+jwt', 'did:key:z6Mk'))
const jsonChanges = (name: fc.Arbitrary<string>): fc.Arbitrary<Json> => fc.dictionary(name, anyValue, { maxKeys: 3 }).map((members) => ({ ...members }))

/** Lines that tell of a mistake of ours. */
function mistakes(s: Secured): string[] {
  return s.log.filter((line) => line.includes('internal error'))
}

test('any text in Authorization, X-API-Key or DPoP is refused with a challenge', async () => {
  const s = await secured({ trusted: ['any'] })
  const header = fc.oneof(
    fc.record({ authorization: visible }),
    fc.record({ authorization: visible.map((text) => `Bearer ${text}`) }),
    fc.record({ authorization: visible.map((text) => `DPoP ${text}`), dpop: visible }),
    fc.record({ 'x-api-key': visible }),
  )
  await fc.assert(
    fc.asyncProperty(header, async (headers) => {
      const { status, headers: answered } = await ask(s.url, { method: 'PUT', headers: { ...headers } })
      return [400, 401].includes(status) && /^(Bearer|DPoP) /.test(answered['www-authenticate'] ?? '')
    }),
    { numRuns: 200 },
  )
  expect(mistakes(s)).toEqual([])
})

test('any change to a self-issued token leaves it good or refused', async () => {
  const ann = keyHolder()
  const s = await secured({ trusted: [ann.did] })
  await fc.assert(
    fc.asyncProperty(jsonChanges(anyMember), jsonChanges(anyHeader), async (claims, header) => {
      const token = await ann.sign({ ...assertionClaims(ann.did, s.url.href), ...claims }, header)
      const { status } = await ask(s.url, { method: 'PUT', headers: { authorization: `Bearer ${token}` } })
      return status === 405 || status === 401 || status === 431
    }),
    { numRuns: 200 },
  )
  expect(mistakes(s)).toEqual([])
})

test('any change to an assertion leaves it good or refused, by both ways', async () => {
  const ann = keyHolder()
  const s = await secured({ trusted: [ann.did] })
  const answered = ({ status, json }: Answer): boolean =>
    status === 200 ? typeof json['access_token'] === 'string' : [400, 401, 413].includes(status) && typeof json['error'] === 'string'
  await fc.assert(
    fc.asyncProperty(jsonChanges(anyMember), jsonChanges(anyHeader), async (claims, header) => {
      const assertion = await ann.sign({ ...assertionClaims(ann.did, s.base), ...claims }, header)
      const asClient = { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion }
      return answered(await s.post('/token', { grant_type: JWT_BEARER, assertion })) && answered(await s.post('/token', asClient))
    }),
    { numRuns: 150 },
  )
  expect(mistakes(s)).toEqual([])
})

test('any change to a proof leaves it good or refused', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const key = await proofKey()
  const token = await s.token(ann, { key })
  const other = nodeKey('ES256')
  const jwk = fc.oneof(fc.constant(other.publicJwk), fc.constant(key.publicJwk), jsonChanges(fc.constantFrom('kty', 'crv', 'x', 'y', 'd', 'k')))
  await fc.assert(
    fc.asyncProperty(jsonChanges(fc.constantFrom('htm', 'htu', 'ath', 'iat', 'jti', 'nonce')), jwk, async (claims, publicJwk) => {
      const good = { jti: 'a', htm: 'PUT', htu: s.url.href, iat: Math.floor(Date.now() / 1000) }
      const dpop = compactJwt({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicJwk }, { ...good, ...claims }, other.privateKey)
      const { status } = await ask(s.url, { method: 'PUT', headers: { authorization: `DPoP ${token}`, dpop } })
      return status === 401 || status === 431
    }),
    { numRuns: 200 },
  )
  expect(mistakes(s)).toEqual([])
})

test('any form is answered by the issuer in its own words', async () => {
  const s = await secured({ trusted: ['any'] })
  const name = fc.constantFrom(
    'grant_type',
    'assertion',
    'client_id',
    'client_assertion',
    'client_assertion_type',
    'subject_token',
    'subject_token_type',
    'actor_token',
    'resource',
    'scope',
    'enrolment',
    'token',
  )
  const value = fc.oneof(fc.string(), fc.constantFrom(JWT_BEARER, CLIENT_ASSERTION, 'client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('/token', '/introspect', '/revoke'), fc.dictionary(name, value), async (path, form) => {
      const { status, json } = await s.post(path, { ...form })
      return (path === '/revoke' && status === 200) || ([400, 401].includes(status) && typeof json['error'] === 'string')
    }),
    { numRuns: 200 },
  )
  expect(mistakes(s)).toEqual([])
})

test('of any number that use what may be used once, at once, one is the first', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2), { minLength: 1, maxLength: 12 }), async (picks) => {
      const assertions = await Promise.all([0, 1, 2].map(() => ann.sign(assertionClaims(ann.did, s.base))))
      const used = picks.map((pick, index) => {
        const assertion = assertions[pick] ?? ''
        const form: Record<string, string> =
          index % 2 === 0
            ? { grant_type: JWT_BEARER, assertion }
            : { grant_type: 'client_credentials', client_assertion_type: CLIENT_ASSERTION, client_assertion: assertion }
        return s.post('/token', form)
      })
      const answers = await Promise.all(used)
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(new Set(picks).size)
    }),
    { numRuns: 30 },
  )
})
