// Processes that change the keys of one identity at once, in any order of their steps, and one that dies between two of them.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { createKeyEnds, keyTokenId } from '../../src/api-keys/ends.ts'
import { createKeyRing, MOST_KEYS, type KeyList, type KeyRing } from '../../src/api-keys/key-ring.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/shapes.ts'
import { createRevocation } from '../../src/tokens/revocation.ts'

const ANN = 'did:web:ann.example'
const OF_ANN = { identity: ANN, label: '', scopes: ['mcp'], expiresAtMs: undefined }
const DAY_MS = 24 * 3_600_000

interface House {
  readonly store: Store
  /** What one process has of it; every step of it passes through here. */
  process(step: <T>(act: () => Promise<T>) => Promise<T>): Promise<KeyRing & KeyList>
  readonly ring: KeyRing & KeyList
  isEnded(id: string): Promise<boolean>
  pass(ms: number): void
}

async function house(): Promise<House> {
  let nowMs = Date.UTC(2026, 0, 1)
  const now = (): number => nowMs
  const store = createMemoryStore({ now })
  const process: House['process'] = async (step) => {
    const own: Store = {
      add: (...words) => step(() => store.add(...words)),
      put: (...words) => step(() => store.put(...words)),
      get: (...words) => step(() => store.get(...words)),
      take: (...words) => step(() => store.take(...words)),
      swap: (...words) => step(() => store.swap(...words)),
      remove: (...words) => step(() => store.remove(...words)),
      list: (...words) => step(() => store.list(...words)),
      version: () => step(store.version),
      close: store.close,
    }
    const revocation = await createRevocation({ store, now })
    const ends = createKeyEnds({ revocation: { ...revocation, ...(await createRevocation({ store: { ...own, list: store.list }, now })) }, now, ended() {} })
    return createKeyRing({ store: own, hashing: () => new Uint8Array(32), ends, now })
  }
  return {
    store,
    process,
    ring: await process((act) => act()),
    isEnded: async (id) => (await createRevocation({ store, now })).isRevoked(keyTokenId(id)),
    pass: (ms) => void (nowMs += ms),
  }
}

/** A process whose steps are taken when the scheduler says so. */
function scheduled({ process }: House, s: fc.Scheduler): Promise<KeyRing & KeyList> {
  return process(async (act) => {
    await s.schedule(Promise.resolve())
    return act()
  })
}

/** A process that dies before a step of it. */
function dying({ process }: House, steps: number): Promise<KeyRing & KeyList> {
  let left = steps
  return process(async (act) => {
    if (left-- <= 0) throw new Error('dead')
    return act()
  })
}

async function newKey(ring: KeyRing): Promise<{ secret: string; id: string }> {
  const made = await ring.create(OF_ANN)
  if (made === 'full') throw new Error('full')
  return { secret: made.secret, id: made.key.id }
}

async function works({ ring, isEnded }: House, secret: string): Promise<boolean> {
  const key = await ring.find(secret)
  return key !== undefined && !(await isEnded(key.id))
}

async function idsOf({ ring }: House): Promise<string[]> {
  return (await ring.listOf(ANN)).map(({ id }) => id)
}

const change = (overlapSeconds: number): { overlapSeconds: number; scopes: string[] } => ({ overlapSeconds, scopes: ['mcp'] })
const overlaps = fc.constantFrom(0, 30)

describe('at once', () => {
  test('of those who rotate one key one gets another, and it is what works', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(overlaps, { minLength: 2, maxLength: 3 }), async (s, seconds) => {
        const h = await house()
        const old = await newKey(h.ring)
        const rings = await Promise.all(seconds.map(() => scheduled(h, s)))
        const answers = Promise.all(rings.map((ring, index) => ring.rotate(ANN, old.id, change(seconds[index] ?? 0))))
        await s.waitFor(answers)
        const made = (await answers).filter((answer) => typeof answer === 'object')
        expect(made).toHaveLength(1)
        for (const { secret } of made) expect(await works(h, secret)).toBe(true)
        h.pass(31_000)
        expect(await works(h, old.secret)).toBe(false)
        expect(await idsOf(h)).toEqual(made.map(({ key }) => key.id))
      }),
    )
  })

  test('what is revoked while somebody rotates it is over, and stays over', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), overlaps, async (s, seconds) => {
        const h = await house()
        const old = await newKey(h.ring)
        const [one, other] = await Promise.all([scheduled(h, s), scheduled(h, s)])
        const answers = Promise.all([one.rotate(ANN, old.id, change(seconds)), other.revoke(ANN, old.id)])
        await s.waitFor(answers)
        const [made, revoked] = await answers
        for (const ms of [0, 8 * DAY_MS]) {
          h.pass(ms)
          // Revoked or rotated: one of them was told that it was.
          expect([revoked || typeof made === 'object', await h.ring.find(old.secret)]).toEqual([true, undefined])
          const fresh = typeof made === 'object' ? [made] : []
          expect(await idsOf(h)).toEqual(fresh.map(({ key }) => key.id))
          expect(await Promise.all(fresh.map(({ secret }) => works(h, secret)))).toEqual(fresh.map(() => true))
        }
      }),
    )
  })

  test('whoever makes, rotates and revokes: what was given works until it is taken back, and nobody has more than twenty', async () => {
    const acts = fc.array(fc.record({ kind: fc.constantFrom('create', 'rotate', 'revoke'), of: fc.nat(3), seconds: overlaps }), { minLength: 2, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), acts, async (s, all) => {
        const h = await house()
        for (let made = 0; made < MOST_KEYS - 4; made++) await newKey(h.ring)
        const first = [await newKey(h.ring), await newKey(h.ring), await newKey(h.ring)]
        const fresh: string[] = []
        const over = new Set<string>()
        const doing = all.map(async ({ kind, of, seconds }) => {
          const ring = await scheduled(h, s)
          const old = first[of % first.length]
          if (kind === 'create' || !old) {
            const made = await ring.create(OF_ANN)
            if (made !== 'full') fresh.push(made.secret)
          } else if (kind === 'rotate') {
            const made = await ring.rotate(ANN, old.id, change(seconds))
            if (typeof made === 'object') fresh.push(made.secret)
            if (typeof made === 'object' && seconds === 0) over.add(old.secret)
          } else if (await ring.revoke(ANN, old.id)) over.add(old.secret)
        })
        await s.waitFor(Promise.all(doing))
        for (const secret of fresh) expect(await works(h, secret)).toBe(true)
        for (const secret of over) expect(await h.ring.find(secret)).toBeUndefined()
        expect((await idsOf(h)).length).toBeLessThanOrEqual(MOST_KEYS)
      }),
    )
  })
})

describe('a process that dies between two steps', () => {
  const acts: readonly [string, (ring: KeyRing, id: string) => Promise<unknown>][] = [
    ['makes a key', (ring) => ring.create(OF_ANN)],
    ['rotates one', (ring, id) => ring.rotate(ANN, id, change(0))],
    ['rotates one with an overlap', (ring, id) => ring.rotate(ANN, id, change(30))],
    ['revokes one', (ring, id) => ring.revoke(ANN, id)],
  ]
  test.each(acts)(
    'as it %s leaves no key that works and is not listed, none that works again when time has passed, and room for twenty',
    async (_what, act) => {
      let isDone = false
      for (let steps = 0; !isDone; steps++) {
        const h = await house()
        const old = await newKey(h.ring)
        isDone = await act(await dying(h, steps), old.id).then(
          () => true,
          () => false,
        )
        let worked = true
        for (const ms of [0, 60_000, 8 * DAY_MS, 400 * DAY_MS]) {
          h.pass(ms)
          const does = await works(h, old.secret)
          expect(does && !worked).toBe(false)
          worked = does
          const listed = await idsOf(h)
          const isFound = (await h.ring.find(old.secret)) !== undefined
          expect(isFound).toBe(listed.includes(old.id))
          expect((await h.ring.all()).map(({ id }) => id).toSorted()).toEqual(listed.toSorted())
        }
        // Whatever it left can be revoked, and is no room that is lost.
        for (const id of await idsOf(h)) expect(await h.ring.revoke(ANN, id)).toBe(true)
        for (let made = 0; made < MOST_KEYS; made++) await newKey(h.ring)
        expect([await h.ring.create(OF_ANN), await works(h, old.secret)]).toEqual(['full', false])
      }
    },
  )
})

test('a key that was rotated with an overlap is not rotated again, and its end is not put off', async () => {
  const h = await house()
  const old = await newKey(h.ring)
  expect(await h.ring.rotate(ANN, old.id, change(30))).toBeTypeOf('object')
  expect(await h.ring.rotate(ANN, old.id, change(600))).toBe('over')
  expect(await h.ring.rotate(ANN, old.id, change(0))).toBe('over')
  expect(await h.ring.listOf(ANN)).toHaveLength(2)
  h.pass(31_000)
  expect(await works(h, old.secret)).toBe(false)
})

test('what has ended is remembered for a week after nothing of it is left', async () => {
  const h = await house()
  const old = await newKey(h.ring)
  const next = await h.ring.rotate(ANN, old.id, change(30))
  if (typeof next !== 'object') throw new Error('not rotated')
  await h.ring.revoke(ANN, next.key.id)
  h.pass(7 * DAY_MS)
  expect(await Promise.all([old.id, next.key.id].map(h.isEnded))).toEqual([true, false])
  h.pass(31_000)
  expect([await h.isEnded(old.id), await works(h, old.secret), await h.store.list('revoked')]).toEqual([false, false, []])
})

test('one that somebody revokes during its overlap ends at once', async () => {
  const h = await house()
  const old = await newKey(h.ring)
  await h.ring.rotate(ANN, old.id, change(3600))
  expect([await works(h, old.secret), await h.ring.revoke(ANN, old.id)]).toEqual([true, true])
  expect([await works(h, old.secret), await h.isEnded(old.id)]).toEqual([false, true])
})

test('somebody else does not see, rotate or revoke it', async () => {
  const h = await house()
  const { id } = await newKey(h.ring)
  const BOB = 'did:web:bob.example'
  expect([await h.ring.listOf(BOB), await h.ring.rotate(BOB, id, change(0)), await h.ring.revoke(BOB, id)]).toEqual([[], undefined, false])
  expect(await idsOf(h)).toEqual([id])
})

describe('room', () => {
  async function full(): Promise<House & { ids: string[] }> {
    const h = await house()
    const ids: string[] = []
    for (let made = 0; made < MOST_KEYS; made++) ids.push((await newKey(h.ring)).id)
    expect(await h.ring.create(OF_ANN)).toBe('full')
    return { ...h, ids }
  }

  test('is there again as soon as a key is revoked or over, and a key is rotated without any', async () => {
    const { ring, ids, pass } = await full()
    const [one = '', two = ''] = ids
    expect(await ring.rotate(ANN, one, change(30))).toBe('full')
    expect(await ring.rotate(ANN, one, change(0))).toBeTypeOf('object')
    expect(await ring.create(OF_ANN)).toBe('full')
    await ring.revoke(ANN, two)
    expect(await ring.create({ ...OF_ANN, expiresAtMs: Date.UTC(2026, 0, 1) + 1000 })).toBeTypeOf('object')
    expect(await ring.create(OF_ANN)).toBe('full')
    pass(1000)
    expect(await ring.create(OF_ANN)).toBeTypeOf('object')
  })

  test('that somebody has just taken is theirs for a minute, before their key is there', async () => {
    const h = await house()
    for (let made = 0; made < MOST_KEYS; made++) {
      // The mark, its slot, and dead before the key itself is written.
      const steps = made === 0 ? 2 : 3 + made
      await expect((await dying(h, steps)).create(OF_ANN)).rejects.toThrow('dead')
    }
    expect([await idsOf(h), await h.store.list('api_keys'), await h.ring.create(OF_ANN)]).toEqual([[], [], 'full'])
    h.pass(60_000)
    expect(await h.ring.create(OF_ANN)).toBeTypeOf('object')
  })

  test('is not lost to acts that are refused, and nothing else is left of them, nor of a key that was rotated', async () => {
    const h = await house()
    const rows = async (): Promise<number[]> => Promise.all((['api_keys', 'api_key_slots'] as const).map(async (table) => (await h.store.list(table)).length))
    const { id } = await newKey(h.ring)
    await h.ring.rotate(ANN, id, change(0))
    const [other = ''] = await idsOf(h)
    // One of the slots is the mark.
    expect(await rows()).toEqual([1, 2])
    await h.ring.rotate(ANN, other, change(600))
    for (const seconds of [0, 600]) expect(await h.ring.rotate(ANN, other, change(seconds))).toBe('over')
    expect(await rows()).toEqual([2, 3])
  })
})

test('when a key was used is written once an hour', async () => {
  const h = await house()
  let writes = 0
  const ring = await h.process((act) => {
    writes += 1
    return act()
  })
  const { secret } = await newKey(ring)
  const key = await ring.find(secret)
  if (!key) throw new Error('it is there')
  const before = writes
  for (let times = 0; times < 5; times++) ring.used(key)
  expect(writes - before).toBe(1)
  h.pass(3_600_000)
  ring.used(key)
  expect(writes - before).toBe(2)
  expect(await h.ring.listOf(ANN)).toMatchObject([{ lastUsedMs: Date.UTC(2026, 0, 1, 1) }])
})
