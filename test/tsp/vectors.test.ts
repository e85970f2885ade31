import { describe, expect, test } from 'vitest'

import type { NewPayload } from '../../src/tsp/payload-write.ts'
import type { Payload } from '../../src/tsp/payload.ts'
import { hpkeBase, sealMessage, signMessage, type Sealing } from '../../src/tsp/seal.ts'
import { sealedBoxOf } from './sealed-box-of.ts'
import { bytesOf, derivedSecret, opened, party, vector, vectors } from './vectors.ts'

const NAMES = vectors.map(({ name }) => name)

/** What each vector says, as far as it is words. */
const SAID: Readonly<Record<string, Partial<Payload> | { text: string }>> = {
  'direct-sealed-box': { kind: 'application', text: 'hello world' },
  'direct-hpke-base': { kind: 'application', text: 'hello world' },
  'direct-signed-only': { kind: 'application', text: 'public announcement!' },
  'control-rfi-direct': { kind: 'invite', replyPath: [] },
  'control-rfa-direct': { kind: 'accept' },
  'control-rfd': { kind: 'cancel' },
  'control-rfi-sealed-box': { kind: 'invite', replyPath: [] },
  'nested-direct': { kind: 'nested' },
  routed: { kind: 'routed', hops: [party('q').vid, party('nested_bob').vid] },
}

describe('a vector of the specification', () => {
  test.each(NAMES)('%s opens, and says what it says', (name) => {
    const payload = opened(bytesOf(vector(name).message))
    const text = 'data' in payload ? payload.data.toString() : undefined
    expect({ ...payload, ...(text !== undefined && { text }) }).toMatchObject(SAID[name] ?? {})
  })

  test.each(NAMES)('%s is made again, byte for byte', (name) => {
    const { message, sender, receiver, payload } = vector(name)
    const read = opened(bytesOf(message))
    expect(remade(name).toString('base64url')).toBe(message)
    expect([read.frame.sender, read.frame.receiver]).toEqual([party(sender).vid, party(receiver).vid])
    expect(payload).not.toBe('')
  })

  test.each(['nested-direct', 'routed'])('%s carries a message that opens', (name) => {
    const outer = opened(bytesOf(vector(name).message))
    const inner = opened('message' in outer ? outer.message : Buffer.alloc(0))
    expect([inner.frame.sender, inner.frame.receiver]).toEqual([party('nested_alice').vid, party('nested_bob').vid])
    expect('data' in inner && inner.data.toString()).toBe('hello world')
  })

  test('the accept and the cancellation name the invite', () => {
    const [invite, accept, cancel] = ['control-rfi-direct', 'control-rfa-direct', 'control-rfd'].map((name) => opened(bytesOf(vector(name).message)))
    expect(invite?.kind === 'invite' && accept?.kind === 'accept' && accept.invite === invite.digest).toBe(true)
    expect(invite?.kind === 'invite' && cancel?.kind === 'cancel' && cancel.digest === invite.digest).toBe(true)
  })
})

/** From what was read, the keys, and the ephemeral secret that the vector tells. */
function remade(name: string): Buffer {
  const { message, sender, receiver, nonce, ephemeral } = vector(name)
  const { frame, ...payload } = opened(bytesOf(message))
  const [from, to] = [party(sender), party(receiver)]
  const options = { from, payload: again(payload), namesSender: frame.protectedBy === 'sealed-box', nonce: () => bytesOf(nonce ?? '') }
  if (!ephemeral) return signMessage({ ...options, to: to.vid }).message
  return sealMessage({ ...options, to, sealing: sealingOf(ephemeral) }).message
}

function sealingOf(ephemeral: { secret?: string; ikmE?: string }): Sealing {
  return ephemeral.secret === undefined ? hpkeBase({ ephemeral: derivedSecret(ephemeral.ikmE ?? '') }) : sealedBoxOf(bytesOf(ephemeral.secret))
}

function again(payload: Payload): NewPayload {
  // Digests are found again, and a referral is in none of the vectors.
  return payload.kind === 'invite' ? { kind: 'invite', replyPath: payload.replyPath } : payload
}
