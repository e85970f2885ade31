import { assert, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { parseChallenge } from '../../src/login/challenge.ts'

const NOTHING = { resourceMetadata: undefined, scope: undefined, error: undefined }

test.each<[string, object]>([
  ['', {}],
  ['Bearer', {}],
  ['Bearer resource_metadata="https://a/b", scope="x y"', { resourceMetadata: 'https://a/b', scope: 'x y' }],
  ['bearer scope=x', { scope: 'x' }],
  ['Basic realm="a, Bearer scope=no"', {}],
  ['Basic realm="a", Bearer scope="yes"', { scope: 'yes' }],
  ['Bearer scope="first", DPoP scope="second", error="use_dpop_nonce"', { scope: 'first', error: 'use_dpop_nonce' }],
  ['DPoP error="use_dpop_nonce", algs="ES256"', { error: 'use_dpop_nonce' }],
  [String.raw`Bearer error="a \"quoted\" word"`, { error: 'a "quoted" word' }],
  ['Negotiate YII=, Bearer scope="x"', { scope: 'x' }],
  ['scope="of nobody"', {}],
])('of %s is read what a login needs', (header, said) => {
  expect(parseChallenge(header)).toEqual({ ...NOTHING, ...said })
})

test('whatever stands there is read without a complaint, and quickly', () => {
  expect(() => assert(property(string({ maxLength: 200 }), (header) => void parseChallenge(header)))).not.toThrow()
  for (const piece of [' ', ',', 'a=', '"', 'a="\\', 'a ']) expect(parseChallenge(`Bearer ${piece.repeat(100_000)}`)).toEqual(NOTHING)
})
