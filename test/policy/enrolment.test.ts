import { beforeEach, expect, test } from 'vitest'

import { createEnrolment, type Enrolment } from '../../src/policy/enrolment.ts'
import { listTrust } from '../../src/policy/rules.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/shapes.ts'

const ALICE = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'

let nowMs: number
let store: Store
let enrolment: Enrolment
beforeEach(() => {
  nowMs = 0
  store = createMemoryStore({ now: () => nowMs })
  enrolment = createEnrolment({ store, now: () => nowMs })
})

test('who redeems the secret is trusted without limits', async () => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  expect(secret).toMatch(/^[\w-]{43}$/)
  expect(await enrolment.redeem(secret, ALICE)).toBe(true)
  expect(await listTrust(store)).toEqual([{ id: ALICE }])
})

test('of many that redeem it at once one is trusted', async () => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  const redeemed = await Promise.all(Array.from({ length: 20 }, (_, n) => enrolment.redeem(secret, `https://issuer.example|${n}`)))
  expect(redeemed.filter(Boolean)).toHaveLength(1)
  expect(await listTrust(store)).toHaveLength(1)
})

test('after its time it is good for nobody', async () => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  nowMs = 900_000
  expect(await enrolment.redeem(secret, ALICE)).toBe(false)
  expect(await listTrust(store)).toEqual([])
})

test('the store does not hold the secret', async () => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  expect(JSON.stringify(await store.list('enrolment'))).not.toContain(secret)
})

test.each(['', 'x', 'A'.repeat(43), 'A'.repeat(100_000)])('another secret is refused, and the true one stays good', async (other) => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  expect(await enrolment.redeem(other, ALICE)).toBe(false)
  expect(await enrolment.redeem(secret, ALICE)).toBe(true)
})

test.each(['https://issuer.example|*', 'any', 'did:key:*', 'did:web:*.example.com', ''])(
  'an identity that would be the rule %j for many is refused',
  async (identity) => {
    const secret = await enrolment.issue({ lifetimeSeconds: 900 })
    expect(await enrolment.redeem(secret, identity)).toBe(false)
    expect(await listTrust(store)).toEqual([])
    expect(await enrolment.redeem(secret, ALICE)).toBe(true)
  },
)

test('when the rule cannot be written nobody is trusted, and the secret is used up', async () => {
  const secret = await enrolment.issue({ lifetimeSeconds: 900 })
  const failing = createEnrolment({ store: { ...store, put: () => Promise.reject(new Error('full')) }, now: () => nowMs })
  await expect(failing.redeem(secret, ALICE)).rejects.toThrow('full')
  expect(await enrolment.redeem(secret, ALICE)).toBe(false)
})
