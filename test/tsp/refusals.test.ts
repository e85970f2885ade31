// What must not be taken (reference §1.8): each case says for which reason it is refused, so that none is refused by accident.
import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'

import { parseVid } from '../../src/identity/vid.ts'
import { text } from '../../src/tsp/cesr.ts'
import { writeData, writeGroup } from '../../src/tsp/cesr-write.ts'
import { readFrame } from '../../src/tsp/envelope.ts'
import { openMessage } from '../../src/tsp/open.ts'
import { TspRefusal, type RefusalReason } from '../../src/tsp/refusal.ts'
import { hpkeBase, sealMessage, signMessage } from '../../src/tsp/seal.ts'
import { sealedBoxOf } from './sealed-box-of.ts'
import { alice, bob, bytesOf, carol, opened, vector } from './vectors.ts'

const SIGNATURE_BYTES = 72
const hello = { kind: 'application', data: Buffer.from('hello world') } as const
const sealed = bytesOf(vector('direct-hpke-base').message)
const box = bytesOf(vector('direct-sealed-box').message)
const readable = bytesOf(vector('direct-signed-only').message)

describe('a changed message', () => {
  test.each([
    ['sealed', sealed],
    ['in a sealed box', box],
    ['readable', readable],
    ['an invite', bytesOf(vector('control-rfi-direct').message)],
  ])('%s is refused whichever byte was changed', (_what, message) => {
    for (let at = 0; at < message.length; at++) {
      for (const bit of [1, 0x40, 0x80]) expect(reasonOf(changed(message, at, (byte) => byte ^ bit)), `byte ${at}`).toBeDefined()
    }
  })

  test.each([
    ['sealed', sealed],
    ['readable', readable],
  ])('%s is refused wherever it ends too early', (_what, message) => {
    for (let length = 0; length < message.length; length++) expect(reasonOf(message.subarray(0, length))).toBe('malformed')
  })
})

describe.each<[string, Buffer, RefusalReason]>([
  ['another ciphertext', changed(sealed, 170, flipped), 'signature'],
  ['another signature', changed(sealed, -1, flipped), 'signature'],
  ['another minor version, which is signed', replaced(sealed, '-AAC', '-ABA'), 'signature'],
  ['another major version', replaced(sealed, '-AAC', '-BAC'), 'revision'],
  ['the mark of revision 2 and its counts', changed(replaced(sealed, '-AAC', '-AAB'), 2, (count) => count - 30), 'revision'],
  ['one triplet more behind it', Buffer.concat([sealed, Buffer.alloc(3)]), 'malformed'],
  ['a second message behind it', Buffer.concat([sealed, sealed]), 'malformed'],
  ['a frame that counts one more', changed(sealed, 2, (count) => count + 1), 'malformed'],
  ['a frame that counts one less', changed(sealed, 2, (count) => count - 1), 'malformed'],
  ['a signature by the second key', changed(sealed, -65, () => 0x10), 'malformed'],
  ['attachments that count one more', changed(sealed, -70, (count) => count + 1), 'malformed'],
  ['a signature group that counts one less', changed(sealed, -67, (count) => count - 1), 'malformed'],
  ['no signature', sealed.subarray(0, -SIGNATURE_BYTES), 'malformed'],
  ['a second signature', withSecondSignature(), 'malformed'],
  ['nothing', Buffer.alloc(0), 'malformed'],
  ['zeros', Buffer.alloc(300), 'malformed'],
])('a message with %s', (_what, message, reason) => {
  test(`is refused as ${reason}`, () => {
    expect(reasonOf(message)).toBe(reason)
  })
})

describe('a message that is signed again after it was changed', () => {
  test.each<[string, Buffer, RefusalReason]>([
    ['with other bytes than zeros in front of its data', changed(readable, readable.indexOf('public announcement!') - 1, () => 1), 'malformed'],
    ['naming another sender in its payload', resent('4BAA4BAA-AAI', Buffer.concat([vidField(bob.vid), text('4BAA-AAI')])), 'sender'],
    ['with a payload that counts one more', replaced(readable, '-ZAM', '-ZAN'), 'malformed'],
    ['with a payload that counts one less', replaced(readable, '-ZAM', '-ZAL'), 'malformed'],
    ['with a stream that counts one less', replaced(readable, '-AAI', '-AAH'), 'malformed'],
    ['of an unknown type', replaced(readable, 'XSCS', 'XSCT'), 'unsupported'],
    ['with something behind its data', resent('5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh', text('5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh4BAA')), 'malformed'],
    [
      'with something behind data that is marked as no CESR',
      resent('-AAI5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh', writeGroup(0, writeGroup(7, text('5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh')), text('4BAA'))),
      'malformed',
    ],
    ['with data in a code that is longer than it must be', resent('4BAA4BAA', text('4BAA7AABAAAA')), 'malformed'],
    ['with an invite whose digest is another', inviteWithAnotherDigest(), 'digest'],
  ])('%s is refused', (_what, message, reason) => {
    expect(reasonOf(signedAgain(message))).toBe(reason)
  })

  test('with a later minor version is taken: the minor never decides', () => {
    for (const minor of ['-ABA', '-AAD', '-AAB']) expect(opened(signedAgain(replaced(readable, '-AAC', minor)))).toMatchObject({ kind: 'application' })
  })

  test('naming its sender in its payload too is taken', () => {
    expect(opened(signedAgain(resent('4BAA4BAA-AAI', Buffer.concat([vidField(alice.vid), text('4BAA-AAI')]))))).toMatchObject({ kind: 'application' })
  })

  test('with its data marked as no CESR is taken', () => {
    const data = text('5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh')
    const message = signedAgain(resent('-AAI5BAHAHB1YmxpYyBhbm5vdW5jZW1lbnQh', writeGroup(0, writeGroup(7, data))))
    expect(opened(message)).toMatchObject({ kind: 'application', data: Buffer.from('public announcement!') })
  })
})

describe('a message', () => {
  test('to another is not opened with the keys of this one', () => {
    const frame = readFrame(sealed)
    expect(refusalOf(() => openMessage(frame, { from: alice.keys, to: carol.keys }))).toBe('decryption')
    expect(refusalOf(() => openMessage(frame, { from: alice.keys, to: undefined }))).toBe('receiver')
  })

  test('of somebody with the same VID and another key is refused', () => {
    const { message } = sealMessage({ from: { vid: alice.vid, keys: carol.keys }, to: bob, payload: hello })
    expect(reasonOf(message)).toBe('signature')
  })

  test('whose ciphertext was put into the envelope of another sender is refused', () => {
    // Carol signs what Alice sealed: she cannot know what it says, and it must not pass for hers.
    const frame = readFrame(sealed)
    const stolen = sealMessage({ from: carol, to: bob, payload: hello, sealing: { ...hpkeBase(), seal: () => frame.body } })
    expect(reasonOf(stolen.message)).toBe('decryption')
    const stolenBox = sealMessage({ from: carol, to: bob, payload: hello, sealing: { ...sealedBoxOf(Buffer.alloc(32, 1)), seal: () => readFrame(box).body } })
    expect(reasonOf(stolenBox.message)).toBe('sender')
  })

  test('in a sealed box that names no sender is refused', () => {
    const { message } = sealMessage({ from: alice, to: bob, payload: hello, namesSender: false, sealing: sealedBoxOf(Buffer.alloc(32, 1)) })
    expect(reasonOf(message)).toBe('sender')
  })

  test.each([0, 1, 31, 32, 47])('with a ciphertext of %i bytes is refused', (length) => {
    for (const sealing of [hpkeBase(), sealedBoxOf(Buffer.alloc(32, 1))]) {
      const { message } = sealMessage({ from: alice, to: bob, payload: hello, sealing: { ...sealing, seal: () => Buffer.alloc(length) } })
      expect(reasonOf(message)).toBe('decryption')
    }
  })

  test('with an encapsulated key of small order is refused', () => {
    for (const first of [0, 1]) {
      const point = Buffer.alloc(100)
      point[0] = first
      for (const sealing of [hpkeBase(), sealedBoxOf(Buffer.alloc(32, 1))]) {
        const { message } = sealMessage({ from: alice, to: bob, payload: hello, sealing: { ...sealing, seal: () => point } })
        expect(reasonOf(message)).toBe('decryption')
      }
    }
  })

  test('of more bytes than are read is refused before it is looked at', () => {
    expect(refusalOf(() => readFrame(Buffer.alloc(101), { mostBytes: 100 }))).toBe('too_large')
  })

  test('through more hops than are read is refused', () => {
    const hops = Array.from({ length: 33 }, () => carol.vid)
    const payload = { kind: 'routed', hops: [bob.vid, ...hops], message: sealed } as const
    expect(reasonOf(sealMessage({ from: alice, to: bob, payload }).message)).toBe('too_large')
  })

  test.each([
    ['no DID', writeData(1, Buffer.from('alice'))],
    ['not ASCII', writeData(1, Buffer.from('did:web:bücher.example'))],
    ['too long', writeData(1, Buffer.from(`did:web:${'a'.repeat(13_000)}.example`))],
    ['with a fragment', writeData(1, Buffer.from('did:web:example.com#key'))],
    ['empty', text('4BAA')],
  ])('from a VID that is %s is refused', (_what, vid) => {
    const frame = writeGroup(4, text('YTSP-AAC'), vid, text('4BAA'), text('-ZAA'))
    expect(reasonOf(Buffer.concat([frame, readable.subarray(-SIGNATURE_BYTES)]))).toBe('vid')
  })

  test('of a version that may be read by asking for it is read', () => {
    const next = signedAgain(replaced(readable, '-AAC', '-BAA'))
    expect(refusalOf(() => readFrame(next))).toBe('revision')
    expect(readFrame(next, { majors: ['A', 'B'] }).sender).toBe(alice.vid)
  })

  test.each([
    ['1', 'XAAA', '-EAB'],
    ['2', 'YTSP-AAB', '-EAW'],
  ])('of revision %s is named in words', (revision, mark, start) => {
    const message = Buffer.concat([text(start), text(mark), Buffer.alloc(200)])
    expect(() => readFrame(message)).toThrow(`revision ${revision} `)
  })
})

function reasonOf(message: Buffer): RefusalReason | undefined {
  return refusalOf(() => opened(message))
}

/** Anything else that is thrown fails the test. */
function refusalOf(act: () => unknown): RefusalReason | undefined {
  try {
    act()
    return undefined
  } catch (thrown) {
    if (thrown instanceof TspRefusal) return thrown.reason
    // The vectors' own: nobody has the keys of a VID that was changed.
    if (thrown instanceof Error && thrown.message.startsWith('nobody is did:')) return 'vid'
    throw thrown
  }
}

function changed(message: Buffer, at: number, change: (byte: number) => number): Buffer {
  const copy = Buffer.from(message)
  const index = at < 0 ? copy.length + at : at
  copy[index] = change(copy[index] ?? 0)
  return copy
}

function flipped(byte: number): number {
  return byte ^ 1
}

function replaced(message: Buffer, old: string, by: string): Buffer {
  return bytesOf(message.toString('base64url').replace(old, by))
}

/** The readable message with other fields in its payload, and its counts made right. */
function resent(old: string, by: Buffer): Buffer {
  const frame = readFrame(readable)
  const payload = frame.body.subarray(3)
  const at = payload.indexOf(text(old))
  if (at < 0) throw new Error(`there is no ${old}`)
  const fields = Buffer.concat([payload.subarray(0, at), by, payload.subarray(at + text(old).length)])
  const stream = fields.indexOf(text('-AAI'))
  // The stream counts what was put into it.
  const counted = stream < 0 ? fields : Buffer.concat([fields.subarray(0, stream), writeGroup(0, fields.subarray(stream + 3))])
  return Buffer.concat([writeGroup(4, frame.prefix, writeGroup(25, counted)), readable.subarray(-SIGNATURE_BYTES)])
}

function vidField(vid: string): Buffer {
  return writeData(1, Buffer.from(parseVid(vid)))
}

function signedAgain(message: Buffer): Buffer {
  const frame = message.subarray(0, -SIGNATURE_BYTES)
  return Buffer.concat([frame, message.subarray(-SIGNATURE_BYTES, -64), sign(null, frame, alice.keys.signing)])
}

function inviteWithAnotherDigest(): Buffer {
  const { message } = signMessage({ from: alice, to: bob.vid, payload: { kind: 'invite' }, namesSender: false })
  const at = message.indexOf(text('XRFI'))
  return changed(message, at + 10, flipped)
}

function withSecondSignature(): Buffer {
  const signature = sealed.subarray(-66)
  const frame = sealed.subarray(0, -SIGNATURE_BYTES)
  return Buffer.concat([frame, writeGroup(2, writeGroup(10, signature, signature))])
}
