// Names in paths and as ids of operations.
import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { operationIdsOf } from '../../src/openapi/operation-ids.ts'
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

test('any name is found again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      expect(nameIn(segmentOf(name))).toBe(name)
      expect(segmentOf(name)).toMatch(/^[\w.~-]+$/)
    }),
  )
})

test.each(['my tool', 'a/b', 'größe', 'a~b', '~zz'])('%j may be typed as it is', (name) => {
  expect(nameIn(name)).toBe(name)
})

test('an operation is called what its tool is, where a model and a program can call it so', () => {
  expect(operationIdsOf(['echo', 'get-sum', 'a/b', 'größe', 'x'.repeat(65)])).toEqual([
    'echo',
    'get-sum',
    expect.stringMatching(/^a_b_[0-9a-f]{8}$/),
    expect.stringMatching(/^gr_e_[0-9a-f]{8}$/),
    expect.stringMatching(/^x{55}_[0-9a-f]{8}$/),
  ])
})

test('no two operations are called the same, and which is which depends on no order', () => {
  const [first = ''] = operationIdsOf(['a/b'])
  const names = ['a/b', first, 'c']
  const ids = operationIdsOf(names)
  expect(new Set(ids).size).toBe(3)
  expect(operationIdsOf(names.toReversed())).toEqual(ids.toReversed())
})
