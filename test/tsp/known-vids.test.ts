import { beforeEach, describe, expect, test } from 'vitest'

import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/shapes.ts'
import { digestOver } from '../../src/tsp/digest.ts'
import { forgetVid, knownFormOf, knownLongForms, knowVid } from '../../src/tsp/known-vids.ts'
import { inviteSent } from '../../src/tsp/relationship.ts'
import { createKeptRelationships } from '../../src/tsp/relationship-store.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { alice, bob, carol } from './vectors.ts'

let nowMs = 0
let store: Store
beforeEach(() => {
  nowMs = 0
  store = createMemoryStore({ now: () => nowMs })
})

describe('the long form of a did:peer:4', () => {
  test('is known by its short one, until it is forgotten by either', async () => {
    for (const forgotten of [bob.vid, bob.long]) {
      await knowVid(store, bob.long, undefined)
      await knowVid(store, alice.long, undefined)
      expect([await knownFormOf(store, bob.vid), await knownFormOf(store, carol.vid)]).toEqual([bob.long, undefined])
      await forgetVid(store, forgotten)
      expect([await knownFormOf(store, bob.vid), await knownLongForms(store)]).toEqual([undefined, [alice.long]])
    }
  })

  test('is known no longer than it was said', async () => {
    await knowVid(store, bob.long, 1000)
    nowMs = 999
    expect(await knownFormOf(store, bob.vid)).toBe(bob.long)
    nowMs = 1000
    expect([await knownFormOf(store, bob.vid), await knownLongForms(store)]).toEqual([undefined, []])
  })

  test('is known of whoever has a relationship, and those that an operator said come last', async () => {
    const [invite] = ['a'].map((word) => digestOver('sha256', Buffer.from(word)))
    if (invite === undefined) throw new Error('there is one')
    await knowVid(store, alice.long, undefined)
    const kept = createKeptRelationships({ store, lifeSeconds: 60, now: () => nowMs })
    await kept.put(carol.vid, bob.vid, inviteSent(invite), bob.long)
    await kept.put(carol.vid, alice.vid, inviteSent(invite), alice.vid)
    expect(await knownLongForms(store)).toEqual([bob.long, alice.long])
  })

  test('is nothing to a VID that has one form', async () => {
    await knowVid(store, parseVid('did:web:example.com'), undefined)
    expect(await store.list('tsp')).toEqual([])
  })

  test.each<[string, unknown]>([
    ['the form of another', { written: alice.long }],
    ['a short form', { written: bob.vid }],
    ['no DID', { written: 'did:peer:4zQm' }],
    ['no text', { written: 7 }],
    ['nothing', {}],
    ['a list', []],
  ])('is not known from a row with %s', async (_what, row) => {
    await store.put('tsp', { key: `known ${bob.vid}`, value: JSON.stringify(row), expiresAtMs: undefined })
    await store.put('tsp', { key: 'known x', value: 'no JSON', expiresAtMs: undefined })
    expect(await knownFormOf(store, bob.vid)).toBeUndefined()
    expect((await knownLongForms(store)).filter((long) => long !== alice.long)).toEqual([])
  })
})
