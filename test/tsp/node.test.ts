// One VID on a real network: what it says when somebody cannot be heard or reached, and who hears what it is told.
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'

import { parseVid } from '../../src/identity/vid.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { ownKeysOf } from '../../src/tsp/keys.ts'
import { createKeptRelationships } from '../../src/tsp/relationship-store.ts'
import { sealMessage } from '../../src/tsp/seal.ts'
import { didHost } from '../support/did-host.ts'
import { forThisTest } from '../support/tidy.ts'
import { until } from '../support/until.ts'
import { newTspIdentity, peer, type Peer } from './peer.ts'

/** The first bytes of what tsp_sdk 0.9 and 0.8 write; the rest is nobody's. */
const REV_2 = Buffer.concat([Buffer.from('f84010', 'hex'), Buffer.from('YTSP-AAB', 'base64url'), Buffer.alloc(80)])
const REV_1 = Buffer.concat([Buffer.from('f84001', 'hex'), Buffer.from('XAAA', 'base64url'), Buffer.alloc(80)])
const REV_1_0 = Buffer.concat([Buffer.from('f84010', 'hex'), Buffer.from('YTSP-BAA', 'base64url'), Buffer.alloc(80)])

describe('the log says in words', () => {
  test.each([
    ['revision 2 (YTSP-AAB), as tsp_sdk 0.9 writes it', REV_2],
    ['revision 1 (XAAA), as tsp_sdk 0.8 writes it', REV_1],
    ['an unknown version (YTSP-BAA)', REV_1_0],
  ])('that a message is of %s', async (words, message) => {
    const lines: string[] = []
    const node = await peer({ lines })
    sendTo(node, message)
    await until('the words', () => lines.some((line) => line.includes('reason=revision') && line.includes(words)))
    expect(node.node.dropped()).toEqual({ revision: 1 })
  })

  test('that nobody trusts the VID that would be heard', async () => {
    const lines: string[] = []
    const [node, stranger] = [await peer({ lines, trusts: () => false }), await peer()]
    await expect(stranger.node.relate(node.identity.long, 0.2)).rejects.toMatchObject({ code: 'timeout' })
    expect(lines.join('')).toContain(`${stranger.vid} is not trusted`)
  })

  test('that a VID cannot be resolved', async () => {
    const lines: string[] = []
    const [node, friend] = [await peer({ lines }), await peer()]
    const keys = ownKeysOf(friend.identity.secrets)
    const to = { vid: node.vid, keys: ownKeysOf(node.identity.secrets) }
    // Its short form alone, which nobody has introduced.
    sendTo(node, sealMessage({ from: { vid: friend.vid, keys }, to, payload: { kind: 'invite' } }).message)
    await until('it to be dropped', () => node.node.dropped()['unresolved'] === 1)
    expect(lines.join('')).toMatch(/reason=unresolved .*the long form of this did:peer:4 was not shown/)
  })

  test('that a peer that is to be answered is not there', async () => {
    const lines: string[] = []
    const [node, gone] = [await peer({ lines }), await newTspIdentity()]
    const to = { vid: node.vid, keys: ownKeysOf(node.identity.secrets) }
    sendTo(node, sealMessage({ from: { vid: gone.long, keys: ownKeysOf(gone.secrets) }, to, payload: { kind: 'invite' } }).message)
    await until('it to be dropped', () => node.node.dropped()['unreachable'] === 1)
    expect(lines.join('')).toMatch(/reason=unreachable .*cannot be reached: nobody listens there/)
  })
})

describe('whoever wants to be related to a VID', () => {
  test('hears that nobody listens at its endpoint', async () => {
    const [node, gone] = [await peer(), await newTspIdentity()]
    await expect(node.node.relate(gone.long, 10)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('nobody listens there'),
    })
  })

  test('hears that there was no answer, and whom the other must trust', async () => {
    const [node, deaf] = [await peer(), await peer({ trusts: () => false })]
    await expect(node.node.relate(deaf.identity.long, 0.2)).rejects.toMatchObject({
      code: 'timeout',
      message: 'no answer by TSP within 0.2 s',
      hint: expect.stringContaining(`openmcp trust add ${node.vid}`),
    })
  })

  test('hears that what came back is of another revision', async () => {
    const [node, deaf] = [await peer(), await peer({ trusts: () => false })]
    sendTo(node, REV_2)
    const related = node.node.relate(deaf.identity.long, 1)
    sendTo(node, REV_2)
    await expect(related).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('revision 2 (YTSP-AAB)') })
  })

  test('hears that its document cannot be had, or says nothing of TSP', async () => {
    const host = await forThisTest(didHost())
    host.identity('ann')
    const node = await peer()
    const refusal = (name: string): Promise<unknown> => node.node.relate(parseVid(host.did(name)), 10).catch((thrown: unknown) => thrown)
    expect(await refusal('ann')).toMatchObject({ code: 'identity_unresolved', message: expect.stringContaining('says nothing of TSP') })
    expect(await refusal('nobody')).toMatchObject({ code: 'identity_unresolved', message: expect.stringContaining('cannot be resolved') })
  })
})

describe('what a VID is told', () => {
  test('is heard by one that takes it, and counted when nobody does', async () => {
    const [node, friend] = [await peer({ takes: (data) => data.toString() === 'for the first' }), await peer()]
    const second: string[] = []
    const stop = node.node.onHeard(({ data }) => data.toString() !== 'for the first' && second.push(data.toString()) > 0)
    await friend.node.relate(node.identity.long, 10)
    await friend.node.send(node.vid, Buffer.from('for the first'))
    await friend.node.send(node.vid, Buffer.from('for the second'))
    await until('both', () => second.length > 0)
    stop()
    await friend.node.send(node.vid, Buffer.from('for nobody'))
    await until('it to be counted', () => node.node.dropped()['unheard'] === 1)
    expect(second).toEqual(['for the second'])
  })
})

test('an invite from before takes the place of nothing: the peer can still end what it began', async () => {
  const store = createMemoryStore({ now: Date.now })
  const kept = createKeptRelationships({ store, lifeSeconds: 3600, now: Date.now })
  const [node, friend] = [await peer({ relationships: kept }), await peer()]
  const { take } = node.node
  await friend.node.relate(node.identity.long, 10)
  const to = { vid: node.vid, keys: ownKeysOf(node.identity.secrets) }
  const old = sealMessage({ from: { vid: friend.identity.long, keys: ownKeysOf(friend.identity.secrets) }, to, payload: { kind: 'invite' } }).message
  await take(old)
  await friend.node.relate(node.identity.long, 10)
  await take(old)
  await friend.node.cancel(node.vid)
  await until('the end', () => node.states.at(-1) === 'ended')
  expect(await node.node.relationshipWith(friend.vid)).toBeUndefined()
})

function sendTo({ identity }: Peer, message: Buffer): void {
  const { hostname, port } = new URL(identity.profile.endpoint)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  const socket = connect(Number(port), hostname, () => socket.end(Buffer.concat([length, message])))
  socket.on('error', () => {})
}
