import { describe, expect, test } from 'vitest'

import { createShares, type Place } from '../../src/protocol/shares.ts'

describe('places', () => {
  test('are taken from whoever has most of them, where nothing is held yet, and the oldest first', () => {
    const { enter, gave } = shares({ mostPlaces: 4 })
    const [first, second] = [enter('a', 'a1'), enter('a', 'a2'), enter('a', 'a3'), enter('b', 'b1')]
    first?.hold(1)
    expect([enter('c', 'c1') !== undefined, gave]).toEqual([true, ['a2']])
    second?.leave()
    expect([enter('a', 'a4') === undefined, enter('d', 'd1') !== undefined, gave]).toEqual([true, true, ['a2', 'a3']])
    // Now everybody has one.
    expect([enter('e', 'e1') === undefined, enter('a', 'a5') === undefined]).toEqual([true, true])
  })

  test('are taken where something is held when there is no other', () => {
    const { enter, gave } = shares({ mostPlaces: 2 })
    for (const name of ['a1', 'a2']) enter('a', name)?.hold(1)
    expect([enter('b', 'b1') !== undefined, gave]).toEqual([true, ['a1']])
  })

  test('that were left are free, however often', () => {
    const { enter } = shares({ mostPlaces: 1 })
    for (let round = 0; round < 100; round++) {
      const place = enter('a', 'a')
      expect(place).toBeDefined()
      place?.leave()
      place?.leave()
    }
  })
})

describe('bytes', () => {
  test('are held up to a bound for all, and to half of it for one network', () => {
    const { enter } = shares({ mostBytes: 100 })
    const [one, two, three] = [enter('a', 'a1'), enter('a', 'a2'), enter('b', 'b1')]
    expect([one?.hold(30), two?.hold(21), two?.hold(20), three?.hold(50), three?.hold(1)]).toEqual([true, false, true, true, false])
    three?.release(50)
    expect([enter('c', 'c1')?.hold(50), enter('d', 'd1')?.hold(1)]).toEqual([true, false])
  })

  test('stay held when their place is left, until they are released', () => {
    const { enter } = shares({ mostBytes: 100 })
    const one = enter('a', 'a1')
    one?.hold(50)
    one?.leave()
    expect(enter('a', 'a2')?.hold(1)).toBe(false)
    one?.release(50)
    expect(enter('a', 'a3')?.hold(50)).toBe(true)
  })
})

function shares({ mostPlaces = 100, mostBytes = 100 }: { mostPlaces?: number; mostBytes?: number }): {
  enter: (network: string, name: string) => Place | undefined
  gave: string[]
} {
  const gave: string[] = []
  const made = createShares({ mostPlaces, mostBytes })
  return { enter: (network, name) => made.enter(network, () => gave.push(name)), gave }
}
