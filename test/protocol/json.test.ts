// How deep a text nests, told without parsing it.
import { array, assert, boolean, constantFrom, property } from 'fast-check'
import { describe, expect, test } from 'vitest'

import { isTooDeep, jsonIn, MOST_LEVELS } from '../../src/protocol/json.ts'

/** Brackets, quotes and backslashes in strings are none of its levels. */
const ODD = array(constantFrom('[', '{', '"', '\\', ']', '}', 'a', '\n'), { maxLength: 20 }).map((parts) => parts.join(''))

function nested(levels: number, inside: string, opens: readonly boolean[]): string {
  let text = JSON.stringify(inside)
  for (let level = 0; level < levels; level++) {
    const key = JSON.stringify(inside.slice(0, level % 7))
    text = opens[level % opens.length] ? `[${key},${text},1]` : `{${key}:${text}}`
  }
  return text
}

describe('a text', () => {
  test.each([MOST_LEVELS - 1, MOST_LEVELS])('of %i levels is read', (levels) => {
    assert(
      property(ODD, array(boolean(), { minLength: 1, maxLength: 5 }), (inside, opens) => {
        const text = nested(levels, inside, opens)
        expect(isTooDeep(text)).toBe(false)
        expect(JSON.stringify(jsonIn(text))).toBe(JSON.stringify(JSON.parse(text)))
      }),
      { numRuns: 30 },
    )
  })

  test.each([MOST_LEVELS + 1, 4000])('of %i levels is not', (levels) => {
    assert(
      property(ODD, array(boolean(), { minLength: 1, maxLength: 5 }), (inside, opens) => {
        const text = nested(levels, inside, opens)
        expect([isTooDeep(text), jsonIn(text)]).toEqual([true, undefined])
      }),
      { numRuns: 30 },
    )
  })

  test('with many brackets side by side, or in its strings, is not deep', () => {
    expect(isTooDeep(JSON.stringify(Array.from({ length: 5000 }, () => [{}])))).toBe(false)
    expect(isTooDeep(JSON.stringify(['['.repeat(5000), '\\"[{'.repeat(5000), '\\'.repeat(5001)]))).toBe(false)
  })

  test.each(['"'.repeat(3001) + '['.repeat(3000), '"\\'.repeat(3000)])('that is no JSON is none, and is looked at once', (text) => {
    expect(jsonIn(text)).toBeUndefined()
  })
})
