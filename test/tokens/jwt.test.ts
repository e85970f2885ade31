// A JWT is taken apart before anything in it is believed: whatever the text, it is a JWT or it is not, and nothing is thrown.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { audiencesOf, bringsItsKey, parseJwt, textClaim, typeOf, wrongTimes } from '../../src/tokens/jwt.ts'

function part(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function jwt(header: unknown, claims: unknown = {}, signature = 'AA'): string {
  return `${part(JSON.stringify(header))}.${part(JSON.stringify(claims))}.${signature}`
}

describe('what is a JWT', () => {
  test('is three parts, of which two are objects, and keeps what was signed as it was written', () => {
    const text = `${part('{"alg":"EdDSA"}')}.${part('{ "a" : 1 }')}.AQID`
    const parsed = parseJwt(text)
    expect(parsed).toEqual({
      header: { alg: 'EdDSA' },
      claims: { a: 1 },
      signingInput: Buffer.from(text.slice(0, -5)),
      signature: Buffer.from([1, 2, 3]),
    })
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an object', {}],
    ['a list with one', [jwt({})]],
    ['the empty text', ''],
    ['dots', '..'],
    ['two parts', 'e30.e30'],
    ['an empty signature', 'e30.e30.'],
    ['four parts', `${jwt({})}.AA`],
    ['five parts, as of an encrypted one', 'e30.e30.e30.e30.e30'],
    ['a space', `${jwt({})} `],
    ['a line break', `${jwt({})}\n`],
    ['padding', 'e30=.e30.AA'],
    ['the other alphabet of base64', 'e3/+.e30.AA'],
    ['a header that is a list', jwt([])],
    ['a header that is null', jwt(null)],
    ['a header that is a text', jwt('a')],
    ['claims that are a list', jwt({}, [])],
    ['claims that are a number', jwt({}, 1)],
    ['claims that are no JSON', `e30.${part('{')}.AA`],
    ['critical extensions', jwt({ crit: ['b64'] })],
    ['an empty list of critical extensions', jwt({ crit: [] })],
    ['a body that is not encoded', jwt({ b64: false })],
    ['more than 8192 characters', jwt({}, { a: 'a'.repeat(7000) })],
  ])('is not %s', (_name, text) => {
    expect(parseJwt(text)).toBeUndefined()
  })

  test('is decided for any text without a word', () => {
    const almost = fc.tuple(fc.json(), fc.json(), fc.base64String()).map(([a, b, c]) => `${part(a)}.${part(b)}.${c}`)
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), almost, fc.anything()), (text) => {
        const parsed = parseJwt(text)
        if (parsed) {
          wrongTimes(parsed.claims, 0, 60)
          audiencesOf(parsed.claims)
          bringsItsKey(parsed)
          typeOf(parsed)
          textClaim(parsed.claims, 'sub')
        }
        expect(parsed === undefined || String(text).split('.').length === 3).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('times', () => {
  const now = 1_000_000
  const wrong = (claims: Record<string, unknown>, skew = 60): boolean => wrongTimes(claims, now * 1000, skew) !== undefined

  test.each<[string, Record<string, unknown>, boolean]>([
    ['no exp', {}, true],
    ['exp a text', { exp: String(now + 1) }, true],
    ['exp for ever', { exp: Infinity }, true],
    ['exp no number', { exp: Number.NaN }, true],
    ['exp to come', { exp: now + 1 }, false],
    ['exp 59 seconds ago', { exp: now - 59 }, false],
    ['exp 60 seconds ago', { exp: now - 60 }, true],
    ['nbf in 60 seconds', { exp: now + 100, nbf: now + 60 }, false],
    ['nbf in 61 seconds', { exp: now + 100, nbf: now + 61 }, true],
    ['nbf a text', { exp: now + 100, nbf: '0' }, true],
    ['nbf null', { exp: now + 100, nbf: null }, true],
    ['iat in 60 seconds', { exp: now + 100, iat: now + 60 }, false],
    ['iat in 61 seconds', { exp: now + 100, iat: now + 61 }, true],
    ['iat a list', { exp: now + 100, iat: [now] }, true],
  ])('%s', (_name, claims, expected) => {
    expect(wrong(claims)).toBe(expected)
  })

  test('without a margin, the second of exp is over', () => {
    expect([wrong({ exp: now }, 0), wrong({ exp: now + 1 }, 0)]).toEqual([true, false])
  })
})

test('an audience is a text or a list of texts, and nobody else', () => {
  expect(audiencesOf({ aud: 'a' })).toEqual(['a'])
  expect(audiencesOf({ aud: ['a', 'b'] })).toEqual(['a', 'b'])
  for (const aud of [undefined, null, 1, {}, ['a', 1], [['a']], [null]]) expect(audiencesOf({ aud })).toEqual([])
})

test('a key that travels with what it signs is seen, under each of its names', () => {
  for (const name of ['jwk', 'jku', 'x5c', 'x5u']) {
    const parsed = parseJwt(jwt({ alg: 'EdDSA', [name]: null }))
    expect(parsed && bringsItsKey(parsed)).toBe(true)
  }
  const parsed = parseJwt(jwt({ alg: 'EdDSA', kid: 'a' }))
  expect(parsed && bringsItsKey(parsed)).toBe(false)
})

test('a type is compared without case and without application/', () => {
  const types = ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt'].map((typ) => parseJwt(jwt({ typ })))
  for (const parsed of types) expect(parsed && typeOf(parsed)).toBe('at+jwt')
  for (const typ of [undefined, null, 1, ['at+jwt']]) {
    const parsed = parseJwt(jwt({ typ }))
    expect(parsed && typeOf(parsed)).toBe('')
  }
})
