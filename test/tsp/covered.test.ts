// What a message brings of another VID: the end of a route, and a VID that is introduced.
import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import type { NewPayload } from '../../src/tsp/payload-write.ts'
import { sealMessage } from '../../src/tsp/seal.ts'
import { until } from '../support/until.ts'
import { network, type Node } from './network.ts'

describe('a message that came through another', () => {
  test('is heard as what it is: of its own sender', async () => {
    const { alice, bob, between } = await route()
    await bob.endpoint.take(seal(between, bob, { kind: 'nested', message: hello(alice, bob) }))
    expect([bob.heard, bob.dropped]).toEqual([[[alice.vid, 'hello']], []])
  })

  test('may name our own VID as its last hop', async () => {
    const { alice, bob, between } = await route()
    await bob.endpoint.take(seal(between, bob, { kind: 'routed', hops: [bob.vid], message: hello(alice, bob) }))
    expect([bob.heard, bob.dropped]).toEqual([[[alice.vid, 'hello']], []])
  })

  test('is not passed on to others', async () => {
    const { alice, bob, between } = await route()
    await bob.endpoint.take(seal(between, bob, { kind: 'routed', hops: [alice.vid], message: hello(between, alice) }))
    await bob.endpoint.take(seal(between, bob, { kind: 'routed', hops: [bob.vid, alice.vid], message: hello(between, alice) }))
    expect([bob.dropped, alice.heard, bob.heard]).toEqual([['unsupported', 'unsupported'], [], []])
  })

  test('is dropped when who brings it is not related, however well its sender is', async () => {
    const { alice, bob, add } = await route()
    const stranger = add('stranger')
    await bob.endpoint.take(sealMessage({ from: { vid: stranger.long, keys: stranger.keys }, to: bob, payload: nested(hello(alice, bob)) }).message)
    expect([bob.dropped, bob.heard]).toEqual([['unrelated'], []])
  })

  test('is dropped when its sender is not related, however well who brings it is', async () => {
    const { bob, between, add } = await route()
    const stranger = add('stranger')
    const inner = sealMessage({ from: { vid: stranger.long, keys: stranger.keys }, to: bob, payload: { kind: 'application', data: Buffer.from('?') } })
    await bob.endpoint.take(seal(between, bob, nested(inner.message)))
    expect([bob.dropped, bob.heard]).toEqual([['unrelated'], []])
  })

  test('is not trusted because of who brings it', async () => {
    const trusted = new Set<string>()
    const { alice, bob, between } = await route({ trusts: async (vid) => trusted.size === 0 || trusted.has(vid) })
    trusted.add(between.vid)
    await bob.endpoint.take(seal(between, bob, nested(hello(alice, bob))))
    expect([bob.dropped, bob.heard]).toEqual([['untrusted'], []])
  })

  test('that pretends to be of another is dropped', async () => {
    const { alice, bob, between } = await route()
    const forged = sealMessage({ from: { vid: alice.vid, keys: between.keys }, to: bob, payload: { kind: 'application', data: Buffer.from('?') } })
    await bob.endpoint.take(seal(between, bob, nested(forged.message)))
    expect([bob.dropped, bob.heard]).toEqual([['signature'], []])
  })

  test('in a second cover is dropped', async () => {
    const { alice, bob, between } = await route()
    await bob.endpoint.take(seal(between, bob, nested(seal(alice, bob, nested(hello(alice, bob))))))
    expect([bob.dropped, bob.heard]).toEqual([['unsupported'], []])
  })

  test('is dropped when it is nonsense, or for somebody else', async () => {
    const { alice, bob, between } = await route()
    await bob.endpoint.take(seal(between, bob, nested(Buffer.alloc(300))))
    await bob.endpoint.take(seal(between, bob, nested(hello(alice, between))))
    expect([bob.dropped, bob.heard]).toEqual([['malformed', 'receiver'], []])
  })

  test('is not taken for a sender that waits for answers to another', async () => {
    const { alice, bob, between } = await route()
    const answers: Buffer[] = []
    await bob.endpoint.take(seal(between, bob, nested(hello(alice, bob))), {
      from: between.vid,
      hear: () => answers.push(Buffer.alloc(0)),
      carry: (message) => answers.push(message),
    })
    expect([bob.dropped, bob.heard, answers]).toEqual([['sender'], [], []])
  })

  test('does not keep two waiting who bring messages of each other', async () => {
    const { alice, bob, between } = await route()
    await Promise.all([bob.endpoint.take(seal(between, bob, nested(hello(alice, bob)))), bob.endpoint.take(seal(alice, bob, nested(hello(between, bob))))])
    expect(bob.heard.length).toBe(2)
  })
})

describe('a VID that is introduced over a relationship', () => {
  test('has one of its own then: a parallel relationship', async () => {
    const { alice, bob, add } = await route()
    const second = add('second')
    await bob.endpoint.take(introduction(alice, bob, second))
    await until('it is formed', () => bob.states.length === 3)
    expect(bob.dropped).toEqual([])
    await bob.endpoint.take(hello(second, bob))
    await bob.endpoint.take(hello(alice, bob))
    expect(bob.heard).toEqual([
      [second.vid, 'hello'],
      [alice.vid, 'hello'],
    ])
  })

  test('has none when it is not trusted, and nothing of it is looked at', async () => {
    let nobody = ''
    const { alice, bob, add } = await route({ trusts: async (vid) => vid !== nobody })
    const second = add('second')
    nobody = second.vid
    await bob.endpoint.take(introduction(alice, bob, second))
    await bob.endpoint.take(hello(second, bob))
    expect([bob.dropped, bob.heard]).toEqual([['untrusted', 'untrusted'], []])
    expect(bob.resolved).not.toContain(second.long)
  })

  test('has none when it has not signed that itself', async () => {
    const { alice, bob, add } = await route()
    const [second, other] = [add('second'), add('other')]
    await bob.endpoint.take(introduction(alice, bob, second, other))
    expect(bob.dropped).toEqual(['signature'])
  })

  test('has none when who introduces it is not related', async () => {
    const { bob, add } = await route()
    const [stranger, second] = [add('stranger'), add('second')]
    await bob.endpoint.take(introduction({ ...stranger, vid: stranger.long }, bob, second))
    expect(bob.dropped).toEqual(['unrelated'])
  })

  test('is neither who introduces it, nor ours', async () => {
    const { alice, bob } = await route()
    await bob.endpoint.take(introduction(alice, bob, alice))
    await bob.endpoint.take(introduction(alice, bob, bob))
    expect(bob.dropped).toEqual(['vid', 'vid'])
  })

  test('is not introduced twice by the same message', async () => {
    const { alice, bob, add } = await route()
    const message = introduction(alice, bob, add('second'))
    await bob.endpoint.take(message)
    await bob.endpoint.take(message)
    expect(bob.dropped).toEqual(['unrelated'])
  })
})

/** Bob, related to Alice and to somebody who passes messages on. */
async function route(options: Parameters<ReturnType<typeof network>>[1] = {}) {
  const add = network()
  const [alice, bob, between] = [add('alice'), add('bob', options), add('between')]
  for (const node of [alice, between]) {
    await node.endpoint.invite(bob.long)
    await until('it is formed', () => node.states.includes('formed'))
  }
  return { add, alice, bob, between }
}

function seal(from: Pick<Node, 'vid' | 'keys'>, to: Node, payload: NewPayload): Buffer {
  return sealMessage({ from, to, payload }).message
}

function hello(from: Node, to: Node): Buffer {
  return seal(from, to, { kind: 'application', data: Buffer.from('hello') })
}

function nested(message: Buffer): NewPayload {
  return { kind: 'nested', message }
}

function introduction(by: Pick<Node, 'vid' | 'keys'>, to: Node, second: Node, signer: Node = second): Buffer {
  return seal(by, to, { kind: 'invite', referral: { vid: second.long, sign: (bytes) => sign(null, bytes, signer.keys.signing) } })
}
