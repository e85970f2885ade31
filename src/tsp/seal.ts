// Makes a message: its payload written, sealed to one receiver or left readable, and all of it signed.
import { randomBytes, sign } from 'node:crypto'

import { OpenMcpError } from '../errors.ts'
import type { Vid } from '../identity/vid.ts'
import { DATA } from './cesr.ts'
import { writeData } from './cesr-write.ts'
import type { Digest, DigestKind } from './digest.ts'
import { MOST_MESSAGE_BYTES, writeFrame, writePrefix, writeSignature } from './envelope.ts'
import { sealBase } from './hpke.ts'
import type { OwnKeys, PeerKeys } from './keys.ts'
import { writePayload, type NewPayload } from './payload-write.ts'

interface Sender {
  /** As it is written: the long form of a did:peer:4 where it introduces itself, the short one ever after. */
  readonly vid: Vid
  readonly keys: OwnKeys
}

export interface Receiver {
  readonly vid: Vid
  readonly keys: PeerKeys
}

export interface SealedMessage {
  readonly message: Buffer
  /** Of an invite or an accept: what the relationship is known by. */
  readonly digest?: Digest
}

export interface MessageOptions {
  from: Sender
  payload: NewPayload
  /** To hide a length. */
  padding?: Uint8Array
  /** Whether the payload names the sender as well; a sealed box, which names nobody, has to. */
  namesSender?: boolean
  nonce?: () => Uint8Array
}

/** How a payload is sealed. HPKE is what is sent; a sealed box is only read. */
export interface Sealing {
  readonly code: number
  readonly digestKind: DigestKind
  seal(to: PeerKeys, plaintext: Buffer, aad: Buffer): Buffer
}

/** With `ephemeral`, the secret of one message, it makes the same bytes again. */
export function hpkeBase({ ephemeral }: { ephemeral?: Buffer } = {}): Sealing {
  return {
    code: DATA.hpkeBase,
    digestKind: 'sha256',
    seal: (to, plaintext, aad) => sealBase({ to, plaintext, aad, ...(ephemeral && { ephemeral }) }),
  }
}

/** Throws `too_large` for what is more than a message may hold. */
export function sealMessage({ to, sealing = hpkeBase(), ...options }: MessageOptions & { to: Receiver; sealing?: Sealing }): SealedMessage {
  const prefix = writePrefix(options.from.vid, to.vid)
  const { bytes, digest } = payloadOf(options, prefix, sealing.digestKind)
  return signed(options.from, prefix, writeData(sealing.code, sealing.seal(to.keys, bytes, prefix)), digest)
}

/** A message that everybody can read: to one receiver, or to nobody in particular. */
export function signMessage({ to, ...options }: MessageOptions & { to?: Vid }): SealedMessage {
  const prefix = writePrefix(options.from.vid, to)
  const { bytes, digest } = payloadOf(options, prefix, 'sha256')
  return signed(options.from, prefix, bytes, digest)
}

function payloadOf(options: MessageOptions, prefix: Buffer, digestKind: DigestKind): ReturnType<typeof writePayload> {
  const { from, payload, padding = Buffer.alloc(0), namesSender = true, nonce = () => randomBytes(16) } = options
  return writePayload(payload, { prefix, sender: namesSender ? from.vid : undefined, digestKind, nonce, padding })
}

function signed({ keys }: Sender, prefix: Buffer, body: Buffer, digest: Digest | undefined): SealedMessage {
  const frame = writeFrame(prefix, body)
  const message = Buffer.concat([frame, writeSignature(sign(null, frame, keys.signing))])
  // Whoever gets it would drop it in silence.
  if (message.length > MOST_MESSAGE_BYTES) throw new OpenMcpError('too_large', `a TSP message may have ${MOST_MESSAGE_BYTES} bytes`)
  return { message, ...(digest !== undefined && { digest }) }
}
