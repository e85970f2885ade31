import { expect, test } from 'vitest'

import type { OpenMcpError } from '../../src/errors.ts'
import { addTrust, listTrust, parseTrustRule, removeTrust } from '../../src/policy/rules.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const ALICE = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'

test('a rule is read as it is meant', () => {
  expect(parseTrustRule({ id: ALICE })).toEqual({ id: ALICE })
  expect(parseTrustRule({ id: 'any', scopes: [], tools: [] })).toEqual({ id: 'any', scopes: [], tools: [] })
  expect(parseTrustRule({ id: 'did:web:*.example.com', scopes: ['mcp:tools', 'mcp:tools'], tools: ['read_*'], until: '2027-01-31' })).toEqual({
    id: 'did:web:*.example.com',
    scopes: ['mcp:tools'],
    tools: ['read_*'],
    untilMs: Date.UTC(2027, 0, 31),
  })
  expect(parseTrustRule({ id: ALICE, until: '2027-01-31T12:00:00+02:00' })).toEqual({ id: ALICE, untilMs: Date.UTC(2027, 0, 31, 10) })
})

test.each<[unknown, string]>([
  [undefined, 'is an object'],
  [ALICE, 'is an object'],
  [[], 'is an object'],
  [{}, 'id: '],
  [{ id: '*' }, 'write any'],
  [{ id: 5 }, 'id: '],
  [{ id: 'alice' }, 'id: '],
  [{ id: ALICE, scopes: 'mcp' }, 'scopes: must be a list'],
  [{ id: ALICE, scopes: ['email'] }, '"email" is none of'],
  [{ id: ALICE, tools: [5] }, 'tools: must be a list'],
  [{ id: ALICE, tools: [''] }, 'tools: a pattern has'],
  [{ id: ALICE, tools: ['a'.repeat(257)] }, 'tools: a pattern has'],
  [{ id: ALICE, tools: Array.from({ length: 257 }, String) }, 'tools: at most'],
  [{ id: ALICE, until: 'tomorrow' }, 'until: '],
  [{ id: ALICE, until: '2027-01-31T12:00:00' }, 'until: '],
  [{ id: ALICE, until: '2027-13-01' }, 'until: '],
  [{ id: ALICE, untilMs: 5 }, '"untilMs" is not a member'],
  [{ id: ALICE, tool: [] }, '"tool" is not a member'],
  [JSON.parse('{"id":"any","__proto__":{}}'), '"__proto__" is not a member'],
])('%j is refused with words', (value, words) => {
  expect(() => parseTrustRule(value)).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringContaining(words) }))
})

test('all mistakes are told at once', () => {
  let refusal: OpenMcpError | undefined
  try {
    parseTrustRule({ id: '*', scopes: ['email'], tools: [''], until: 'x', more: 1 })
  } catch (thrown) {
    refusal = thrown as OpenMcpError // the assertion below looks at it
  }
  expect(refusal?.message.split('; ')).toHaveLength(5)
})

test('rules are kept as they were added, one for each id, and removed', async () => {
  let nowMs = 0
  const store = createMemoryStore({ now: () => nowMs })
  await addTrust(store, { id: ALICE, tools: ['a'] })
  await addTrust(store, { id: ALICE, scopes: [], untilMs: 10 })
  await addTrust(store, { id: 'any' })
  expect(await listTrust(store)).toEqual([{ id: 'any' }, { id: ALICE, scopes: [], untilMs: 10 }])
  nowMs = 10
  expect(await listTrust(store)).toEqual([{ id: 'any' }])
  expect([await removeTrust(store, 'any'), await removeTrust(store, 'any')]).toEqual([true, false])
  expect(await listTrust(store)).toEqual([])
})

test.each(['', '{', '[]', '{"id":"any"}', `{"id":"${ALICE}","scopes":["all"]}`])('a row of %j allows nothing, and is told', async (value) => {
  const store = createMemoryStore({ now: () => 0 })
  await store.put('trust', { key: ALICE, value, expiresAtMs: undefined })
  const told: string[] = []
  expect(await listTrust(store, (id) => told.push(id))).toEqual([{ id: ALICE, scopes: [], tools: [], servers: [] }])
  expect(told).toEqual([ALICE])
})
