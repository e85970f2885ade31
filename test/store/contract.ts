// What every driver of the store holds to.
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Store, Table } from '../../src/store/shapes.ts'

const TABLES: readonly Table[] = ['trust', 'revoked', 'deactivated', 'enrolment', 'replay']
const FOLLOWED: readonly Table[] = ['trust', 'revoked', 'deactivated']

export function storeContract(open: (options: { now: () => number }) => Promise<Store>): void {
  let nowMs: number
  let store: Store

  beforeEach(async () => {
    nowMs = 1_000_000
    store = await open({ now: () => nowMs })
  })
  afterEach(() => store.close())

  describe.each(TABLES)('in the table %s', (table) => {
    test('a row that was put is there as it was, and an unknown one is not', async () => {
      const row = { key: "did:web:ex'ample.com|\u{1F511}", value: '{"a":"ü"}', expiresAtMs: nowMs + 1 }
      await store.put(table, row)
      expect(await store.get(table, row.key)).toEqual(row)
      expect(await store.get(table, 'did:web:other')).toBeUndefined()
    })

    test('a row without an end stays', async () => {
      await store.put(table, { key: 'a', value: '', expiresAtMs: undefined })
      nowMs = Number.MAX_SAFE_INTEGER
      expect(await store.get(table, 'a')).toEqual({ key: 'a', value: '', expiresAtMs: undefined })
      expect(await store.add(table, { key: 'a', value: 'again', expiresAtMs: undefined })).toBe(false)
    })

    test('a row whose time has come is not there for anybody', async () => {
      const row = { key: 'a', value: 'x', expiresAtMs: nowMs + 10 }
      await store.put(table, row)
      nowMs += 10
      expect(await store.get(table, 'a')).toBeUndefined()
      expect(await store.list(table)).toEqual([])
      expect(await store.take(table, 'a')).toBeUndefined()
      expect(await store.remove(table, 'a')).toBe(false)
    })

    test('a row is added once until it expires, and the first value stays', async () => {
      expect(await store.add(table, { key: 'a', value: 'first', expiresAtMs: nowMs + 10 })).toBe(true)
      expect(await store.add(table, { key: 'a', value: 'second', expiresAtMs: nowMs + 99 })).toBe(false)
      nowMs += 9
      expect(await store.get(table, 'a')).toMatchObject({ value: 'first' })
      nowMs += 1
      expect(await store.add(table, { key: 'a', value: 'third', expiresAtMs: nowMs + 10 })).toBe(true)
      expect(await store.get(table, 'a')).toMatchObject({ value: 'third' })
    })

    test('putting takes the place of what was there', async () => {
      await store.put(table, { key: 'a', value: '1', expiresAtMs: nowMs + 10 })
      await store.put(table, { key: 'a', value: '2', expiresAtMs: undefined })
      expect(await store.list(table)).toEqual([{ key: 'a', value: '2', expiresAtMs: undefined }])
    })

    test('what is taken is gone, and one of many gets it', async () => {
      await store.put(table, { key: 'a', value: 'x', expiresAtMs: nowMs + 10 })
      const taken = await Promise.all(Array.from({ length: 20 }, () => store.take(table, 'a')))
      expect(taken.filter((row) => row !== undefined)).toEqual([{ key: 'a', value: 'x', expiresAtMs: nowMs + 10 }])
      expect(await store.get(table, 'a')).toBeUndefined()
    })

    test('what still has its value is swapped or removed, and one of many does it', async () => {
      await store.put(table, { key: 'a', value: '1', expiresAtMs: nowMs + 10 })
      expect(await store.swap(table, 'a', '2', { value: '3', expiresAtMs: undefined })).toBe(false)
      expect(await store.swap(table, 'b', '1', { value: '3', expiresAtMs: undefined })).toBe(false)
      const swapped = await Promise.all(Array.from({ length: 20 }, (_, n) => store.swap(table, 'a', '1', { value: `by ${n}`, expiresAtMs: nowMs + 20 })))
      expect(swapped.filter(Boolean)).toHaveLength(1)
      const value = `by ${swapped.indexOf(true)}`
      expect(await store.list(table)).toEqual([{ key: 'a', value, expiresAtMs: nowMs + 20 }])
      expect(await store.swap(table, 'a', '1', undefined)).toBe(false)
      expect(await store.swap(table, 'a', value, undefined)).toBe(true)
      expect(await store.swap(table, 'a', value, undefined)).toBe(false)
      await store.put(table, { key: 'a', value: '1', expiresAtMs: nowMs + 10 })
      nowMs += 10
      for (const by of [undefined, { value: '2', expiresAtMs: undefined }]) expect(await store.swap(table, 'a', '1', by)).toBe(false)
    })

    test('removing says whether there was a row', async () => {
      await store.put(table, { key: 'a', value: 'x', expiresAtMs: undefined })
      expect([await store.remove(table, 'a'), await store.remove(table, 'a')]).toEqual([true, false])
    })

    test('a list is in the order of its keys and of this table alone', async () => {
      for (const key of ['b', 'a', 'ä', 'B', '\u{1F511}', '\uFF5E']) await store.put(table, { key, value: key, expiresAtMs: undefined })
      for (const other of TABLES) if (other !== table) await store.put(other, { key: 'c', value: '', expiresAtMs: undefined })
      expect((await store.list(table)).map(({ key }) => key)).toEqual(['B', 'a', 'b', 'ä', '\uFF5E', '\u{1F511}'])
    })

    test('many at once that add one key: one gets true', async () => {
      const added = await Promise.all(Array.from({ length: 50 }, (_, n) => store.add(table, { key: 'a', value: String(n), expiresAtMs: nowMs + 10 })))
      expect(added.filter(Boolean)).toHaveLength(1)
    })
  })

  test.each(FOLLOWED)('the version is another one after every change to %s, and the same after none', async (table) => {
    const seen = [await store.version()]
    const changes = [
      () => store.put(table, { key: 'a', value: '1', expiresAtMs: undefined }),
      () => store.put(table, { key: 'a', value: '2', expiresAtMs: undefined }),
      () => store.add(table, { key: 'b', value: '', expiresAtMs: undefined }),
      () => store.take(table, 'a'),
      () => store.remove(table, 'b'),
      () => store.put(table, { key: 'c', value: '1', expiresAtMs: undefined }),
      () => store.swap(table, 'c', '1', { value: '2', expiresAtMs: undefined }),
      () => store.swap(table, 'c', '2', undefined),
    ]
    for (const change of changes) {
      await change()
      seen.push(await store.version())
    }
    expect(new Set(seen).size).toBe(seen.length)
    await store.remove(table, 'nobody')
    await store.take(table, 'nobody')
    await store.swap(table, 'nobody', '', undefined)
    await store.list(table)
    expect(await store.version()).toBe(seen.at(-1))
  })

  test('the version is not moved by what nobody follows', async () => {
    const before = await store.version()
    await store.add('replay', { key: 'a', value: '', expiresAtMs: nowMs + 10 })
    await store.put('enrolment', { key: 'a', value: '', expiresAtMs: nowMs + 10 })
    expect(await store.version()).toBe(before)
  })

  test('expired rows are removed in passing, and none that has not expired', async () => {
    for (let n = 0; n < 500; n++) await store.add('replay', { key: `old${n}`, value: '', expiresAtMs: nowMs + 10 })
    nowMs += 10
    for (let n = 0; n < 500; n++) await store.add('replay', { key: `new${n}`, value: '', expiresAtMs: nowMs + 10 })
    nowMs -= 10
    // The clock is put back only to see what is left.
    const left = (await store.list('replay')).map(({ key }) => key)
    expect(left.filter((key) => key.startsWith('new'))).toHaveLength(500)
    expect(left.filter((key) => key.startsWith('old')).length).toBeLessThan(250)
  })

  test('a closed store does nothing, and may be closed again', async () => {
    await store.close()
    await store.close()
    await expect(store.add('replay', { key: 'a', value: '', expiresAtMs: nowMs + 1 })).rejects.toMatchObject({ code: 'store_failed' })
    await expect(store.version()).rejects.toMatchObject({ code: 'store_failed' })
  })

  test('does what a plain map would do, whatever comes in whatever order', async () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const ends = fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined })
    const act = fc.oneof(
      fc.record({ what: fc.constantFrom('add' as const, 'put' as const), key, ends }),
      fc.record({ what: fc.constantFrom('get' as const, 'take' as const, 'remove' as const), key, ends: fc.constant(undefined) }),
      fc.record({ what: fc.constant('wait' as const), key, ends: fc.integer({ min: 1, max: 10 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (acts) => {
        for (const { key: left } of await store.list('enrolment')) await store.remove('enrolment', left)
        const model = new Map<string, { value: string; expiresAtMs: number | undefined }>()
        const there = (one: string): { value: string; expiresAtMs: number | undefined } | undefined => {
          const row = model.get(one)
          return row && (row.expiresAtMs === undefined || row.expiresAtMs > nowMs) ? row : undefined
        }
        for (const [n, { what, key: one, ends: inMs }] of acts.entries()) {
          const row = { key: one, value: String(n), expiresAtMs: inMs === undefined ? undefined : nowMs + inMs }
          const expected = there(one)
          const did = await {
            wait: async () => void (nowMs += inMs ?? 0),
            put: () => store.put('enrolment', row),
            add: () => store.add('enrolment', row),
            remove: () => store.remove('enrolment', one),
            get: () => store.get('enrolment', one),
            take: () => store.take('enrolment', one),
          }[what]()
          const found = expected && { key: one, ...expected }
          expect(did).toEqual({ wait: undefined, put: undefined, add: !expected, remove: expected !== undefined, get: found, take: found }[what])
          if (what === 'put' || (what === 'add' && !expected)) model.set(one, { value: row.value, expiresAtMs: row.expiresAtMs })
          if (what === 'take' || what === 'remove') model.delete(one)
        }
      }),
      { numRuns: 30 },
    )
  })
}
