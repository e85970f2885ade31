// Names in paths and as ids of operations.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { idAsMcpo, operationIdsOf } from '../../src/openapi/operation-ids.ts'
import { nameIn, segmentOf } from '../../src/openapi/segment.ts'

test.each([
  ['echo', 'echo'],
  ['get_sum.v2', 'get_sum.v2'],
  ['a/b', 'a~2Fb'],
  ['my tool', 'my~20tool'],
  ['größe', 'gr~C3~B6~C3~9Fe'],
  ['..', '~2E~2E'],
  ['a~b', 'a~7Eb'],
  ['', '~'],
  ['100%', '100~25'],
])('%j is %s in a path', (name, segment) => {
  expect(segmentOf(name)).toBe(segment)
  expect(nameIn(segment)).toBe(name)
  expect(new URL(`http://h/tools/${segment}`).pathname).toBe(`/tools/${segment}`)
})

/** Names that would mean something else in a path, and any others. */
const anyName = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 3000 }),
  fc.stringMatching(/^[./~%?#&=+;:@ \\]{0,12}$/),
  fc.constantFrom('.', '..', '...', '~', '~7E', '%2F', '/', '//', 'openapi.json', 'docs', 'mcp', '__proto__', 'constructor', '\u0000', '\r\n'),
)

test('any name is found again, and no two are the same', () => {
  const taken = new Set(['mcp', 'docs', '..'])
  fc.assert(
    fc.property(anyName, anyName, (name, other) => {
      for (const segment of [segmentOf(name), segmentOf(name, taken)]) {
        expect(nameIn(segment)).toBe(name)
        expect(segment).toMatch(/^[\w.~-]+$/)
        expect(taken.has(segment) && segment === segmentOf(name, taken)).toBe(false)
        // Whatever is on the way, and however often it looks.
        expect(new URL(`http://h/a/${segment}/b`).pathname).toBe(`/a/${segment}/b`)
        expect(decodeURIComponent(segment)).toBe(segment)
      }
      expect(segmentOf(name) === segmentOf(other)).toBe(name === other)
    }),
    { numRuns: 500 },
  )
})

test.each(['my tool', 'a/b', 'größe', 'a~b', '~zz', '~FF'])('%j may be typed as it is', (name) => {
  expect(nameIn(name)).toBe(name)
})

const idsOf = (...names: string[]): string[] => operationIdsOf(names.map((name) => ({ name, path: `/tools/${segmentOf(name)}` })))

test('an operation is called what its tool is, where a model and a program can call it so', () => {
  expect(idsOf('echo', 'get-sum', 'a/b', 'größe', 'x'.repeat(65))).toEqual([
    'echo',
    'get-sum',
    expect.stringMatching(/^a_b_[0-9a-f]{16}$/),
    expect.stringMatching(/^gr_e_[0-9a-f]{16}$/),
    expect.stringMatching(/^x{47}_[0-9a-f]{16}$/),
  ])
})

test('no two operations are called the same, and which is which depends on no order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyName, { maxLength: 8 }), (some) => {
      const names = [...some, ...idsOf(...some).filter((id) => !some.includes(id))]
      const ids = idsOf(...names)
      expect(new Set(ids).size).toBe(names.length)
      for (const id of ids) expect(id).toMatch(/^[\w-]{1,64}$/)
      expect(idsOf(...names.toReversed())).toEqual(ids.toReversed())
    }),
    { numRuns: 100 },
  )
})

test('operations of one name at two places are two', () => {
  const [one, two] = operationIdsOf(['/servers/a_b/tools/c', '/servers/a/tools/b_c'].map((path) => ({ name: 'a_b_c', path })))
  expect([one, two]).toEqual([expect.stringMatching(/^a_b_c_[0-9a-f]{16}$/), expect.stringMatching(/^a_b_c_[0-9a-f]{16}$/)])
  expect(one).not.toBe(two)
})

test.each([
  ['echo', 'tool_echo_post'],
  ['get-sum', 'tool_get_sum_post'],
  ['a/b', 'tool_a_b_post'],
])('%s has the id of mcpo', (name, id) => {
  expect(idAsMcpo(name)).toBe(id)
})
