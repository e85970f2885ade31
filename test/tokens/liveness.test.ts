// Who is looked at, and how often; that what is open ends with a document is shown in test/security/ending.test.ts.
import { expect, test } from 'vitest'

import type { Resolution } from '../../src/identity/document.ts'
import { createLiveness } from '../../src/tokens/liveness.ts'

const MANY = Array.from({ length: 20 }, (_, index) => `did:web:agent${index}.example.com`)

interface Stage {
  look(): Promise<void>
  isGone(identity: string): boolean
  /** How often each was resolved. */
  counts(): number[]
  answer: Resolution['state']
  nowMs: number
}

function stage(): Stage {
  const asked: string[] = []
  const self: Stage = {
    nowMs: 0,
    answer: 'found',
    look: () => liveness.look(MANY),
    isGone: (identity) => liveness.isGone(identity),
    counts: () => MANY.map((identity) => asked.filter((one) => one === identity).length),
  }
  const liveness = createLiveness({
    resolver: {
      resolve(vid) {
        asked.push(vid)
        const { answer: state, nowMs: resolvedAtMs } = self
        if (state !== 'found') return Promise.resolve({ state, why: 'told so', resolvedAtMs })
        return Promise.resolve({ state, vid, authentication: [{ id: `${vid}#a`, alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' } }], resolvedAtMs })
      },
    },
    maxAgeMs: 60_000,
    now: () => self.nowMs,
  })
  return self
}

test('of many all have their turn, and none a second one before its time', async () => {
  const s = stage()
  for (let look = 0; look < 6; look++) await s.look()
  expect(new Set(s.counts())).toEqual(new Set([1]))
  s.nowMs = 60_001
  for (let look = 0; look < 6; look++) await s.look()
  expect(new Set(s.counts())).toEqual(new Set([2]))
})

test.each([
  ['deactivated', true],
  ['not_found', true],
  ['invalid', true],
  ['failed', false],
] as const)('a document that is %s: gone is %s', async (state, gone) => {
  const s = stage()
  await s.look()
  s.answer = state
  s.nowMs = 60_001
  await s.look()
  expect(s.isGone(MANY[0] ?? '')).toBe(gone)
})

test('who was gone and has nothing open any more is not gone for ever', async () => {
  const s = stage()
  s.answer = 'not_found'
  await s.look()
  expect(s.isGone(MANY[0] ?? '')).toBe(true)
  s.nowMs = 120_001
  expect(s.isGone(MANY[0] ?? '')).toBe(false)
})
