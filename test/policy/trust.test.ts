import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import { createLog } from '../../src/observe/log.ts'
import { addTrust, parseTrustRule, removeTrust } from '../../src/policy/rules.ts'
import type { Trust, TrustRule } from '../../src/policy/shapes.ts'
import { createTrust } from '../../src/policy/trust.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/shapes.ts'

const ALICE = 'did:web:alice.example.com'
const BOB = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'

let nowMs: number
let store: Store
let lines: string[]
beforeEach(() => {
  nowMs = 0
  lines = []
  store = createMemoryStore({ now: () => nowMs })
})

const log = createLog({ level: 'debug', format: 'text', write: (line) => void lines.push(line), now: () => 0 })
const trusting = (...configured: TrustRule[]): Promise<Trust> => createTrust({ store, configured, now: () => nowMs, log })
const toolsOf = (trust: Trust, ...identities: string[]) => ['a', 'b', 'c'].filter((tool) => trust.standingOf(identities)?.mayUse(tool))

test('nobody is trusted until someone says so', async () => {
  const trust = await trusting()
  expect(trust.hasRules).toBe(false)
  expect(trust.standingOf([ALICE])).toBeUndefined()
  expect(trust.standingOf([])).toBeUndefined()
})

test('a rule without limits is everything, and needs no lists to be read', async () => {
  const standing = (await trusting({ id: ALICE })).standingOf([ALICE])
  expect(standing).toMatchObject({ scopes: ['mcp'], restricted: false })
  expect(standing?.mayUse('anything')).toBe(true)
})

test('servers are reached by their names; a rule without them is for all, and several identities reach what each of them does', async () => {
  const reached = (trust: Trust, ...identities: string[]) => ['git', 'git-2', 'mail'].filter((server) => trust.standingOf(identities)?.mayReach(server))
  const trust = await trusting({ id: ALICE, servers: ['git*'] }, { id: BOB, servers: ['mail', 'git'] }, { id: 'any' })
  expect(reached(trust, ALICE)).toEqual(['git', 'git-2'])
  expect(reached(trust, BOB)).toEqual(['git', 'mail'])
  expect(reached(trust, ALICE, BOB)).toEqual(['git'])
  expect(reached(trust, 'did:web:other.example')).toEqual(['git', 'git-2', 'mail'])
  expect(reached(await trusting({ id: ALICE, servers: [] }), ALICE)).toEqual([])
  await addTrust(store, { id: ALICE, servers: ['mail'] })
  expect(reached(await trusting(), ALICE)).toEqual(['mail'])
})

test('empty lists allow nothing', async () => {
  const trust = await trusting({ id: ALICE, scopes: [], tools: [] })
  expect(trust.standingOf([ALICE])).toMatchObject({ scopes: [], restricted: true })
  expect(toolsOf(trust, ALICE)).toEqual([])
})

describe('of several rules', () => {
  const rules: readonly TrustRule[] = [
    { id: 'any', tools: [] },
    { id: 'did:web:*', tools: ['a'] },
    { id: 'did:web:*.example.com', tools: ['b'] },
    { id: ALICE, tools: ['c'] },
  ]

  test.each([false, true])('the most specific one counts, wherever it stands', async (isTurned) => {
    const trust = await trusting(...(isTurned ? rules.toReversed() : rules))
    expect(toolsOf(trust, ALICE)).toEqual(['c'])
    expect(toolsOf(trust, 'did:web:bob.example.com')).toEqual(['b'])
    expect(toolsOf(trust, 'did:web:elsewhere.example')).toEqual(['a'])
    expect(toolsOf(trust, BOB)).toEqual([])
    expect(trust.standingOf([BOB])).toBeDefined()
  })

  test('of equal ones the configured one counts', async () => {
    await addTrust(store, { id: ALICE })
    expect(toolsOf(await trusting({ id: ALICE, tools: ['a'] }), ALICE)).toEqual(['a'])
  })

  test('one that cannot be read allows its identity nothing, though a wider one would', async () => {
    await store.put('trust', { key: ALICE, value: '{', expiresAtMs: undefined })
    const trust = await trusting({ id: 'any' })
    expect(trust.standingOf([ALICE])).toMatchObject({ scopes: [], restricted: true })
    expect(trust.standingOf([BOB])).toMatchObject({ scopes: ['mcp'] })
    expect(lines.some((line) => line.includes('cannot be read') && line.includes(ALICE))).toBe(true)
  })
})

test('any is warned about, once', async () => {
  const trust = await trusting({ id: 'any' })
  await trust.reload()
  expect(lines.filter((line) => line.includes('any identity'))).toHaveLength(1)
  await trusting({ id: ALICE })
  expect(lines).toHaveLength(1)
})

describe('the end of a rule', () => {
  test('comes by the clock alone, for those whose standing was asked before too', async () => {
    const trust = await trusting({ id: ALICE, untilMs: 100 })
    nowMs = 99
    expect(trust.standingOf([ALICE])).toBeDefined()
    nowMs = 100
    expect(trust.standingOf([ALICE])).toBeUndefined()
    expect(trust.hasRules).toBe(false)
  })

  test('leaves the rule behind it, one after the other', async () => {
    const trust = await trusting({ id: ALICE, untilMs: 100, tools: ['a'] }, { id: 'did:web:*', untilMs: 200, tools: ['b'] }, { id: 'any', tools: ['c'] })
    const seen = [0, 100, 200].map((ms) => {
      nowMs = ms
      return toolsOf(trust, ALICE)
    })
    expect(seen).toEqual([['a'], ['b'], ['c']])
  })

  test('of a stored rule is honoured without the store', async () => {
    await addTrust(store, { id: ALICE, untilMs: 100 })
    const trust = await trusting()
    nowMs = 100
    expect(trust.standingOf([ALICE])).toBeUndefined()
  })
})

test('what is added and removed counts after a reload', async () => {
  const trust = await trusting()
  await addTrust(store, { id: ALICE })
  expect(trust.standingOf([ALICE])).toBeUndefined()
  await trust.reload()
  expect(trust.standingOf([ALICE])).toBeDefined()
  await removeTrust(store, ALICE)
  await trust.reload()
  expect(trust.standingOf([ALICE])).toBeUndefined()
})

test('a deactivated identity is denied, even where any is trusted, and those it acts for with it', async () => {
  const trust = await trusting({ id: 'any' }, { id: ALICE })
  expect(trust.standingOf([ALICE])).toBeDefined()
  await store.put('deactivated', { key: ALICE, value: '', expiresAtMs: undefined })
  await trust.reload()
  expect(trust.standingOf([ALICE])).toBeUndefined()
  expect(trust.standingOf([BOB, ALICE])).toBeUndefined()
  expect(trust.standingOf([BOB])).toBeDefined()
})

test('when the store fails what was known stays, and the failure is told', async () => {
  let isFailing = false
  const failing: Store = { ...store, list: (table) => (isFailing ? Promise.reject(new OpenMcpError('store_failed', 'gone')) : store.list(table)) }
  await addTrust(store, { id: ALICE })
  const trust = await createTrust({ store: failing, configured: [], now: () => nowMs, log })
  isFailing = true
  await expect(trust.reload()).rejects.toMatchObject({ code: 'store_failed' })
  expect(trust.standingOf([ALICE])).toBeDefined()
  await expect(createTrust({ store: failing, configured: [], now: () => nowMs, log })).rejects.toMatchObject({ code: 'store_failed' })
})

test('several identities may what each of them may', async () => {
  const trust = await trusting({ id: ALICE, scopes: ['mcp'], tools: ['a', 'b'] }, { id: BOB, scopes: ['mcp:tools', 'introspect'], tools: ['b', 'c'] })
  expect(toolsOf(trust, ALICE, BOB)).toEqual(['b'])
  expect(trust.standingOf([ALICE, BOB])).toMatchObject({ scopes: ['mcp:tools'], restricted: true })
  expect(trust.standingOf([ALICE, 'did:web:stranger.example'])).toBeUndefined()
})

test('the same question has the same answer object until something changes, however many ask', async () => {
  const trust = await trusting({ id: 'any' })
  const first = trust.standingOf([ALICE])
  expect(trust.standingOf([ALICE])).toBe(first)
  for (let n = 0; n < 25_000; n++) trust.standingOf([`did:key:z${n}`])
  expect(trust.standingOf([ALICE])).toEqual({ ...first, mayUse: expect.any(Function), mayReach: expect.any(Function) })
})

test('a name that looks like a list of two is not mistaken for the two', async () => {
  const trust = await trusting({ id: ALICE }, { id: BOB })
  expect(trust.standingOf([ALICE, BOB])).toBeDefined()
  expect(trust.standingOf([JSON.stringify([ALICE, BOB])])).toBeUndefined()
})

test('does what a plain reading of the rules says, whatever they are', async () => {
  const IDENTITIES = [ALICE, BOB, 'did:web:example.com', 'did:web:b.alice.example.com:x', 'https://issuer.example|alice', 'https://issuer.example|bob']
  const id = fc.constantFrom(...IDENTITIES, 'any', 'did:web:*', 'did:key:*', 'did:web:*.example.com', 'did:web:*.alice.example.com', 'https://issuer.example|*')
  const glob = fc.array(fc.constantFrom('a', 'b', '*', '?'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
  const rule = fc.record(
    {
      id,
      tools: fc.array(glob, { maxLength: 3 }),
      scopes: fc.subarray(['mcp', 'mcp:tools', 'introspect']),
      until: fc.constantFrom('1970-01-02', '1970-01-04'),
    },
    { requiredKeys: ['id'] },
  )
  const tool = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }).map((parts) => parts.join(''))

  const fits = (pattern: string, identity: string): boolean => {
    if (pattern === 'any' || pattern === identity) return true
    // The patterns above hold no other character that a regular expression would read as more than itself.
    const source = pattern.replaceAll('|', '\\|').replaceAll('.', '\\.').replace(':*\\.', ':[^:|]+\\.')
    return pattern.includes('*') && new RegExp(`^${source.replace(/\*$/, '.+')}(:.*)?$`).test(identity)
  }
  const rank = (pattern: string): number => (pattern === 'any' ? 0 : pattern.includes('*') ? pattern.length : 10_000)

  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(rule, { selector: (one) => one.id }),
      fc.constantFrom(...IDENTITIES),
      tool,
      fc.integer({ min: 0, max: 5 }),
      async (rules, identity, name, day) => {
        nowMs = 0
        const trust = await trusting(...rules.map((one) => parseTrustRule(one)))
        trust.standingOf([identity])
        nowMs = day * 86_400_000
        const there = rules.filter((one) => (one.until === undefined || Date.parse(one.until) > nowMs) && fits(one.id, identity))
        const [best] = there.toSorted((a, b) => rank(b.id) - rank(a.id))
        const standing = trust.standingOf([identity])
        expect(standing === undefined).toBe(best === undefined)
        const globs = best?.tools?.map((text) => new RegExp(`^${text.replaceAll('*', '.*').replaceAll('?', '.')}$`))
        expect(standing?.mayUse(name)).toBe(best && (globs?.some((one) => one.test(name)) ?? true))
        expect(standing?.scopes).toEqual(best && (best.scopes ?? ['mcp']))
      },
    ),
    { numRuns: 300 },
  )
})
