// What somebody attempts who can send any bytes, record those of others, and has a VID that is trusted for little or not at all.
import { describe, expect, test } from 'vitest'

import { sealMessage } from '../../src/tsp/seal.ts'
import { network } from '../tsp/network.ts'
import { until } from '../support/until.ts'

describe('a flood of forged messages', () => {
  test('under one name whose document hangs keeps nobody else from being heard', async () => {
    const add = network()
    const [slow, mallory, alice] = [add('slow'), add('mallory'), add('alice')]
    const bob = add('bob', { trusts: (vid) => (vid === slow.vid ? new Promise(() => {}) : Promise.resolve(true)), mostAtOnce: 32 })
    const { message } = sealMessage({ from: { vid: slow.vid, keys: mallory.keys }, to: bob, payload: { kind: 'padding' } })
    for (let sent = 0; sent < 100; sent++) void bob.endpoint.take(message)
    await alice.endpoint.invite(bob.long)
    await until('it is formed', () => alice.states.includes('formed'))
    await Promise.all(Array.from({ length: 4 }, () => alice.endpoint.send(bob.vid, Buffer.from('hello'))))
    await until('all of it', () => bob.heard.length === 4)
    expect(new Set(bob.dropped)).toEqual(new Set(['busy']))
  })

  test('under several such names neither', async () => {
    const add = network()
    const names = Array.from({ length: 8 }, (_, n) => add(`slow ${n}`))
    const alice = add('alice')
    const hanging = new Set(names.map(({ vid }) => vid))
    const bob = add('bob', { trusts: (vid) => (hanging.has(vid) ? new Promise(() => {}) : Promise.resolve(true)) })
    for (const { vid } of names) {
      const { message } = sealMessage({ from: { vid, keys: alice.keys }, to: bob, payload: { kind: 'padding' } })
      for (let sent = 0; sent < 300; sent++) void bob.endpoint.take(message)
    }
    await alice.endpoint.invite(bob.long)
    await until('it is formed', () => alice.states.includes('formed'))
    expect(bob.states).toEqual(['formed'])
  })
})
