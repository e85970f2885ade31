import { describe, expect, test } from 'vitest'

import { createTurns } from '../../src/protocol/turns.ts'

describe('turns', () => {
  test('are at once for whoever had none yet, and in their order after that', async () => {
    const { act, done } = turns()
    act('a', '1')
    expect(done).toEqual(['1'])
    act('a', '2')
    act('a', '3')
    act('b', '4')
    expect(done).toEqual(['1'])
    await rounds(1)
    expect(done).toEqual(['1', '2', '4'])
    await rounds(1)
    expect(done).toEqual(['1', '2', '4', '3'])
  })

  test('of one network are not behind all that another asked for', async () => {
    const { act, done } = turns()
    for (let index = 0; index < 100; index++) act('flood', 'f')
    await rounds(1)
    act('honest', 'h')
    await rounds(1)
    expect(done.indexOf('h')).toBeLessThan(4)
    await rounds(100)
    expect(done).toHaveLength(101)
  })

  test('are given to few of many before the event loop goes round, to each the same', async () => {
    const { act, done } = turns()
    act('busy', 'at once')
    act('busy', 'later')
    for (let index = 0; index < 20; index++) for (const half of ['a', 'b']) act(`n${index}`, `${half}${index}`)
    await rounds(1)
    expect(done).toHaveLength(9)
    await rounds(2)
    expect(done.slice(2, 22)).toEqual(Array.from({ length: 20 }, (_, index) => `a${index}`))
    await rounds(10)
    expect(done).toHaveLength(42)
  })

  test('that ask for another one get it in the next round, and not before', async () => {
    const turn = createTurns()
    let times = 0
    const again = (): void => {
      times++
      if (times < 1000) turn.take('a', again)
    }
    turn.take('a', again)
    expect(times).toBe(1)
    await rounds(3)
    expect(times).toBe(4)
  })
})

function turns(): { act(network: string, name: string): void; done: string[] } {
  const done: string[] = []
  const made = createTurns()
  return { act: (network, name) => made.take(network, () => void done.push(name)), done }
}

/** So often the event loop goes round. */
async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) await new Promise(setImmediate)
}
