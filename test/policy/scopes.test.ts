import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { covers, intersection, isScope, narrowed, SCOPES } from '../../src/policy/scopes.ts'

// Foreign issuers put in scopes that we do not know.
const scope = fc.constantFrom(...SCOPES, 'email')
const scopes = fc.array(scope, { maxLength: 6 })
const known = [...SCOPES, 'email']

test('mcp is all that a client does, and not the right to ask about tokens', () => {
  expect(known.filter((needed) => covers(['mcp'], needed))).toEqual(['mcp', 'mcp:tools', 'mcp:resources', 'mcp:prompts'])
})

test('the parts together are not the whole: a later part is not in them', () => {
  expect(covers(['mcp:tools', 'mcp:resources', 'mcp:prompts'], 'mcp')).toBe(false)
})

test('nothing covers nothing', () => {
  expect(known.filter((needed) => covers([], needed))).toEqual([])
})

test('more than is held is refused as a whole', () => {
  expect(narrowed(['mcp:tools'], ['mcp:tools', 'mcp:prompts'])).toBeUndefined()
  expect(narrowed(['mcp'], ['introspect'])).toBeUndefined()
  expect(narrowed(['mcp'], ['mcp:tools'])).toEqual(['mcp:tools'])
  expect(narrowed(['mcp'], [])).toEqual([])
})

test('narrowing never widens, and is what was asked for', () => {
  fc.assert(
    fc.property(scopes, scopes, (held, asked) => {
      const given = narrowed(held, asked)
      const isCovered = (of: readonly string[]) => (one: string) => covers(of, one)
      expect(given !== undefined).toBe(asked.every(isCovered(held)))
      expect((given ?? []).every(isCovered(held))).toBe(true)
      expect(known.filter(isCovered(given ?? asked))).toEqual(known.filter(isCovered(asked)))
    }),
  )
})

test('narrowing twice is narrowing once', () => {
  fc.assert(
    fc.property(scopes, scopes, (held, asked) => {
      const once = narrowed(held, asked)
      expect(once && narrowed(once, once)).toEqual(once)
    }),
  )
})

test('an intersection covers what both cover and nothing else, from either side, and each scope once', () => {
  fc.assert(
    fc.property(scopes, scopes, (a, b) => {
      const both = intersection(a, b)
      expect(known.filter((needed) => covers(both, needed))).toEqual(known.filter((needed) => covers(a, needed) && covers(b, needed)))
      expect(new Set(intersection(b, a))).toEqual(new Set(both))
      expect(intersection(both, both)).toEqual(both)
      expect(new Set(both).size).toBe(both.length)
    }),
  )
})

test('what is no scope of ours is told', () => {
  expect(['mcp', 'introspect', 'email', 'mcp:', 'constructor'].map(isScope)).toEqual([true, true, false, false, false])
})
