import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import type { Log } from '../../src/observe/log.ts'
import { ANYBODY, ownerOf, type Caller } from '../../src/protocol/caller.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import type { Session, SessionValue, Sessions } from '../../src/protocol/session.ts'
import { createSessions } from '../../src/relay/sessions.ts'

function callerOf(owner: string, more: Partial<Caller> = {}): Caller {
  return { ...ANYBODY, id: owner, owner, ...more }
}

const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, debugging: false }

interface Value extends SessionValue {
  closed: number
}

function valueOf(): Value {
  const value: Value = {
    closed: 0,
    close() {
      value.closed++
      return Promise.resolve()
    },
  }
  return value
}

function sessionsOf(limits: { sessions?: number; idleSeconds?: number } = {}): Sessions<Value> & { begin(caller: string): Session<Value> } {
  const sessions = createSessions<Value>({ limits: { ...DEFAULT_LIMITS, ...limits }, log: SILENT, now: Date.now })
  return Object.assign(sessions, { begin: (owner: string) => sessions.open(callerOf(owner), valueOf()) })
}

function refusalOf(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof OpenMcpError ? error.code : 'not one of ours'
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a session', () => {
  test('has a name of 256 random bits that no other has', () => {
    const { begin } = sessionsOf()
    const names = Array.from({ length: 200 }, () => begin('a').id)
    expect(new Set(names).size).toBe(200)
    expect(names.filter((name) => !/^[\w-]{43}$/.test(name))).toEqual([])
  })

  test('is found by its caller and does not exist for another', () => {
    const { begin, find } = sessionsOf()
    const session = begin('alice')
    expect(find(callerOf('alice'), session.id)).toBe(session)
    for (const other of ['bob', 'Alice', 'alice ', '', '__proto__']) expect(find(callerOf(other), session.id)).toBeUndefined()
  })

  test.each(['', 'x', '__proto__', 'constructor', ' '])('is not found by a name that was never given: %j', (name) => {
    const { begin, find } = sessionsOf()
    begin('a')
    expect(find(callerOf('a'), name)).toBeUndefined()
  })

  test('that has ended is not found, and what it stood on was closed once', async () => {
    const sessions = sessionsOf()
    const session = sessions.begin('a')
    await Promise.all([sessions.end(session), sessions.end(session)])
    await sessions.end(session)
    expect([sessions.find(callerOf('a'), session.id), sessions.size, session.value.closed]).toEqual([undefined, 0, 1])
  })

  test('is not found any more while what it stands on is still closing', () => {
    const sessions = sessionsOf()
    const session = sessions.open(callerOf('a'), { closed: 0, close: () => new Promise(() => {}) })
    void sessions.end(session)
    expect(sessions.find(callerOf('a'), session.id)).toBeUndefined()
  })
})

describe('a session that lies idle', () => {
  test('ends after its time', () => {
    const sessions = sessionsOf({ idleSeconds: 60 })
    const session = sessions.begin('a')
    vi.advanceTimersByTime(59_000)
    expect(sessions.size).toBe(1)
    vi.advanceTimersByTime(20_000)
    expect([sessions.size, session.value.closed]).toEqual([0, 1])
  })

  test('is kept by being used, by its own caller alone', () => {
    const sessions = sessionsOf({ idleSeconds: 60 })
    const [used, probed] = [sessions.begin('a'), sessions.begin('a')]
    for (let minute = 0; minute < 5; minute++) {
      vi.advanceTimersByTime(40_000)
      sessions.find(callerOf('a'), used.id)
      sessions.find(callerOf('b'), probed.id)
    }
    expect([used.value.closed, probed.value.closed]).toEqual([0, 1])
  })

  test('does not while it is held, and lies idle from the last release on', () => {
    const sessions = sessionsOf({ idleSeconds: 60 })
    const session = sessions.begin('a')
    const releases = [session.hold(), session.hold()]
    expect(sessions.held).toBe(1)
    releases[0]?.()
    releases[0]?.() // a release counts once
    vi.advanceTimersByTime(600_000)
    expect([sessions.held, session.value.closed]).toEqual([1, 0])
    releases[1]?.()
    vi.advanceTimersByTime(59_000)
    expect([sessions.held, session.value.closed]).toEqual([0, 0])
    vi.advanceTimersByTime(20_000)
    expect(session.value.closed).toBe(1)
  })
})

describe('at the cap', () => {
  test("the caller's own session that lay idle longest makes room", () => {
    const sessions = sessionsOf({ sessions: 3 })
    const mine = ['first', 'second', 'third'].map(() => {
      vi.advanceTimersByTime(1000)
      return sessions.begin('a')
    })
    sessions.find(callerOf('a'), mine[0]?.id ?? '')
    sessions.begin('a')
    expect(mine.map(({ value }) => value.closed)).toEqual([0, 1, 0])
    expect(sessions.size).toBe(3)
  })

  test("nobody else's session does", () => {
    const sessions = sessionsOf({ sessions: 2 })
    const others = [sessions.begin('a'), sessions.begin('a')]
    vi.advanceTimersByTime(100_000)
    expect(refusalOf(() => sessions.begin('b'))).toBe('busy')
    expect(others.map(({ value }) => value.closed)).toEqual([0, 0])
  })

  test('a session that is held does not', () => {
    const sessions = sessionsOf({ sessions: 2 })
    const held = [sessions.begin('a'), sessions.begin('a')]
    const releases = held.map((session) => session.hold())
    expect(refusalOf(() => sessions.begin('a'))).toBe('busy')
    releases[1]?.()
    expect(refusalOf(() => sessions.begin('a'))).toBeUndefined()
    expect(held.map(({ value }) => value.closed)).toEqual([0, 1])
  })

  test('a session that was refused leaves nothing behind', () => {
    const sessions = sessionsOf({ sessions: 1 })
    sessions.begin('a').hold()
    for (let times = 0; times < 5; times++) expect(refusalOf(() => sessions.begin('b'))).toBe('busy')
    expect(sessions.size).toBe(1)
  })
})

describe('a session and the credentials of its owner', () => {
  test('is found by another credential of the same identity, and is then of that one', () => {
    const sessions = sessionsOf()
    const { id } = sessions.open(callerOf('a', { tokenId: 'old' }), valueOf())
    const fresh = callerOf('a', { tokenId: 'fresh' })
    expect(sessions.find(fresh, id)?.caller).toBe(fresh)
  })

  test('is not found by one who acts for its owner, nor by the owner when another acts', () => {
    const sessions = sessionsOf()
    const acting = { id: 'a', act: ['agent'] }
    const forA = callerOf('a', { ...acting, owner: ownerOf(acting) })
    expect(sessions.find(forA, sessions.open(callerOf('a'), valueOf()).id)).toBeUndefined()
    expect(sessions.find(callerOf('a'), sessions.open(forA, valueOf()).id)).toBeUndefined()
  })

  test('ends when the credential that used it last is over, and not before', async () => {
    const sessions = sessionsOf()
    const open = (tokenId: string): Session<Value> => sessions.open(callerOf('a', { tokenId }), valueOf())
    const [left, refreshed, other] = [open('old'), open('old'), open('other')]
    refreshed.hold()
    left.hold()
    sessions.find(callerOf('a', { tokenId: 'fresh' }), refreshed.id)
    await sessions.endOf(({ tokenId }) => tokenId === 'old')
    expect([left, refreshed, other].map(({ value }) => value.closed)).toEqual([1, 0, 0])
    expect([sessions.size, sessions.find(callerOf('a'), left.id)]).toEqual([2, undefined])
  })

  test('ends before what it stands on has closed', () => {
    const sessions = sessionsOf()
    const session = sessions.open(callerOf('a'), { closed: 0, close: () => new Promise(() => {}) })
    void sessions.endOf(() => true)
    expect(sessions.find(callerOf('a'), session.id)).toBeUndefined()
  })
})

test('sessions that are closed end all, held or not', async () => {
  const sessions = sessionsOf()
  const all = [sessions.begin('a'), sessions.begin('b')]
  all[0]?.hold()
  await sessions.close()
  expect([sessions.size, ...all.map(({ value }) => value.closed)]).toEqual([0, 1, 1])
})
