import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { globMatcher, parseIdentityPattern } from '../../src/policy/patterns.ts'

const matches = (pattern: string, identity: string): boolean => {
  const parsed = parseIdentityPattern(pattern)
  return parsed?.kind === 'pattern' && parsed.matches(identity)
}

describe('a glob', () => {
  test.each<[string, string, boolean]>([
    ['*', '', true],
    ['*', 'anything', true],
    ['**', 'x', true],
    ['read_*', 'read_file', true],
    ['read_*', 'read_', true],
    ['read_*', 'Read_file', false],
    ['read_*', 'unread_file', false],
    ['*_file', 'read_file', true],
    ['*_file', 'read_file_now', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a?c', 'a\u{1F511}c', true],
    ['?', '', false],
    ['a*b*c', 'a--b--b--c', true],
    ['a*b*c', 'a--c--b', false],
    ['a.c', 'abc', false],
    ['a+', 'aaa', false],
    ['[ab]', 'a', false],
    ['(a|b)*', '(a|b)x', true],
    ['', '', true],
    ['', 'a', false],
  ])('%j on %j: %j', (glob, name, expected) => {
    expect(globMatcher(glob)(name)).toBe(expected)
  })

  test('does what its plain meaning says', () => {
    const meaning = (glob: string, name: string): boolean => {
      const [first, rest] = [glob.slice(0, 1), glob.slice(1)]
      if (first === '') return name === ''
      if (first === '*') return Array.from({ length: name.length + 1 }, (_, taken) => taken).some((taken) => meaning(rest, name.slice(taken)))
      return name !== '' && (first === '?' || first === name[0]) && meaning(rest, name.slice(1))
    }
    const text = (of: string) => fc.array(fc.constantFrom(...Array.from(of)), { maxLength: 8 }).map((characters) => characters.join(''))
    fc.assert(
      fc.property(text('ab*?'), text('abc'), (glob, name) => {
        expect(globMatcher(glob)(name)).toBe(meaning(glob, name))
      }),
      { numRuns: 1000 },
    )
  })

  test('of the kind that is slow as a regular expression takes no more steps than its length times that of the name', () => {
    const glob = `${'a*'.repeat(127)}b`
    expect(globMatcher(glob)('a'.repeat(1000))).toBe(false)
    expect(globMatcher('*a?a?a?a?a?b*')('a'.repeat(1000))).toBe(false)
  })

  test('takes no name beyond 1024 characters, unless it takes all', () => {
    expect(globMatcher('a*')('a'.repeat(1024))).toBe(true)
    expect(globMatcher('a*')('a'.repeat(1025))).toBe(false)
    expect(globMatcher('*')('a'.repeat(1025))).toBe(true)
  })
})

describe('subdomains of a did:web', () => {
  const pattern = 'did:web:*.example.com'
  test.each(['did:web:a.example.com', 'did:web:a.b.example.com', 'did:web:a.b.example.com:path', 'did:web:a-1.example.com:users:alice'])(
    '%s is one',
    (identity) => {
      expect(matches(pattern, identity)).toBe(true)
    },
  )

  test.each([
    'did:web:example.com',
    'did:web:.example.com',
    'did:web:evil-example.com',
    'did:web:a.example.com.evil.com',
    'did:web:evil.com:a.example.com',
    'did:web:evil.com%2Fa.example.com',
    'did:web:evil.com%3A443%2F.example.com',
    'did:web:evil.com#.example.com',
    'did:web:evil.com?a.example.com',
    'did:web:user@a.example.com',
    'did:web:a..example.com',
    'did:web:a.example.com%3A8443',
    'did:web:a.EXAMPLE.com',
    'did:web:*.example.com',
    'did:webvh:a.example.com',
    'DID:web:a.example.com',
    'did:web:a.example.com:x|alice',
    'did:web:a.example.com|alice',
    'https://evil.com|did:web:a.example.com',
  ])('%s is none', (identity) => {
    expect(matches(pattern, identity)).toBe(false)
  })

  test('may be those on one port', () => {
    expect(matches('did:web:*.example.com%3A8443', 'did:web:a.example.com%3A8443:x')).toBe(true)
    expect(matches('did:web:*.example.com%3A8443', 'did:web:a.example.com')).toBe(false)
  })

  test('of a did:webvh stand behind any hash', () => {
    expect(matches('did:webvh:*.example.com', 'did:webvh:QmHash:a.example.com:path')).toBe(true)
    expect(matches('did:webvh:*.example.com', 'did:webvh:QmHash:example.com')).toBe(false)
    expect(matches('did:webvh:*.example.com', 'did:webvh:a.example.com:evil.com')).toBe(false)
  })
})

describe('a star at the end', () => {
  test.each<[string, string, boolean]>([
    ['did:key:*', 'did:key:z6Mk', true],
    ['did:key:*', 'did:keys:z6Mk', false],
    ['did:key:*', 'did:key:z6Mk|alice', false],
    ['did:web:example.com:*', 'did:web:example.com:users:a', true],
    ['did:web:example.com:*', 'did:web:example.com', false],
    ['did:web:example.com:*', 'did:web:example.com:x|alice', false],
    ['https://issuer.example|*', 'https://issuer.example|alice', true],
    ['https://issuer.example|*', 'https://issuer.example.evil|alice', false],
    ['https://issuer.example|repo:acme/*', 'https://issuer.example|repo:acme/x', true],
    ['https://issuer.example|repo:acme/*', 'https://issuer.example|repo:acme-evil/x', false],
  ])('%s and %s: %j', (pattern, identity, expected) => {
    expect(matches(pattern, identity)).toBe(expected)
  })
})

test.each([
  '*',
  '',
  'alice',
  'did:*',
  'did:web*',
  'did:web:example.com*',
  'did:web:*example.com',
  'did:web:*.example.com:path',
  'did:web:*.*.com',
  'did:web:a.*.com',
  'did:key:z6*Mk',
  'did:key:*.example.com',
  'did:*:example.com',
  'did:web:*.',
  'did:web:*.example..com',
  'https://*|alice',
  'https://issuer.example*',
  'https://issuer.example|a*b',
  'https://issuer.example|**',
  '|alice',
  'https://issuer.example|',
  'did:key:z6 Mk',
  'did:key:z6\n',
  `did:key:${'z'.repeat(5000)}`,
])('%j is neither an identity nor a pattern', (id) => {
  expect(parseIdentityPattern(id)).toBeUndefined()
})
