import { expect, test } from 'vitest'

import { createMemoryStore } from '../../src/store/memory.ts'
import { openStore } from '../../src/store/open-store.ts'
import { storeContract } from './contract.ts'

storeContract((options) => openStore('memory:', options))

test('a store that is full takes nothing in: what was used once stays used', async () => {
  let nowMs = 0
  const store = createMemoryStore({ now: () => nowMs, mostRows: 3 })
  const row = (key: string) => ({ key, value: '', expiresAtMs: nowMs + 10 })
  for (const key of ['a', 'b', 'c']) expect(await store.add('replay', row(key))).toBe(true)
  await expect(store.add('replay', row('d'))).rejects.toMatchObject({ code: 'store_failed' })
  expect(await store.add('replay', row('a'))).toBe(false)
  nowMs = 10
  expect(await store.add('replay', row('d'))).toBe(true)
})

test('what was put in or given out can be changed without changing the store', async () => {
  const store = createMemoryStore({ now: () => 0 })
  const row = { key: 'a', value: 'x', expiresAtMs: undefined }
  await store.put('trust', row)
  row.value = 'changed'
  const found = await store.get('trust', 'a')
  if (found) found.value = 'changed'
  expect(await store.list('trust')).toEqual([{ key: 'a', value: 'x', expiresAtMs: undefined }])
})
