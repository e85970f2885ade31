// Opens a message of a sender whose keys are known: signature first, then what is sealed, then what it says.
import { verify } from 'node:crypto'

import type { Frame } from './envelope.ts'
import { openBase } from './hpke.ts'
import type { OwnKeys, PeerKeys } from './keys.ts'
import { readPayload } from './payload-read.ts'
import type { Payload, Referral } from './payload.ts'
import { TspRefusal } from './refusal.ts'
import { openSealedBox } from './sealed-box.ts'

/** The caller has found `from` by the frame's sender and `to` by its receiver. Throws a TspRefusal for whatever is not as it must be. */
export function openMessage(frame: Frame, { from, to }: { from: PeerKeys; to: OwnKeys | undefined }): Payload {
  if (!verify(null, frame.signed, from.verifying, frame.signature)) throw new TspRefusal('signature', 'the signature is not of the sender')
  return readPayload(opened(frame, to), frame)
}

/** Whether the VID that a referral introduces has itself agreed to that. */
export function verifyReferral({ signed, signature }: Referral, keys: PeerKeys): boolean {
  return verify(null, signed, keys.verifying, signature)
}

function opened({ protectedBy, body, prefix }: Frame, keys: OwnKeys | undefined): Buffer {
  if (protectedBy === 'none') return body
  if (!keys) throw new TspRefusal('receiver', 'the message is sealed to nobody here')
  const plaintext = protectedBy === 'hpke-base' ? openBase({ keys, aad: prefix, sealed: body }) : openSealedBox(body, keys)
  if (!plaintext) throw new TspRefusal('decryption', 'the message is not sealed to this key')
  return plaintext
}
