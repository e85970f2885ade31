// A map of what comes and goes: it is a Map, and it keeps nothing that is gone.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { array, assert, constantFrom, nat, property, tuple } from 'fast-check'
import { expect, test } from 'vitest'

import { TurnoverMap, TurnoverSet } from '../../src/protocol/turnover-map.ts'

test('holds what a Map would, in its order, whatever is set and deleted', () => {
  const act = tuple(constantFrom('set', 'delete', 'clear'), nat(80))
  assert(
    property(array(act, { maxLength: 600, size: 'max' }), (acts) => {
      const [ours, map] = [new TurnoverMap<number, number>(), new Map<number, number>()]
      acts.forEach(([what, key], turn) => {
        if (what === 'set') [ours, map].forEach((one) => void one.set(key, turn))
        else if (what === 'delete') [ours, map].forEach((one) => one.delete(key))
        else if (turn % 50 === 0) [ours, map].forEach((one) => one.clear())
        expect([ours.size, ours.has(key), ours.get(key)]).toEqual([map.size, map.has(key), map.get(key)])
      })
      expect([[...ours], [...ours.keys()], [...ours.values()]]).toEqual([[...map], [...map.keys()], [...map.values()]])
    }),
    { numRuns: 200 },
  )
})

test('an iteration comes to nothing that is gone, though the table was changed under it', () => {
  const set = new TurnoverSet<number>()
  for (let entry = 0; entry < 100; entry++) set.add(entry)
  const seen: number[] = []
  for (const entry of set) {
    seen.push(entry)
    if (entry > 0) continue
    for (let gone = 1; gone < 99; gone++) set.delete(gone)
    for (let more = 100; more < 300; more++) {
      set.add(more)
      set.delete(more)
    }
  }
  expect(seen).toEqual([0, 99])
})

test('keeps nothing of what came and went, however old it is', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // the flag makes it
  const oldBytes = (): number => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0
  const map = new TurnoverMap<number, unknown>()
  map.set(-1, 0)
  map.delete(-1)
  // It is old now, as one is that was not used for a while.
  for (let turn = 0; turn < 3; turn++) collect()
  const before = oldBytes()
  let most = 0
  for (let call = 0; call < 20_000; call++) {
    map.set(
      call,
      Array.from({ length: 500 }, () => call),
    )
    if (call % 16 < 15) continue
    await new Promise((resolve) => setImmediate(resolve))
    for (let done = call - 15; done <= call; done++) map.delete(done)
    most = Math.max(most, oldBytes() - before)
  }
  // 80 MB have gone through it. A Map has kept tens of them at a time.
  expect(most).toBeLessThan(10 * 1024 * 1024)
})
