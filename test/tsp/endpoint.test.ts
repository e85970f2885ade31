import { describe, expect, test, vi } from 'vitest'

import type { DropReason } from '../../src/tsp/dropped.ts'
import { ownKeysOf } from '../../src/tsp/keys.ts'
import { sealMessage, signMessage } from '../../src/tsp/seal.ts'
import { until } from '../support/until.ts'
import { network, related, seed, type Node } from './network.ts'

describe('two endpoints', () => {
  test('that have never met form a relationship, and hear each other', async () => {
    const [alice, bob] = await related()
    await alice.endpoint.send(bob.vid, Buffer.from('hello bob'))
    await bob.endpoint.send(alice.vid, Buffer.from('hello alice'))
    await until('both', () => alice.heard.length + bob.heard.length === 2)
    expect([alice.heard, bob.heard]).toEqual([[[bob.vid, 'hello alice']], [[alice.vid, 'hello bob']]])
    expect([...alice.dropped, ...bob.dropped]).toEqual([])
  })

  test('hear messages in the order in which they were sent', async () => {
    const [alice, bob] = await related()
    const words = Array.from({ length: 50 }, (_none, index) => String(index))
    for (const word of words) await alice.endpoint.send(bob.vid, Buffer.from(word))
    await until('all', () => bob.heard.length === words.length)
    expect(bob.heard.map(([, word]) => word)).toEqual(words)
  })

  test('no longer hear each other when one has cancelled', async () => {
    const [alice, bob] = await related()
    await alice.endpoint.cancel(bob.vid)
    await until('the end', () => bob.states.includes('ended'))
    await expect(alice.endpoint.send(bob.vid, Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
    await expect(bob.endpoint.send(alice.vid, Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
    expect([alice.states, bob.states]).toEqual([
      ['formed', 'ended'],
      ['formed', 'ended'],
    ])
  })

  test('that both invite at once have one relationship', async () => {
    const add = network()
    const [alice, bob] = [add('alice'), add('bob')]
    await Promise.all([alice.endpoint.invite(bob.long), bob.endpoint.invite(alice.long)])
    await until('both', () => alice.states.includes('formed') && bob.states.includes('formed'))
    await alice.endpoint.send(bob.vid, Buffer.from('one'))
    await bob.endpoint.send(alice.vid, Buffer.from('two'))
    await until('both', () => alice.heard.length + bob.heard.length === 2)
    expect([alice.heard, bob.heard]).toEqual([[[bob.vid, 'two']], [[alice.vid, 'one']]])
  })

  test('meet again when one has forgotten the other', async () => {
    const add = network()
    const bob = add('bob')
    for (let times = 0; times < 2; times++) {
      const alice = add('alice')
      await alice.endpoint.invite(bob.long)
      await until('it is formed', () => alice.states.includes('formed'))
      await alice.endpoint.send(bob.vid, Buffer.from('hello'))
    }
    await until('both', () => bob.heard.length === 2)
    expect(bob.dropped).toEqual([])
  })
})

describe('an endpoint', () => {
  test('fetches nothing of whom it does not trust, and answers nothing', async () => {
    const add = network()
    const [alice, bob] = [add('alice'), add('bob', { trusts: async () => false })]
    await alice.endpoint.invite(bob.long)
    await until('it is dropped', () => bob.dropped.length > 0)
    expect([bob.dropped, bob.resolved, alice.states]).toEqual([['untrusted'], [], []])
  })

  test('stops to hear whom it trusts no more', async () => {
    let trusted = true
    const add = network()
    const [alice, bob] = [add('alice'), add('bob', { trusts: async () => trusted })]
    await alice.endpoint.invite(bob.long)
    await until('it is formed', () => alice.states.includes('formed'))
    trusted = false
    await alice.endpoint.send(bob.vid, Buffer.from('?'))
    await until('it is dropped', () => bob.dropped.length > 0)
    expect([bob.dropped, bob.heard]).toEqual([['untrusted'], []])
  })

  test('hears nobody who has not invited it', async () => {
    const add = network()
    const [alice, bob] = [add('alice'), add('bob')]
    await bob.endpoint.take(
      sealMessage({ from: { vid: alice.long, keys: alice.keys }, to: bob, payload: { kind: 'application', data: Buffer.from('?') } }).message,
    )
    expect([bob.dropped, bob.heard]).toEqual([['unrelated'], []])
  })

  test('hears nothing of a third one that has the name of a friend and other keys', async () => {
    const [alice, bob] = await related()
    const mallory = { vid: alice.vid, keys: ownKeysOf({ signing: seed('mallory signs'), opening: seed('mallory opens') }) }
    for (const vid of [alice.vid, alice.long]) {
      await bob.endpoint.take(sealMessage({ from: { ...mallory, vid }, to: bob, payload: { kind: 'application', data: Buffer.from('it is me') } }).message)
    }
    expect([bob.dropped, bob.heard]).toEqual([['signature', 'signature'], []])
  })

  test('does not take an accept of an invite that it has not sent', async () => {
    const [alice, bob] = await related()
    const { digest } = signMessage({ from: alice, payload: { kind: 'invite' } })
    if (digest === undefined) throw new Error('it has a digest')
    await bob.endpoint.take(sealMessage({ from: alice, to: bob, payload: { kind: 'accept', invite: digest } }).message)
    expect(bob.dropped).toEqual(['unrelated'])
  })

  test.each<[string, (alice: Node, bob: Node) => Buffer, DropReason]>([
    ['nonsense', () => Buffer.from('nonsense'), 'malformed'],
    [
      'what is not sealed',
      (alice, bob) => signMessage({ from: alice, to: bob.vid, payload: { kind: 'application', data: Buffer.from('?') } }).message,
      'unsupported',
    ],
    ['what is to nobody', (alice) => signMessage({ from: alice, payload: { kind: 'application', data: Buffer.from('?') } }).message, 'receiver'],
    ['what is to another', (alice) => sealMessage({ from: alice, to: alice, payload: { kind: 'application', data: Buffer.from('?') } }).message, 'receiver'],
    ['a control message', (alice, bob) => sealMessage({ from: alice, to: bob, payload: { kind: 'control', data: Buffer.from('?') } }).message, 'unsupported'],
    [
      'an invite with a route',
      (alice, bob) => sealMessage({ from: alice, to: bob, payload: { kind: 'invite', replyPath: [alice.vid] } }).message,
      'unsupported',
    ],
  ])('drops %s in silence', async (_what, messageOf, reason) => {
    const [alice, bob] = await related()
    const told = vi.spyOn(alice.endpoint, 'take')
    await bob.endpoint.take(messageOf(alice, bob))
    expect([bob.dropped, bob.heard, told.mock.calls]).toEqual([[reason], [], []])
  })

  test('looks at no more messages at once than it may', async () => {
    const [alice, bob] = await related({ mostAtOnce: 8 })
    const { message } = sealMessage({ from: alice, to: bob, payload: { kind: 'padding' } })
    await Promise.all([1, 2, 3].map(() => bob.endpoint.take(message)))
    await bob.endpoint.take(message)
    expect(bob.dropped).toEqual(['busy'])
  })

  test('does not know a short form that nobody has introduced', async () => {
    const add = network()
    const [alice, bob] = [add('alice'), add('bob')]
    await bob.endpoint.take(sealMessage({ from: alice, to: bob, payload: { kind: 'invite' } }).message)
    expect(bob.dropped).toEqual(['unresolved'])
    await expect(bob.endpoint.invite(alice.vid)).rejects.toMatchObject({ code: 'identity_unresolved' })
  })
})
