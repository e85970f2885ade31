import { expect, onTestFinished, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { followStore } from '../../src/store/follow.ts'
import { until } from '../support/until.ts'

function follow(onChange: () => void = () => {}) {
  const state = { version: 1, fails: false, looks: 0, changes: 0, words: [] as string[] }
  const version = async (): Promise<number> => {
    state.looks += 1
    if (state.fails) throw new OpenMcpError('store_failed', 'the disk is gone')
    return state.version
  }
  const log = { warn: (words: string) => void state.words.push(`warn ${words}`), info: (words: string) => void state.words.push(`info ${words}`) }
  const { stop } = followStore(
    { version },
    () => {
      state.changes += 1
      onChange()
    },
    { everyMs: 1, log },
  )
  onTestFinished(stop)
  const looks = (more: number) => {
    const goal = state.looks + more
    return until('some looks', () => state.looks >= goal)
  }
  return { state, stop, looks }
}

test('a change is told once, and what was there before is told at first', async () => {
  const { state, looks } = follow()
  await looks(5)
  expect(state.changes).toBe(1)
  state.version = 7
  await looks(5)
  expect(state.changes).toBe(2)
})

test('a store that fails is told once, so is its return, and what changed meanwhile is not missed', async () => {
  const { state, looks } = follow()
  await looks(3)
  state.fails = true
  await looks(5)
  state.version = 2
  state.fails = false
  await until('the change', () => state.changes === 2)
  await looks(2)
  expect(state.words).toEqual(['warn the store cannot be followed, what was known stays: the disk is gone', 'info the store can be read again'])
})

test('a change that could not be followed is tried again', async () => {
  let failures = 3
  const { state } = follow(() => {
    if (failures-- > 0) throw new OpenMcpError('store_failed', 'cannot be read')
  })
  await until('the fourth time', () => state.changes === 4)
  await until('the return', () => state.words.length === 2)
  expect(state.words[0]).toContain('cannot be read')
})

test('nothing is asked after the end', async () => {
  const { state, stop, looks } = follow()
  await looks(2)
  stop()
  const { looks: before } = state
  state.version = 9
  await new Promise((resolve) => setImmediate(resolve))
  expect(state.looks).toBe(before)
  expect(state.changes).toBe(1)
})
