import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { ANYBODY, type Caller } from '../../src/protocol/caller.ts'
import type { LinkEvents, Reply } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { Isolation } from '../../src/upstream/options.ts'
import { parsePost } from '../../src/protocol/message.ts'
import { createPool, type PipePool } from '../../src/upstream/pool.ts'
import { SILENT, scriptedPipe, type ScriptedPipe } from './scripted-pipe.ts'

const NOBODY: LinkEvents = { unsolicited: () => {}, ended: () => {} }
const GONE = new OpenMcpError('child_failed', 'gone')

/** Somebody who proved who they are. */
function by(owner: string): Caller {
  return { ...ANYBODY, id: owner, owner, via: 'token' }
}

function poolOf(isolation: Isolation, limits: Partial<Limits> = {}): { pool: PipePool; pipes: ScriptedPipe[] } {
  const pipes: ScriptedPipe[] = []
  const pool = createPool({
    open(events) {
      const pipe = scriptedPipe()
      pipes.push(pipe)
      return pipe.open(events)
    },
    isolation,
    limits: { ...DEFAULT_LIMITS, ...limits },
    log: SILENT,
    now: Date.now,
  })
  return { pool, pipes }
}

function refusalOf(act: () => void): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof OpenMcpError ? error.code : 'not one of ours'
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a pipe per session', () => {
  test('is opened for every session and ends with it', async () => {
    const { pool, pipes } = poolOf('session')
    const links = [pool.open(NOBODY, by('a')), pool.open(NOBODY, by('a'))]
    expect([pipes.length, pool.size]).toEqual([2, 2])
    await links[0]?.close()
    expect([pool.size, ...pipes.map(({ closed }) => closed)]).toEqual([1, true, false])
  })

  test('makes room when it ends by itself', () => {
    const { pool, pipes } = poolOf('session', { children: 1 })
    const ended: string[] = []
    pool.open({ ...NOBODY, ended: ({ code }) => ended.push(code) }, by('a'))
    expect(refusalOf(() => pool.open(NOBODY, by('a')))).toBe('busy')
    pipes[0]?.ends(GONE)
    expect(ended).toEqual(['child_failed'])
    expect(refusalOf(() => pool.open(NOBODY, by('a')))).toBeUndefined()
  })
})

describe('a shared pipe', () => {
  test('is one for all sessions and outlives each of them', async () => {
    const { pool, pipes } = poolOf('shared')
    const links = [pool.open(NOBODY, by('a')), pool.open(NOBODY, by('a'))]
    for (const link of links) await link.close()
    pool.open(NOBODY, by('a'))
    expect([pipes.length, pool.size, pipes[0]?.closed]).toEqual([1, 1, false])
  })

  test('is opened anew when it has ended', () => {
    const { pool, pipes } = poolOf('shared')
    pool.open(NOBODY, by('a'))
    pipes[0]?.ends(GONE)
    expect(pool.size).toBe(0)
    pool.open(NOBODY, by('a'))
    expect([pipes.length, pool.size]).toEqual([2, 1])
  })
})

describe('a pipe per identity', () => {
  test('is shared by the sessions of its owner, and by nobody else', () => {
    const { pool, pipes } = poolOf('identity')
    for (const owner of ['a', 'b', 'a', '__proto__', 'b']) pool.open(NOBODY, by(owner))
    expect([pipes.length, pool.size]).toEqual([3, 3])
  })

  test('outlives each session, and ends when its owner has had none for long', async () => {
    const { pool, pipes } = poolOf('identity', { idleSeconds: 60 })
    const links = [pool.open(NOBODY, by('a')), pool.open(NOBODY, by('a'))]
    await links[0]?.close()
    vi.advanceTimersByTime(300_000)
    await links[1]?.close()
    vi.advanceTimersByTime(30_000)
    expect([pool.size, pipes[0]?.closed]).toEqual([1, false])
    vi.advanceTimersByTime(60_000)
    expect([pool.size, pipes[0]?.closed]).toEqual([0, true])
    pool.open(NOBODY, by('a'))
    expect(pipes).toHaveLength(2)
  })

  test('is opened anew when it has ended, for its owner alone', () => {
    const { pool, pipes } = poolOf('identity')
    const ended: string[] = []
    for (const owner of ['a', 'b']) pool.open({ ...NOBODY, ended: () => ended.push(owner) }, by(owner))
    pipes[0]?.ends(GONE)
    for (const owner of ['a', 'b']) pool.open(NOBODY, by(owner))
    expect([ended, pipes.length, pool.size]).toEqual([['a'], 3, 2])
  })

  test('keeps equal ids of two sessions apart', () => {
    const { pool, pipes } = poolOf('identity')
    const answers: string[] = []
    for (const name of ['first', 'second']) {
      const reply: Reply = { message: () => {}, answer: (_id, text) => answers.push(`${name} ${String(text)}`), failed: () => {}, withdrawn: () => {} }
      pool.open(NOBODY, by('a')).send(parsePost(Buffer.from('{"jsonrpc":"2.0","id":7,"method":"ping"}'), 9), {}, reply)
    }
    const [first, second] = pipes[0]?.taken() ?? []
    pipes[0]?.says({ jsonrpc: '2.0', id: second?.['id'], result: {} })
    pipes[0]?.says({ jsonrpc: '2.0', id: first?.['id'], result: {} })
    expect(answers).toEqual(['second {"jsonrpc":"2.0","id":7,"result":{}}', 'first {"jsonrpc":"2.0","id":7,"result":{}}'])
  })
})

describe('requests without a session', () => {
  test('share a pipe with others of their caller, and with nobody else', () => {
    const { pool, pipes } = poolOf('session')
    for (const caller of ['a', 'b', 'a', '__proto__', 'b']) pool.stateless(by(caller))
    expect(pipes).toHaveLength(3)
  })

  test('are refused at the cap', () => {
    const { pool, pipes } = poolOf('session', { children: 1 })
    pool.stateless(by('a'))
    expect(refusalOf(() => pool.stateless(by('b')))).toBe('busy')
    expect(refusalOf(() => pool.stateless(by('a')))).toBeUndefined()
    expect(pipes).toHaveLength(1)
  })

  test('are let in at the cap by the pipe that nobody has used for longest', async () => {
    const { pool, pipes } = poolOf('session', { children: 3 })
    for (const owner of ['a', 'b', 'c']) {
      vi.advanceTimersByTime(1000)
      const link = pool.stateless(by(owner))
      if (owner !== 'a') await link.close()
    }
    await pool.stateless(by('b')).close()
    vi.advanceTimersByTime(1000)
    await pool.stateless(by('b')).close()
    pool.stateless(by('d'))
    expect([pool.size, ...pipes.map(({ closed }) => closed)]).toEqual([3, false, false, true, false])
  })

  test('leave a pipe that ends when nobody has used it for long', async () => {
    const { pool, pipes } = poolOf('session', { idleSeconds: 60 })
    const links = [pool.stateless(by('a')), pool.stateless(by('a'))]
    await links[0]?.close()
    vi.advanceTimersByTime(300_000)
    expect(pipes[0]?.closed).toBe(false)
    await links[1]?.close()
    vi.advanceTimersByTime(30_000)
    expect(pipes[0]?.closed).toBe(false)
    vi.advanceTimersByTime(60_000)
    expect([pool.size, pipes[0]?.closed]).toEqual([0, true])
    pool.stateless(by('a'))
    expect(pipes).toHaveLength(2)
  })

  test('get a new pipe when theirs has ended', () => {
    const { pool, pipes } = poolOf('session')
    pool.stateless(by('a'))
    pipes[0]?.ends(GONE)
    pool.stateless(by('a'))
    expect([pipes.length, pool.size]).toEqual([2, 1])
  })
})

test('a pool that is closed has ended every pipe and opens none', async () => {
  const { pool, pipes } = poolOf('session')
  pool.open(NOBODY, by('a'))
  pool.stateless(by('a'))
  await pool.close()
  expect([pool.size, ...pipes.map(({ closed }) => closed)]).toEqual([0, true, true])
  expect([refusalOf(() => pool.open(NOBODY, by('a'))), refusalOf(() => pool.stateless(by('a'))), pipes.length]).toEqual(['stopping', 'stopping', 2])
})

describe('a caller who hoards', () => {
  test('has half of the pipes at most, and the others find room', () => {
    const { pool } = poolOf('session', { children: 3 })
    expect([0, 1, 2].map(() => refusalOf(() => pool.open(NOBODY, by('a'))))).toEqual([undefined, undefined, 'busy'])
    expect(refusalOf(() => pool.open(NOBODY, by('b')))).toBeUndefined()
  })

  test('is nobody where nobody is asked: all pipes are theirs', () => {
    const { pool } = poolOf('session', { children: 3 })
    expect([0, 1, 2, 3].map(() => refusalOf(() => pool.open(NOBODY, ANYBODY)))).toEqual([undefined, undefined, undefined, 'busy'])
  })
})

test.each(['identity', 'session'] as const)('isolation by %s: what runs for a caller who is over ends, and nothing else', async (isolation) => {
  const { pool, pipes } = poolOf(isolation)
  for (const owner of ['a', 'b']) pool.stateless(by(owner))
  if (isolation === 'identity') for (const owner of ['a', 'b']) pool.open(NOBODY, by(owner))
  await pool.endOf(({ id }) => id === 'a')
  expect(pipes.map(({ closed }) => closed)).toEqual(isolation === 'identity' ? [true, false, true, false] : [true, false])
})
