import { assert, property, string, stringMatching, tuple, webUrl } from 'fast-check'
import { describe, expect, test } from 'vitest'

import { joinedName, joinedUri, schemeOf, serverPart, serverPartOf, splitUri } from '../../src/relay/aggregate/names.ts'

const pair = tuple(string({ minLength: 1, maxLength: 64 }), string({ minLength: 1, maxLength: 128 }))

describe('a joined name', () => {
  test.each([
    ['git', 'log', 'git__log'],
    ['my-server', 'get_thing', 'my-server__get_thing'],
    ['git', 'a__b', 'git__a__b'],
    ['a', '_b', 'a___b'],
  ])('of %s and %s is %s', (server, name, joined) => {
    expect(joinedName(server, name)).toBe(joined)
  })

  test('fits every client', () => {
    assert(
      property(pair, ([server, name]) => {
        expect(joinedName(server, name)).toMatch(/^[A-Za-z0-9_-]{1,60}$/)
      }),
    )
  })

  test('says whose it is, whatever the server calls its own', () => {
    assert(
      property(pair, ([server, name]) => {
        expect(serverPartOf(joinedName(server, name))).toBe(serverPart(server))
      }),
    )
  })

  test('is never that of another', () => {
    const near = tuple(stringMatching(/^[ab_ ]{1,4}$/), stringMatching(/^[ab_. ]{1,4}$/))
    assert(
      property(near, near, (one, other) => {
        const areOne = one[0] === other[0] && one[1] === other[1]
        expect(joinedName(...one) === joinedName(...other)).toBe(areOne)
      }),
      { numRuns: 5000 },
    )
  })

  test('cannot be made by another server, though it may choose every name', () => {
    const servers = ['a', 'a__b', 'a_b', 'a b', 'a_', '_a', `a${'_b'.repeat(40)}`, `a${'_b'.repeat(41)}`]
    expect(new Set(servers.map(serverPart)).size).toBe(servers.length)
    const victims = servers.flatMap((server) => ['c', 'b__c', '_c', 'x'.repeat(80)].map((name) => ({ server, joined: joinedName(server, name) })))
    for (const evil of servers) {
      for (const { server, joined } of victims) {
        if (server === evil) continue
        // Whatever follows the first pair of underscores, and all endings of the whole.
        for (let at = 0; at < joined.length; at++) expect(joinedName(evil, joined.slice(at))).not.toBe(joined)
      }
    }
  })
})

describe('a joined URI', () => {
  test.each([
    ['git', 'file:///a+b', 'git+file:///a+b'],
    ['git', 'repo://{owner}/{name}', 'git+repo://{owner}/{name}'],
  ])('of %s and %s is %s', (server, uri, joined) => {
    expect(joinedUri(server, uri)).toBe(joined)
  })

  test('is a URI, and is read back', () => {
    assert(
      property(string({ minLength: 1, maxLength: 64 }), webUrl(), (server, uri) => {
        const joined = joinedUri(server, uri)
        expect(URL.canParse(joined)).toBe(true)
        expect(splitUri(joined)).toEqual({ scheme: schemeOf(server), uri })
      }),
    )
  })
})
