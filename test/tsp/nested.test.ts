import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { publicTextOf } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { parseVid, shortFormOf, type Vid } from '../../src/identity/vid.ts'
import { createPassingRelationships } from '../../src/tsp/passing-relationships.ts'
import type { Digest } from '../../src/tsp/digest.ts'
import { createCarriage, listenFor } from '../../src/tsp/carriage.ts'
import type { DropReason } from '../../src/tsp/dropped.ts'
import type { EndpointOptions } from '../../src/tsp/endpoint-options.ts'
import { createTspEndpoint } from '../../src/tsp/endpoint.ts'
import { readFrame, type Frame } from '../../src/tsp/envelope.ts'
import { ownKeysOf, peerKeysOf } from '../../src/tsp/keys.ts'
import { createNested, type Nested, type NestedHeard, type NestedOptions, type NestedPair } from '../../src/tsp/nested.ts'
import { openMessage } from '../../src/tsp/open.ts'
import { sealMessage, signMessage, type Receiver } from '../../src/tsp/seal.ts'
import { until } from '../support/until.ts'
import { network, seed, type Node } from './network.ts'
import { peer } from './peer.ts'

const HELLO = { kind: 'application', data: Buffer.from('hello') } as const
const WEB = parseVid('did:web:example.com')
const INSIDE = inner('inside')
const OTHER = inner('other')

describe('two related peers', () => {
  test('form a relationship inside theirs, and hear each other in it', async () => {
    const { alice, bob, own, theirs } = await formed()
    await alice.nested.send(own, Buffer.from('hello bob'))
    await bob.nested.send(theirs, Buffer.from('hello alice'))
    await until('both', () => alice.inside.length + bob.inside.length === 2)
    expect(alice.inside).toEqual([{ over: bob.vid, own, remote: theirs, data: Buffer.from('hello alice') }])
    expect(bob.inside).toEqual([{ over: alice.vid, own: theirs, remote: own, data: Buffer.from('hello bob') }])
    // To their nodes they are who they are outside.
    expect([alice.heard, bob.heard]).toEqual([[[bob.vid, 'hello alice']], [[alice.vid, 'hello bob']]])
    expect([alice.dropped, bob.dropped]).toEqual([[], []])
  })

  test('show nobody else who they are inside', async () => {
    const { alice, bob, own, theirs } = await formed()
    const takes = vi.spyOn(bob.endpoint, 'take')
    await alice.nested.send(own, Buffer.from('hello bob'))
    const wire = Buffer.concat(takes.mock.calls.map(([message]) => message)).toString('latin1')
    expect([wire.includes(own), wire.includes(theirs), wire.includes(alice.vid)]).toEqual([false, false, true])
  })

  test('have several, each of which ends by itself', async () => {
    const { alice, bob, own, theirs } = await formed()
    const second = await alice.nested.invite(bob.vid)
    await until('the second', () => alice.formed.length === 2)
    await alice.nested.cancel(own)
    await until('the end', () => bob.ended.length === 1)
    expect([alice.ended, bob.ended]).toEqual([[own], [theirs]])
    await expect(alice.nested.send(own, Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
    await expect(bob.nested.send(theirs, Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
    await alice.nested.send(second, Buffer.from('still'))
    await until('it', () => bob.inside.length === 1)
  })

  test('have none when the one around them has ended', async () => {
    const { alice, bob, own } = await formed()
    alice.nested.endAll(bob.vid)
    expect(alice.ended).toEqual([own])
    await expect(alice.nested.send(own, Buffer.from('?'))).rejects.toMatchObject({ code: 'untrusted' })
  })

  test('have no more than they may', async () => {
    const { alice, bob } = await pair({ mostWithEach: 2 })
    await alice.nested.invite(bob.vid)
    await alice.nested.invite(bob.vid)
    await expect(alice.nested.invite(bob.vid)).rejects.toMatchObject({ code: 'busy' })
  })
})

describe('a nested relationship', () => {
  test('is not begun where there is none around it', async () => {
    const { alice, bob } = await pair()
    await alice.endpoint.cancel(bob.vid)
    for (let times = 0; times < 10; times++) await expect(alice.nested.invite(bob.vid)).rejects.toMatchObject({ code: 'untrusted' })
    expect(alice.formed).toEqual([])
  })

  test('is not taken from a peer that is not related', async () => {
    const { bob, add } = await pair()
    const stranger = add('stranger')
    const message = signMessage({ from: INSIDE.asLong, payload: { kind: 'invite' } }).message
    await bob.endpoint.take(sealMessage({ from: { vid: stranger.long, keys: stranger.keys }, to: bob, payload: { kind: 'nested', message } }).message)
    expect([bob.dropped, bob.formed]).toEqual([['unrelated'], []])
  })

  test('is formed by the answer to its invite alone', async () => {
    const { alice, bob } = await pair()
    const { digest } = signMessage({ from: INSIDE.asLong, payload: { kind: 'invite' } })
    if (digest === undefined) throw new Error('it has a digest')
    const own = await alice.nested.invite(bob.vid)
    alice.nested.endAll(bob.vid)
    const second = alice.nested.invite(bob.vid)
    const forged = signMessage({ from: INSIDE.asLong, to: await second, payload: { kind: 'accept', invite: digest } }).message
    const late = signMessage({ from: INSIDE.asLong, to: own, payload: { kind: 'accept', invite: digest } }).message
    await expect(alice.nested.take(bob.vid, readFrame(late))).rejects.toMatchObject({ reason: 'receiver' })
    await expect(alice.nested.take(bob.vid, readFrame(forged))).rejects.toMatchObject({ reason: 'unsupported' })
  })

  test('is heard in no other cover than its own', async () => {
    const { bob, to, add } = await asked()
    const carol = add('carol')
    await carol.endpoint.invite(bob.long)
    await until('it is formed', () => carol.states.includes('formed'))
    const { message } = sealMessage({ from: INSIDE, to, payload: { kind: 'application', data: Buffer.from('?') } })
    await bob.endpoint.take(sealMessage({ from: carol, to: bob, payload: { kind: 'nested', message } }).message)
    expect([bob.dropped, bob.inside]).toEqual([['receiver'], []])
  })

  test('hears what is sealed by who began it', async () => {
    const { alice, bob, to } = await asked()
    await alice.endpoint.cover(bob.vid, sealMessage({ from: INSIDE, to, payload: { kind: 'padding' } }).message)
    await alice.endpoint.cover(bob.vid, sealMessage({ from: INSIDE, to, payload: { kind: 'application', data: Buffer.from('hello') } }).message)
    await until('it is heard', () => bob.inside.length > 0)
    expect([bob.inside.map(({ data }) => data.toString()), bob.dropped]).toEqual([['hello'], []])
  })

  test.each<[string, (to: Receiver, digest: Digest) => Buffer, DropReason]>([
    ['an application message that is only signed', (to) => signMessage({ from: INSIDE, to: to.vid, payload: HELLO }).message, 'unsupported'],
    ['an end that is only signed', (to, digest) => signMessage({ from: INSIDE, to: to.vid, payload: { kind: 'cancel', digest } }).message, 'unsupported'],
    ['a message of another', (to) => sealMessage({ from: OTHER, to, payload: HELLO }).message, 'sender'],
    ['a message of another under its name', (to) => sealMessage({ from: { ...INSIDE, keys: OTHER.keys }, to, payload: HELLO }).message, 'signature'],
    ['a message to another', () => sealMessage({ from: INSIDE, to: OTHER, payload: HELLO }).message, 'receiver'],
    ['a second accept', (to, digest) => sealMessage({ from: INSIDE, to, payload: { kind: 'accept', invite: digest } }).message, 'unsupported'],
    ['the end of another', (to) => sealMessage({ from: INSIDE, to, payload: { kind: 'cancel', digest: otherDigest() } }).message, 'unsupported'],
    ['a third layer', (to) => sealMessage({ from: INSIDE, to, payload: { kind: 'nested', message: Buffer.alloc(300) } }).message, 'unsupported'],
    ['a second invite of the same', () => signMessage({ from: INSIDE.asLong, payload: { kind: 'invite' } }).message, 'unsupported'],
    ['who is not introduced', () => signMessage({ from: OTHER, payload: { kind: 'invite' } }).message, 'vid'],
    ['whose document would have to be fetched', () => signMessage({ from: { ...OTHER, vid: WEB }, payload: { kind: 'invite' } }).message, 'vid'],
    [
      'who has another key than its document says',
      () => signMessage({ from: { ...OTHER.asLong, keys: INSIDE.keys }, payload: { kind: 'invite' } }).message,
      'signature',
    ],
    ['an invite with a route', () => signMessage({ from: OTHER.asLong, payload: { kind: 'invite', replyPath: [OTHER.vid] } }).message, 'unsupported'],
    ['a message to nobody that is no invite', () => signMessage({ from: OTHER.asLong, payload: HELLO }).message, 'unsupported'],
  ])('does not take %s', async (_what, messageOf, reason) => {
    const { alice, bob, to, digest } = await asked()
    await alice.endpoint.cover(bob.vid, messageOf(to, digest))
    await until('it is dropped', () => bob.dropped.length > 0)
    expect([bob.dropped, bob.inside, bob.formed.length, bob.ended, bob.resolved.includes(WEB)]).toEqual([[reason], [], 1, [], false])
  })

  test('is ended by who began it, and that is confirmed', async () => {
    const { alice, bob, to, digest, frames } = await asked()
    await alice.endpoint.cover(bob.vid, sealMessage({ from: INSIDE, to, payload: { kind: 'cancel', digest } }).message)
    await until('the answer', () => frames.length === 2)
    const [, answer] = frames
    expect(answer && openMessage(answer, { from: to.keys, to: INSIDE.keys })).toEqual({ kind: 'cancel', digest })
    expect(bob.ended).toEqual([to.vid])
  })

  test('takes no place of another when a peer begins too many', async () => {
    const { alice, bob } = await pair({ mostWithEach: 2 })
    for (const name of ['one', 'two', 'three'])
      await alice.endpoint.cover(bob.vid, signMessage({ from: inner(name).asLong, payload: { kind: 'invite' } }).message)
    await until('it is dropped', () => bob.dropped.length > 0)
    expect([bob.dropped, bob.formed.length, bob.ended]).toEqual([['busy'], 2, []])
  })
})

test('a node hears what a peer says inside as said by the peer, until the relationship around it ends', async () => {
  const bob = await peer()
  const formedInside: NestedPair[] = []
  const nested = createNested({
    cover: (over, message) => alice.endpoint.cover(over, message),
    resolver: createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: () => 0 }),
    changed: (one) => formedInside.push(one),
  })
  const alice = await onTcp((over, frame) => nested.take(over, frame))
  await alice.endpoint.invite(bob.identity.long)
  await until('it is formed', () => bob.states.includes('formed'))
  await until('it is known', () => alice.endpoint.relationshipWith(bob.vid))
  const own = await nested.invite(bob.vid)
  await until('it is formed inside', () => formedInside.length > 0)
  await nested.send(own, Buffer.from('{"said":"inside"}'))
  await until('it is heard', () => bob.heard.length > 0)
  expect(bob.heard).toEqual([{ said: 'inside' }])
  await bob.node.send(alice.vid, Buffer.from('{"said":"outside"}'))
  await until('the answer', () => alice.heard.length > 0)

  await bob.node.cancel(alice.vid)
  await alice.endpoint.invite(bob.identity.long)
  await until('it is formed anew', () => bob.states.join() === 'formed,ended,formed')
  await until('it is known', () => alice.endpoint.relationshipWith(bob.vid))
  await nested.send(own, Buffer.from('{"said":"too late"}'))
  await until('it is dropped', () => bob.node.dropped()['receiver'] === 1)
  expect(bob.heard.length).toBe(1)
})

type Member = Node & { nested: Nested; inside: NestedHeard[]; formed: NestedPair[]; ended: Vid[] }

/** Alice and Bob, related, and each with nested relationships. */
async function pair(options: Partial<NestedOptions> = {}) {
  const add = network()
  const [alice, bob] = [withNested(add, 'alice', options), withNested(add, 'bob', options)]
  await relate(alice, bob)
  return { add, alice, bob }
}

async function formed() {
  const { add, alice, bob } = await pair()
  const own = await alice.nested.invite(bob.vid)
  await until('it is formed', () => alice.formed.length + bob.formed.length === 2)
  const theirs = alice.formed[0]?.remote ?? own
  expect(bob.formed).toEqual([{ over: alice.vid, own: theirs, remote: own }])
  return { add, alice, bob, own, theirs }
}

/** Alice does by hand what is inside: INSIDE has invited Bob, whose VID is `to`. */
async function asked() {
  const add = network()
  const frames: Frame[] = []
  const alice = add('alice', {
    async covered(_over, frame) {
      frames.push(frame)
      return undefined
    },
  })
  const bob = withNested(add, 'bob', {})
  await relate(alice, bob)
  const { message, digest } = signMessage({ from: INSIDE.asLong, payload: { kind: 'invite' } })
  await alice.endpoint.cover(bob.vid, message)
  await until('the accept', () => frames.length === 1)
  const sender = frames[0]?.sender
  const resolution = sender && (await createResolver({ fetch: () => Promise.reject(new Error('no')), now: () => 0 }).resolve(sender))
  if (digest === undefined || resolution?.state !== 'found' || !resolution.tsp) throw new Error('who accepts introduces himself')
  return { add, alice, bob, frames, digest, to: { vid: shortFormOf(resolution.vid), keys: peerKeysOf(resolution.tsp) } }
}

function withNested(add: ReturnType<typeof network>, name: string, options: Partial<NestedOptions>): Member {
  const inside: NestedHeard[] = []
  const [begun, ended]: [NestedPair[], Vid[]] = [[], []]
  const node = add(name, {
    async covered(over, frame) {
      const heard = await nested.take(over, frame)
      if (heard) inside.push(heard)
      return heard
    },
  })
  const nested = createNested({
    cover: (over, message) => node.endpoint.cover(over, message),
    resolver: createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: () => 0 }),
    changed: (one, state) => (state === 'formed' ? begun.push(one) : ended.push(one.own)),
    ...options,
  })
  return { ...node, nested, inside, formed: begun, ended }
}

async function relate(alice: Node, bob: Node): Promise<void> {
  await alice.endpoint.invite(bob.long)
  await until('it is formed', () => alice.states.includes('formed') && bob.states.includes('formed'))
}

/** An endpoint on the network of this machine. */
async function onTcp(covered: NonNullable<EndpointOptions['covered']>) {
  const carriage = createCarriage({ trustLoopback: true })
  const listener = await listenFor({ endpoint: new URL('tcp://127.0.0.1:0'), take: (message) => endpoint.take(message) })
  onTestFinished(async () => {
    await listener.close()
    carriage.close()
  })
  const own = inner('on TCP', `tcp://127.0.0.1:${listener.port}`)
  const heard: string[] = []
  const endpoint = createTspEndpoint({
    own: { ...own, long: own.asLong.vid },
    resolver: createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: () => 0 }),
    relationships: createPassingRelationships(),
    trusts: async () => true,
    carry: carriage.carry,
    hear: ({ data }) => heard.push(data.toString()),
    covered,
  })
  return { vid: own.vid, endpoint, heard }
}

function inner(name: string, endpoint = 'tsp://') {
  const keys = ownKeysOf({ signing: seed(`${name} signs`), opening: seed(`${name} opens`) })
  const { short, long } = peerFourOf({ verifying: publicTextOf(keys.signing), sealing: publicTextOf(keys.opening), endpoint })
  return { vid: short, keys, asLong: { vid: long, keys } }
}

function otherDigest(): Digest {
  const { digest } = signMessage({ from: OTHER.asLong, payload: { kind: 'invite' } })
  if (digest === undefined) throw new Error('it has a digest')
  return digest
}
