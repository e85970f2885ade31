// What somebody whose keys are known signs, and perhaps seals, and what is refused all the same (reference §1.8): a good signature is over
// anything.
import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { DATA, FIXED, GROUP, NOTHING, text } from '../../src/tsp/cesr.ts'
import { writeData, writeFixed, writeGroup } from '../../src/tsp/cesr-write.ts'
import { MOST_MESSAGE_BYTES, readFrame, writeFrame, writePrefix, writeSignature, writeVid } from '../../src/tsp/envelope.ts'
import { TYPE } from '../../src/tsp/payload.ts'
import { TspRefusal, type RefusalReason } from '../../src/tsp/refusal.ts'
import { hpkeBase, sealMessage, type Sealing } from '../../src/tsp/seal.ts'
import { sealedBoxOf } from './sealed-box-of.ts'
import { alice, bob, carol, opened } from './vectors.ts'

const TRIPLET = Buffer.alloc(3)
const PROTECTIONS: readonly (readonly [string, Sealing | undefined])[] = [
  ['sealed', hpkeBase()],
  ['in a sealed box', sealedBoxOf(Buffer.alloc(32, 1))],
  ['readable', undefined],
]

const ALICE = writeVid(alice.vid)
const STREAM = writeGroup(GROUP.stream, writeData(DATA.bytes, Buffer.from('hello world')))
const NONCE = writeFixed(FIXED.nonce, Buffer.alloc(16, 7))
const DIGEST = writeFixed(FIXED.sha256, Buffer.alloc(32, 7))
const NO_VIDS = writeGroup(GROUP.vids)

describe.each(PROTECTIONS)('a message that is %s', (_how, sealing) => {
  const reasonOf = (plaintext: Buffer): RefusalReason | undefined => refusalOf(message(plaintext, sealing))

  test('and as it must be is taken', () => {
    expect(reasonOf(payload(TYPE.application, ALICE, NOTHING, STREAM))).toBeUndefined()
    expect(reasonOf(payload(TYPE.padding, ALICE, NONCE, NOTHING))).toBeUndefined()
    expect(reasonOf(payload(TYPE.cancel, ALICE, DIGEST, NOTHING))).toBeUndefined()
  })

  test.each<[string, Buffer]>([
    ['application', payload(TYPE.application, ALICE, NOTHING, STREAM, TRIPLET)],
    ['control', payload(TYPE.control, ALICE, NOTHING, STREAM, NOTHING)],
    ['padding', payload(TYPE.padding, ALICE, NONCE, NOTHING, TRIPLET)],
    ['cancel', payload(TYPE.cancel, ALICE, DIGEST, NOTHING, NOTHING)],
  ])('is refused when something follows the fields of its %s', (_kind, plaintext) => {
    expect(reasonOf(plaintext)).toBe('malformed')
  })

  test.each<[string, Buffer]>([
    ['no padding', payload(TYPE.application, ALICE, STREAM)],
    ['its padding behind its data', payload(TYPE.application, ALICE, STREAM, NOTHING)],
    ['no data', payload(TYPE.application, ALICE, NOTHING)],
    ['no data in its stream', payload(TYPE.application, ALICE, NOTHING, writeGroup(GROUP.stream))],
    ['two data in its stream', payload(TYPE.application, ALICE, NOTHING, writeGroup(GROUP.stream, NOTHING, NOTHING))],
    ['data that is no stream', payload(TYPE.application, ALICE, NOTHING, NOTHING)],
    ['no sender field', payload(TYPE.application, STREAM)],
    ['a nonce that is too short', payload(TYPE.padding, ALICE, NONCE.subarray(0, 15), NOTHING)],
    ['a digest of no known kind', payload(TYPE.cancel, ALICE, Buffer.concat([Buffer.from([0x24]), Buffer.alloc(32)]), NOTHING)],
    ['hops and no message', payload(TYPE.covered, ALICE, writeGroup(GROUP.vids, ALICE), NOTHING)],
    ['neither hops nor a message', payload(TYPE.covered, ALICE, NO_VIDS, NOTHING)],
    ['a message and no hops field', payload(TYPE.covered, ALICE, NOTHING, STREAM)],
    ['no reply path', payload(TYPE.invite, ALICE, DIGEST, NONCE, NO_VIDS, NOTHING)],
    ['no type', payload()],
    ['nothing in its ciphertext', Buffer.alloc(0)],
    ['two payloads', Buffer.concat([payload(TYPE.application, ALICE, NOTHING, STREAM), payload(TYPE.application, ALICE, NOTHING, STREAM)])],
  ])('is refused when it has %s', (_what, plaintext) => {
    expect(['malformed', 'unsupported']).toContain(reasonOf(plaintext))
  })

  test.each<[string, Buffer]>([
    ['its payload', payload(TYPE.application, ALICE, NOTHING, STREAM)],
    ['its stream', payload(TYPE.application, ALICE, NOTHING, STREAM)],
    ['its padding', payload(TYPE.application, ALICE, writeData(DATA.bytes, Buffer.from('abc')), STREAM)],
    ['the sender in its payload', payload(TYPE.application, ALICE, NOTHING, STREAM)],
    ['its hops', payload(TYPE.covered, ALICE, writeGroup(GROUP.vids, ALICE), NOTHING, STREAM)],
  ])('is refused when %s counts one more or one less', (what, plaintext) => {
    const at = { 'its payload': 0, 'its stream': plaintext.indexOf(STREAM), 'its padding': plaintext.indexOf(text('4BAB')) }[what]
    const start = at ?? plaintext.indexOf(ALICE, what === 'its hops' ? 10 : 0) - (what === 'its hops' ? 3 : 0)
    for (const more of [1, -1]) {
      const counted = Buffer.from(plaintext)
      counted[start + 2] = (counted[start + 2] ?? 0) + more
      expect(reasonOf(counted), `${more}`).toBeDefined()
    }
  })

  test.each([1, 2])('is refused when one of %i bytes in front of its data is not zero', (lead) => {
    const data = writeData(DATA.bytes, Buffer.alloc(3 - lead, 9))
    const places = [payload(TYPE.application, ALICE, NOTHING, writeGroup(GROUP.stream, data)), payload(TYPE.application, ALICE, data, STREAM)]
    for (const place of places) {
      expect(reasonOf(place)).toBeUndefined()
      for (let byte = 0; byte < lead; byte++) {
        const wrong = Buffer.from(place)
        wrong[place.indexOf(data) + 3 + byte] = 1
        expect(reasonOf(wrong)).toBe('malformed')
      }
    }
  })

  test('is refused when its padding has a code of no data', () => {
    const taken = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_').filter((first) => {
      const padding = Buffer.concat([text(`${first}AABABAA`), Buffer.alloc(3 * 4096)])
      return reasonOf(payload(TYPE.application, ALICE, padding, STREAM)) === undefined
    })
    expect(taken).toEqual(['7', '8', '9'])
  })

  test('is refused when its payload names another sender', () => {
    for (const other of [bob.vid, carol.vid, alice.long]) expect(reasonOf(payload(TYPE.application, writeVid(other), NOTHING, STREAM))).toBe('sender')
  })

  test('is refused when its digest is not of it', () => {
    expect(reasonOf(payload(TYPE.invite, ALICE, DIGEST, NONCE, NO_VIDS, NO_VIDS, NOTHING))).toBe('digest')
    expect(reasonOf(payload(TYPE.accept, ALICE, DIGEST, DIGEST, NOTHING))).toBe('digest')
  })

  test('is refused when it refers to nobody', () => {
    const referral = writeGroup(GROUP.vids, NOTHING, writeSignature(Buffer.alloc(64)))
    expect(reasonOf(payload(TYPE.invite, ALICE, DIGEST, NONCE, NO_VIDS, referral, NOTHING))).toBe('vid')
  })

  test('is refused when a hop is nobody', () => {
    expect(reasonOf(payload(TYPE.covered, ALICE, writeGroup(GROUP.vids, ALICE, NOTHING), NOTHING, STREAM))).toBe('vid')
  })

  test('is refused when a count promises far more than there is', () => {
    for (const promise of ['--Z_____', '-Z__', '--ZAAQAA']) expect(reasonOf(Buffer.concat([text(promise), TYPE.application, ALICE]))).toBe('malformed')
    for (const promise of ['9AAB____', '4B__']) expect(reasonOf(payload(TYPE.application, ALICE, text(promise)))).toBe('malformed')
    for (const promise of ['--J_____', '-J__']) expect(reasonOf(payload(TYPE.covered, ALICE, text(promise)))).toBe('malformed')
  })
})

describe.each(PROTECTIONS.slice(0, 2))('a ciphertext that is %s', (_how, sealing = hpkeBase()) => {
  test('is refused whichever byte of it was changed, though it was signed', () => {
    const prefix = writePrefix(alice.vid, bob.vid)
    const ciphertext = sealing.seal(bob.keys, payload(TYPE.application, ALICE, NOTHING, STREAM), prefix)
    for (let at = 0; at < ciphertext.length; at++) {
      const changed = Buffer.from(ciphertext)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(refusalOf(signed(writeFrame(prefix, writeData(sealing.code, changed)))), `byte ${at}`).toBe('decryption')
    }
  })

  test('is refused when it was sealed to another', () => {
    const toCarol = sealMessage({ from: alice, to: { vid: bob.vid, keys: carol.keys }, payload: { kind: 'padding' }, sealing })
    expect(refusalOf(toCarol.message)).toBe('decryption')
  })

  test('is refused as one of the other kind', () => {
    const prefix = writePrefix(alice.vid, bob.vid)
    const ciphertext = sealing.seal(bob.keys, payload(TYPE.application, ALICE, NOTHING, STREAM), prefix)
    const other = sealing.code === DATA.hpkeBase ? DATA.sealedBox : DATA.hpkeBase
    expect(refusalOf(signed(writeFrame(prefix, writeData(other, ciphertext))))).toBe('decryption')
  })
})

describe('an envelope', () => {
  const body = payload(TYPE.application, ALICE, NOTHING, STREAM)
  const [version, to] = [text('YTSP-AAC'), writeVid(bob.vid)]

  test.each<[string, Buffer]>([
    ['something behind its payload', writeGroup(GROUP.frame, version, ALICE, to, body, TRIPLET)],
    ['two payloads', writeGroup(GROUP.frame, version, ALICE, to, body, body)],
    ['a ciphertext and a payload', writeGroup(GROUP.frame, version, ALICE, to, writeData(DATA.hpkeBase, Buffer.alloc(60)), body)],
    ['no payload', writeGroup(GROUP.frame, version, ALICE, to)],
    ['data of another kind', writeGroup(GROUP.frame, version, ALICE, to, writeData(DATA.bytes, body))],
    ['one VID', writeGroup(GROUP.frame, version, ALICE, body)],
    ['no version', writeGroup(GROUP.frame, text('YTSP'), ALICE, to, body)],
    ['another protocol', writeGroup(GROUP.frame, text('YTSQ-AAC'), ALICE, to, body)],
    ['a group of another kind around it', writeGroup(GROUP.payload, version, ALICE, to, body)],
    ['a long count where a short one does', Buffer.concat([text('--EAAAA-'), version, ALICE, to, body])],
  ])('with %s is refused, though it is signed', (_what, frame) => {
    expect(refusalOf(signed(frame))).toBe('malformed')
  })

  test.each<[string, Buffer]>([
    ['no attachments', Buffer.alloc(0)],
    ['empty attachments', writeGroup(GROUP.attachments)],
    ['attachments without a signature', writeGroup(GROUP.attachments, writeGroup(GROUP.signatures))],
    ['a signature that is in no group', Buffer.concat([Buffer.from('0400', 'hex'), Buffer.alloc(64)])],
    ['a signature of revision 2', Buffer.concat([text('-CAW-KAW0BAA'), Buffer.alloc(63)])],
  ])('with %s is refused', (_what, attachments) => {
    expect(refusalOf(Buffer.concat([writeFrame(writePrefix(alice.vid, bob.vid), body), attachments]))).toBe('malformed')
  })

  test.each(['A', 'B', 'P', '_'])('signed by the key of index %s and what follows it is refused unless that is the first', (index) => {
    const frame = writeFrame(writePrefix(alice.vid, bob.vid), body)
    const attachments = Buffer.concat([text(`-CAX-KAWB${index}AA`).subarray(0, 8), sign(null, frame, alice.keys.signing)])
    expect(refusalOf(Buffer.concat([frame, attachments]))).toBe(index === 'A' ? undefined : 'malformed')
  })

  test('whose VID counts one more or one less is refused', () => {
    const frame = writeFrame(writePrefix(alice.vid, bob.vid), body)
    for (const vid of [ALICE, to]) {
      for (const more of [1, -1]) {
        const counted = Buffer.from(frame)
        const at = frame.indexOf(vid) + 2
        counted[at] = (counted[at] ?? 0) + more
        expect(['malformed', 'vid']).toContain(refusalOf(signed(counted)))
      }
    }
  })
})

describe('a message of the most bytes that are read', () => {
  test('is made and taken, and a longer one is neither', () => {
    const overhead = sealMessage({ from: alice, to: bob, payload: { kind: 'application', data: Buffer.alloc(300_000) } }).message.length - 300_000
    const fits = MOST_MESSAGE_BYTES - overhead - (MOST_MESSAGE_BYTES % 3)
    const { message: largest } = sealMessage({ from: alice, to: bob, payload: { kind: 'application', data: Buffer.alloc(fits) } })
    expect(largest.length).toBeGreaterThan(MOST_MESSAGE_BYTES - 3)
    expect(opened(largest)).toMatchObject({ kind: 'application' })
    expect(() => sealMessage({ from: alice, to: bob, payload: { kind: 'application', data: Buffer.alloc(fits + 3) } })).toThrow(
      expect.objectContaining({ code: 'too_large' }),
    )
    expect(refusalOf(Buffer.alloc(MOST_MESSAGE_BYTES + 1))).toBe('too_large')
  })
})

function payload(...fields: readonly Buffer[]): Buffer {
  return writeGroup(GROUP.payload, ...fields)
}

/** Alice's message to Bob with this in it, whatever it is. */
function message(plaintext: Buffer, sealing: Sealing | undefined): Buffer {
  const prefix = writePrefix(alice.vid, bob.vid)
  return signed(writeFrame(prefix, sealing ? writeData(sealing.code, sealing.seal(bob.keys, plaintext, prefix)) : plaintext))
}

function signed(frame: Buffer): Buffer {
  return Buffer.concat([frame, writeSignature(sign(null, frame, alice.keys.signing))])
}

/** Anything else that is thrown fails the test. */
function refusalOf(bytes: Buffer): RefusalReason | undefined {
  try {
    readFrame(bytes)
    opened(bytes)
    return undefined
  } catch (thrown) {
    if (thrown instanceof TspRefusal) return thrown.reason
    throw thrown
  }
}
