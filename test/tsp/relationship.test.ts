import { describe, expect, test } from 'vitest'

import { digestOver, type Digest } from '../../src/tsp/digest.ts'
import { acceptSent, admits, inviteSent, nameOf, NO_RELATIONSHIP, received, type Relationship } from '../../src/tsp/relationship.ts'

const [low = none(), middle = none(), high = none(), other = none()] = ['a', 'b', 'c', 'd'].map((word) => digestOver('sha256', Buffer.from(word))).toSorted()
const invite = (digest: Digest) => ({ kind: 'invite', digest, replyPath: [] }) as const
const accept = (of: Digest, digest: Digest) => ({ kind: 'accept', invite: of, digest }) as const
const cancel = (digest: Digest) => ({ kind: 'cancel', digest }) as const
const both: Relationship = { state: 'bidirectional', invite: low, accept: high }

test('an invite and its accept form a relationship, known to both by both digests', () => {
  const callee = received(NO_RELATIONSHIP, invite(low))?.next ?? NO_RELATIONSHIP
  expect(callee).toEqual({ state: 'invite-received', invite: low })
  expect(acceptSent(callee, { invite: low, accept: high })).toEqual(both)
  expect(received(inviteSent(low), accept(low, high))?.next).toEqual(both)
})

describe('messages of the other', () => {
  test.each<[Relationship, boolean]>([
    [NO_RELATIONSHIP, false],
    [inviteSent(low), false],
    [{ state: 'invite-received', invite: low }, true],
    [both, true],
  ])('are taken in $state: %s', (now, taken) => {
    expect(admits(now)).toBe(taken)
  })
})

describe('an accept', () => {
  test.each<[string, Relationship]>([
    ['of nothing', NO_RELATIONSHIP],
    ['of another invite', inviteSent(other)],
    ['of our own accept', { state: 'invite-received', invite: low }],
    ['that comes twice', both],
  ])('%s changes nothing', (_what, now) => {
    expect(received(now, accept(low, high))).toBeUndefined()
  })

  test('of an invite that is not there is not sent', () => {
    for (const now of [NO_RELATIONSHIP, both, inviteSent(low)]) expect(acceptSent(now, { invite: low, accept: high })).toBeUndefined()
  })
})

describe('when both invite at once', () => {
  test('both are left with the lower digest', () => {
    expect(received(inviteSent(low), invite(high))).toBeUndefined()
    expect(received(inviteSent(high), invite(low))?.next).toEqual({ state: 'invite-received', invite: low })
  })
})

describe('an invite in a relationship', () => {
  test('begins it again, and takes nothing from whom it admits', () => {
    const again = received(both, invite(middle))?.next ?? NO_RELATIONSHIP
    expect(again).toEqual({ state: 'invite-received', invite: middle })
    expect(admits(again)).toBe(true)
  })

  test('that is the one that began it changes nothing: it was sent once more', () => {
    expect(received(both, invite(low))).toBeUndefined()
  })
})

describe('a cancellation', () => {
  test.each([
    ['the invite', low],
    ['the accept', high],
  ])('that names %s ends a relationship, and is answered', (_what, digest) => {
    expect(received(both, cancel(digest))).toEqual({ next: NO_RELATIONSHIP, cancelledBy: digest })
  })

  test('of an invite that was not accepted is not answered', () => {
    expect(received(inviteSent(low), cancel(low))).toEqual({ next: NO_RELATIONSHIP })
    expect(received({ state: 'invite-received', invite: low }, cancel(low))).toEqual({ next: NO_RELATIONSHIP })
  })

  test('of something else changes nothing', () => {
    for (const now of [NO_RELATIONSHIP, inviteSent(low), both]) expect(received(now, cancel(other))).toBeUndefined()
  })

  test('names the invite', () => {
    expect([both, inviteSent(low), NO_RELATIONSHIP].map(nameOf)).toEqual([low, low, undefined])
  })
})

function none(): Digest {
  throw new Error('there are four')
}
