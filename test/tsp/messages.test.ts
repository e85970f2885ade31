import { array, assert, boolean, constantFrom, oneof, property, record, uint8Array, type Arbitrary } from 'fast-check'
import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { readFrame } from '../../src/tsp/envelope.ts'
import type { Digest } from '../../src/tsp/digest.ts'
import { openMessage, verifyReferral } from '../../src/tsp/open.ts'
import type { NewPayload } from '../../src/tsp/payload-write.ts'
import type { Payload } from '../../src/tsp/payload.ts'
import { hpkeBase, sealMessage, signMessage } from '../../src/tsp/seal.ts'
import { sealedBoxOf } from './sealed-box-of.ts'
import { alice, bob, bytesOf, carol, opened, party, vector } from './vectors.ts'

const BOX = sealedBoxOf(Buffer.alloc(32, 1))
const DIGEST = digestIn(opened(bytesOf(vector('control-rfi-direct').message)))

/** Around 4095 triplets codes become longer: those of the data, its stream, the payload, the ciphertext, the frame, each at another length of the data. */
const EDGE = 3 * 4095
const LENGTHS = [...range(0, 70), ...range(EDGE - 330, EDGE + 40), 65_536, 1_000_001]

describe('a message that was sealed', () => {
  test('is opened to the same bytes, at every length around the edges of the codes', () => {
    for (const length of LENGTHS) expect(echoed(Buffer.alloc(length, length)), `${length} bytes`).toBe(true)
  })

  test('goes through as many hops as are read, whatever the length of their names', () => {
    for (const count of range(1, 33)) {
      const hops = Array.from({ length: count }, (_none, index) => (index % 4 === 3 ? bob.vid : carol.long))
      const payload = { kind: 'routed', hops: [alice.long, ...hops.slice(1)], message: Buffer.alloc(3) } as const
      expect(opened(sealMessage({ from: alice, to: bob, payload }).message), `${count} hops`).toMatchObject({ hops: payload.hops })
      const invite = { kind: 'invite', replyPath: payload.hops } as const
      expect(opened(sealMessage({ from: alice, to: bob, payload: invite }).message), `${count} hops`).toMatchObject({ replyPath: payload.hops })
    }
  })

  test('hides the same in padding of every length around the edges', () => {
    for (const length of [...range(0, 7), ...range(EDGE - 4, EDGE + 4)]) {
      const { message } = sealMessage({ from: alice, to: bob, payload: { kind: 'padding' }, padding: Buffer.alloc(length, 7) })
      expect(opened(message), `${length} bytes`).toMatchObject({ kind: 'padding' })
    }
  })

  test('is opened to what was sealed, whatever it says and however it is protected', () => {
    const messages = record({
      payload: payloads(),
      protectedBy: constantFrom('hpke', 'box', 'none'),
      namesSender: boolean(),
      padding: uint8Array({ maxLength: 20 }),
    })
    assert(
      property(messages, ({ payload, protectedBy, namesSender, padding }) => {
        const options = { from: alice, payload, padding }
        const { message, digest } =
          protectedBy === 'none'
            ? signMessage({ ...options, namesSender, to: bob.vid })
            : sealMessage({ ...options, to: bob, ...(protectedBy === 'box' ? { sealing: BOX } : { sealing: hpkeBase(), namesSender }) })
        const { frame, ...read } = opened(message)
        expect([frame.sender, frame.receiver, message.length % 3]).toEqual([alice.vid, bob.vid, 0])
        expect(said(read)).toEqual(said(payload))
        expect(digest).toBe(payload.kind === 'invite' || payload.kind === 'accept' ? digestIn(read) : undefined)
      }),
      { numRuns: 300 },
    )
  })

  test('is never the same twice', () => {
    const messages = [1, 2].map(() =>
      sealMessage({ from: alice, to: bob, payload: { kind: 'application', data: Buffer.from('hello') } }).message.toString('hex'),
    )
    expect(new Set(messages).size).toBe(2)
  })
})

describe('a message that is only signed', () => {
  test('may be to nobody in particular', () => {
    const { message } = signMessage({ from: alice, payload: { kind: 'application', data: Buffer.from('to all') } })
    const frame = readFrame(message)
    expect(frame).toMatchObject({ sender: alice.vid, receiver: undefined, protectedBy: 'none' })
    expect(openMessage(frame, { from: alice.keys, to: undefined })).toMatchObject({ kind: 'application', data: Buffer.from('to all') })
  })
})

describe('a referral', () => {
  const invite = sealMessage({
    from: alice,
    to: bob,
    payload: { kind: 'invite', replyPath: [carol.vid], referral: { vid: carol.long, sign: (bytes) => sign(null, bytes, carol.keys.signing) } },
  })
  const read = opened(invite.message)

  test('is signed by the VID that it introduces, in the form that carries its document', () => {
    const referral = read.kind === 'invite' ? read.referral : undefined
    expect(referral?.vid).toBe(carol.long)
    expect(referral && verifyReferral(referral, carol.keys)).toBe(true)
  })

  test('that another VID signed is found to be wrong', () => {
    const referral = read.kind === 'invite' ? read.referral : undefined
    expect(referral && verifyReferral(referral, alice.keys)).toBe(false)
    expect(referral && verifyReferral({ ...referral, signed: Buffer.concat([referral.signed, Buffer.alloc(1)]) }, carol.keys)).toBe(false)
  })
})

test('an inner message is opened with the keys of the inner VIDs, and tells nobody else who they are', () => {
  const [from, to] = [party('nested_alice'), party('nested_bob')]
  const inner = sealMessage({ from, to, payload: { kind: 'application', data: Buffer.from('between us') } })
  const outer = sealMessage({ from: alice, to: bob, payload: { kind: 'nested', message: inner.message } })
  expect(outer.message.includes(from.vid)).toBe(false)
  const read = opened(outer.message)
  expect(opened(read.kind === 'nested' ? read.message : Buffer.alloc(0))).toMatchObject({ kind: 'application', data: Buffer.from('between us') })
})

test('a message through others loses its first hop at each of them', () => {
  const inner = sealMessage({ from: alice, to: bob, payload: { kind: 'application', data: Buffer.from('far away') } })
  const first = sealMessage({ from: alice, to: carol, payload: { kind: 'routed', hops: [party('q').vid, bob.vid], message: inner.message } })
  const atCarol = opened(first.message)
  expect(atCarol).toMatchObject({ kind: 'routed', hops: [party('q').vid, bob.vid], message: inner.message })
})

function echoed(data: Buffer): boolean {
  const payload = { kind: 'application', data } as const
  const messages = [
    sealMessage({ from: alice, to: bob, payload }),
    sealMessage({ from: alice, to: bob, payload, sealing: BOX }),
    signMessage({ from: alice, to: bob.vid, payload }),
  ]
  const read = messages.map(({ message }) => opened(message))
  return read.every((one) => one.kind === 'application' && one.data.equals(data))
}

function payloads(): Arbitrary<NewPayload> {
  const [data, hops] = [uint8Array({ maxLength: 200 }), array(constantFrom(bob.vid, carol.vid, carol.long), { maxLength: 4 })]
  const inner = constantFrom(bytesOf(vector('direct-hpke-base').message), bytesOf(vector('direct-signed-only').message))
  return oneof(
    record({ kind: constantFrom('application' as const, 'control' as const), data }),
    record({ kind: constantFrom('padding' as const) }),
    record({ kind: constantFrom('nested' as const), message: inner }),
    record({ kind: constantFrom('routed' as const), hops: hops.map((more) => [carol.vid, ...more] as const), message: inner }),
    record({ kind: constantFrom('invite' as const), replyPath: hops }),
    record({ kind: constantFrom('accept' as const), invite: constantFrom(DIGEST) }),
    record({ kind: constantFrom('cancel' as const), digest: constantFrom(DIGEST) }),
  )
}

/** Without the digests that are found while a message is made, and with bytes as texts. */
function said(payload: Payload | NewPayload): unknown {
  const members = Object.entries(payload).filter(([name]) => name !== 'digest' || payload.kind === 'cancel')
  return Object.fromEntries(members.map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value]))
}

function digestIn(payload: Payload): Digest {
  if (!('digest' in payload)) throw new Error('it has no digest')
  return payload.digest
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_none, index) => from + index)
}
