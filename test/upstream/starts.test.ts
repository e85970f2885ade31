// A command that ends as soon as it is started: who is told what, and how often it is started.
import { expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { ANYBODY, type Caller } from '../../src/protocol/caller.ts'
import type { PipeEvents } from '../../src/upstream/pipe.ts'
import { createStarts, type Starts } from '../../src/upstream/starts.ts'

interface Stage {
  starts: Starts
  /** What openmcp hears of each child that was started. */
  children: PipeEvents[]
  /** Asks for one; how it ended, if it has. */
  ask(caller?: Caller): Promise<string | undefined>
  pass(seconds: number): void
}

/** `crash`: every child ends at once. */
function stage({ crash = true, isPerCaller = false }: { crash?: boolean; isPerCaller?: boolean } = {}): Stage {
  let nowMs = 1_000_000
  const children: PipeEvents[] = []
  const starts = createStarts({
    start(events) {
      children.push(events)
      if (crash) queueMicrotask(() => events.ended(new OpenMcpError('child_failed', `the server x ended with exit code ${children.length}`)))
      return { started: Promise.resolve(), send: () => {}, bufferedBytes: 0, close: () => Promise.resolve() }
    },
    isPerCaller,
    now: () => nowMs,
    random: () => 0,
  })
  return {
    starts,
    children,
    async ask(caller) {
      let said: string | undefined
      starts.open({ line: () => {}, tooLong: () => {}, ended: (error) => (said = error.message) }, caller)
      await new Promise(setImmediate)
      return said
    },
    pass: (seconds) => void (nowMs += seconds * 1000),
  }
}

test('a crash may be an accident; after the second in a row nobody starts another for a second, and whoever asks hears why', async () => {
  const { ask, children, starts } = stage()
  expect(await ask()).toBe('the server x ended with exit code 1')
  expect(await ask()).toBe('the server x ended with exit code 2')
  for (let time = 0; time < 50; time++) expect(await ask()).toBe('the server x ended with exit code 2; it is not started again for 1 s')
  expect(children).toHaveLength(2)
  expect(starts.failure()?.message).toBe('the server x ended with exit code 2')
})

test('the wait grows with each crash, up to a minute', async () => {
  const { ask, pass, starts } = stage()
  await ask()
  const waits: number[] = []
  for (let time = 0; time < 9; time++) {
    await ask()
    waits.push(starts.waitMs() / 1000)
    pass(starts.waitMs() / 1000)
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60])
})

test('one that says something has made good for all before it', async () => {
  const { ask, children, starts } = stage({ crash: false })
  await ask()
  children[0]?.ended(new OpenMcpError('child_failed', 'gone'))
  expect(starts.failure()?.message).toBe('gone')
  await ask()
  children[1]?.line(Buffer.from('{}'))
  expect(starts.failure()).toBeUndefined()
  children[1]?.ended(new OpenMcpError('child_failed', 'after its work'))
  expect([starts.failure(), await ask(), children.length]).toEqual([undefined, undefined, 3])
})

test('one that prints something before it ends has failed like every other', async () => {
  const { ask, children, starts } = stage({ crash: false })
  for (let time = 0; time < 2; time++) {
    await ask()
    children[time]?.line(Buffer.from('starting…'))
    children[time]?.ended(new OpenMcpError('child_failed', 'no database'))
  }
  expect(starts.failure()?.message).toBe('no database')
  expect(await ask()).toBe('no database; it is not started again for 1 s')
})

test('one that is told to end has not failed', async () => {
  const { starts, children } = stage({ crash: false })
  for (let time = 0; time < 5; time++) {
    const pipe = starts.open({ line: () => {}, tooLong: () => {}, ended: () => {} })
    await pipe.close()
    children.at(-1)?.ended(new OpenMcpError('child_failed', 'on SIGTERM'))
  }
  expect([starts.failure(), children.length]).toEqual([undefined, 5])
})

test('where each caller has a child of its own making, the crashes of one are not for another', async () => {
  const { ask, children, starts } = stage({ isPerCaller: true })
  const [ann, bob] = ['ann', 'bob'].map((owner) => ({ ...ANYBODY, owner }))
  for (let time = 0; time < 5; time++) await ask(ann)
  expect(children).toHaveLength(2)
  expect(await ask(bob)).toBe('the server x ended with exit code 3')
  expect(starts.failure()).toBeUndefined()
})
