import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createInFlight } from '../../src/relay/in-flight.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Whether a promise has settled by now. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

test('calls are counted, each end once', () => {
  const calls = createInFlight()
  const ends = [calls.begin(), calls.begin(), calls.begin()]
  ends[0]?.()
  ends[0]?.()
  expect(calls.size).toBe(2)
  for (const end of ends) end()
  expect(calls.size).toBe(0)
})

test('with nothing in flight there is nothing to wait for', async () => {
  await expect(createInFlight().drained(100)).resolves.toBeUndefined()
  expect(vi.getTimerCount()).toBe(0)
})

test('the wait is over with the last call, those that begin later included', async () => {
  const calls = createInFlight()
  const first = calls.begin()
  const drained = calls.drained(100)
  const second = calls.begin()
  first()
  expect(await isDone(drained)).toBe(false)
  second()
  await drained
  expect(vi.getTimerCount()).toBe(0)
})

test('the wait is over after its time, whatever is in flight', async () => {
  const calls = createInFlight()
  const end = calls.begin()
  const drained = calls.drained(10)
  await vi.advanceTimersByTimeAsync(9999)
  expect(await isDone(drained)).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  await drained
  expect(calls.size).toBe(1)
  end()
})

test('a wait of no time is none', async () => {
  const calls = createInFlight()
  calls.begin()
  const drained = calls.drained(0)
  await vi.advanceTimersByTimeAsync(1)
  await expect(drained).resolves.toBeUndefined()
})
