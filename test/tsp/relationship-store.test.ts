import { beforeEach, describe, expect, test } from 'vitest'

import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/shapes.ts'
import { digestOver } from '../../src/tsp/digest.ts'
import { inviteSent, NO_RELATIONSHIP } from '../../src/tsp/relationship.ts'
import { createKeptRelationships, NOTHING_HELD, type KeptRelationships } from '../../src/tsp/relationship-store.ts'
import { alice, bob, carol } from './vectors.ts'

const [invite, accept] = ['a', 'b'].map((word) => digestOver('sha256', Buffer.from(word)))
if (invite === undefined || accept === undefined) throw new Error('there are two')

let nowMs = 0
let store: Store
let kept: KeptRelationships
beforeEach(() => {
  nowMs = 0
  store = createMemoryStore({ now: () => nowMs })
  kept = createKeptRelationships({ store, lifeSeconds: 60, now: () => nowMs })
})

describe('a relationship that is kept', () => {
  test.each([inviteSent(invite), { state: 'invite-received', invite } as const, { state: 'bidirectional', invite, accept } as const])(
    'is there again: $state',
    async (relationship) => {
      await kept.put(alice.vid, bob.vid, relationship)
      expect((await kept.get(alice.vid, bob.vid)).relationship).toEqual(relationship)
      expect([await kept.get(bob.vid, alice.vid), await kept.get(alice.vid, carol.vid)]).toEqual([NOTHING_HELD, NOTHING_HELD])
    },
  )

  test('is found by the long form that was shown once', async () => {
    await kept.put(alice.vid, bob.vid, { state: 'invite-received', invite }, bob.long)
    await kept.put(alice.vid, bob.vid, { state: 'bidirectional', invite, accept }, bob.vid)
    await kept.put(carol.vid, alice.vid, inviteSent(invite), alice.long)
    expect(await kept.remotesOf(alice.vid)).toEqual([bob.long])
  })

  test('is read from the store again after half a second, where another process may have ended it', async () => {
    await kept.put(alice.vid, bob.vid, inviteSent(invite))
    const { id } = await kept.get(alice.vid, bob.vid)
    expect(id).not.toBe('')
    await store.remove('tsp', `${alice.vid} ${bob.vid}`)
    nowMs = 499
    expect((await kept.get(alice.vid, bob.vid)).id).toBe(id)
    nowMs = 500
    expect(await kept.get(alice.vid, bob.vid)).toEqual(NOTHING_HELD)
  })

  test('that is ended while it is read is not believed to be there', async () => {
    await kept.put(alice.vid, bob.vid, inviteSent(invite))
    const reading = kept.get(alice.vid, bob.vid)
    await kept.put(alice.vid, bob.vid, NO_RELATIONSHIP)
    await reading
    expect(await kept.get(alice.vid, bob.vid)).toEqual(NOTHING_HELD)
  })

  test('ends', async () => {
    await kept.put(alice.vid, bob.vid, inviteSent(invite))
    await kept.put(alice.vid, bob.vid, NO_RELATIONSHIP)
    expect([(await kept.get(alice.vid, bob.vid)).relationship, await kept.remotesOf(alice.vid)]).toEqual([NO_RELATIONSHIP, []])
  })

  test('ends when nothing of it changed for its time', async () => {
    await kept.put(alice.vid, bob.vid, inviteSent(invite))
    nowMs = 60_001
    expect((await kept.get(alice.vid, bob.vid)).relationship).toEqual(NO_RELATIONSHIP)
  })

  test('takes an invite once, of each pair, also when it is opened again and after the relationship has ended', async () => {
    const first = await kept.isFirst(alice.vid, bob.vid, invite)
    await kept.put(alice.vid, bob.vid, NO_RELATIONSHIP)
    nowMs = 6 * 24 * 3600 * 1000
    const again = createKeptRelationships({ store, lifeSeconds: 60, now: () => nowMs })
    expect([first, await again.isFirst(alice.vid, bob.vid, invite), await again.isFirst(bob.vid, alice.vid, invite)]).toEqual([true, false, true])
  })

  test.each([
    '',
    '{}',
    '{"relationship":{"state":"bidirectional","invite":"20","accept":"20"},"written":"did:web:example.com"}',
    '{"relationship":{"state":"none"}}',
  ])('is none when its row says %s', async (value) => {
    await store.put('tsp', { key: `${alice.vid} ${bob.vid}`, value, expiresAtMs: undefined })
    expect([(await kept.get(alice.vid, bob.vid)).relationship, await kept.remotesOf(alice.vid)]).toEqual([NO_RELATIONSHIP, []])
  })
})
