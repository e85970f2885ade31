import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'

import { createRate, createTakeTurn, networkOf } from '../../src/protocol/rate.ts'

function clock(): { now: () => number; pass: (ms: number) => void } {
  let nowMs = Date.UTC(2026, 0, 1)
  return { now: () => nowMs, pass: (ms) => void (nowMs += ms) }
}

function from(remoteAddress: string): IncomingMessage {
  return { socket: { remoteAddress } } as IncomingMessage // nothing else of it is looked at
}

describe('a rate', () => {
  test('gives its limit at once, and then one after the other', () => {
    const { now, pass } = clock()
    const rate = createRate({ limit: 3, perMs: 30_000, now })
    expect([1, 2, 3].map(() => rate.take('a'))).toEqual([0, 0, 0])
    expect(rate.take('a')).toBe(10)
    expect(rate.take('b')).toBe(0)
    pass(9000)
    expect(rate.take('a')).toBe(1)
    pass(1000)
    expect(rate.take('a')).toBe(0)
    expect(rate.take('a')).toBe(10)
    pass(60_000)
    expect([1, 2, 3, 4].map(() => rate.take('a'))).toEqual([0, 0, 0, 10])
  })

  test.each([7, 60, 1000])('of %i gives exactly as many, though its steps are fractions', (limit) => {
    const { now } = clock()
    const rate = createRate({ limit, perMs: 1000, now })
    for (let taken = 0; taken < limit; taken++) expect(rate.take('a')).toBe(0)
    expect(rate.take('a')).toBe(1)
  })

  test('whoever is refused does not wait longer for having asked', () => {
    const { now, pass } = clock()
    const rate = createRate({ limit: 1, perMs: 5000, now })
    rate.take('a')
    for (let tries = 0; tries < 100; tries++) expect(rate.take('a')).toBe(5)
    pass(5000)
    expect(rate.take('a')).toBe(0)
  })

  test('a clock that is put back keeps nobody waiting for longer, and gives nobody more', () => {
    const { now, pass } = clock()
    const rate = createRate({ limit: 2, perMs: 2000, now })
    rate.take('a')
    rate.take('a')
    pass(-3600_000)
    expect(rate.take('a')).toBe(1)
    pass(1000)
    expect([rate.take('a'), rate.take('a')]).toEqual([0, 1])
    pass(60_000)
    expect([1, 2, 3].map(() => rate.take('a'))).toEqual([0, 0, 1])
  })

  test('what is given back can be taken again, and no more than that', () => {
    const { now } = clock()
    const rate = createRate({ limit: 2, perMs: 2000, now })
    rate.take('a')
    for (let times = 0; times < 5; times++) rate.giveBack('a')
    expect([1, 2, 3].map(() => rate.take('a'))).toEqual([0, 0, 1])
  })

  test('tells so many apart, and forgets the one that was seen longest ago', () => {
    const { now } = clock()
    const rate = createRate({ limit: 1, perMs: 1000, now, most: 2 })
    for (const who of ['a', 'b', 'c']) rate.take(who)
    expect(rate.take('c')).toBe(1)
    expect(rate.take('b')).toBe(1)
    expect(rate.take('a')).toBe(0)
  })
})

describe('turns', () => {
  const amounts = { each: { limit: 2, perMs: 2000 }, all: { limit: 3, perMs: 3000 }, proxied: false }

  test('are counted for each address, and for all of them', () => {
    const { now, pass } = clock()
    const takeTurn = createTakeTurn({ ...amounts, now })
    const waits = (...addresses: string[]): number[] => addresses.map((address) => takeTurn(from(address)).waitSeconds)
    expect(waits('192.0.2.1', '192.0.2.1', '192.0.2.1')).toEqual([0, 0, 1])
    expect(waits('192.0.2.2', '192.0.2.3')).toEqual([0, 1])
    pass(1000)
    // What all of them had used up was not counted for the one that asked.
    expect(waits('192.0.2.3')).toEqual([0])
  })

  test('that did no harm are given back', () => {
    const { now } = clock()
    const takeTurn = createTakeTurn({ ...amounts, now })
    for (let times = 0; times < 50; times++) {
      const turn = takeTurn(from('192.0.2.1'))
      expect(turn.waitSeconds).toBe(0)
      turn.giveBack()
    }
  })

  test('behind a proxy are counted for all alone', () => {
    const { now } = clock()
    const takeTurn = createTakeTurn({ ...amounts, proxied: true, now })
    expect([1, 2, 3, 4].map(() => takeTurn(from('192.0.2.1')).waitSeconds)).toEqual([0, 0, 0, 1])
  })
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::6', '2001:db8:1:2'],
  ['2001:db8::6', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['::', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', ''],
])('%s is of the network %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})
