// HPKE in its base mode, one message a key (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
import { createCipheriv, createDecipheriv, createHmac, diffieHellman, randomBytes } from 'node:crypto'

import { privateKeyOf, publicKeyOf, publicTextOf } from '../identity/okp.ts'
import type { OwnKeys, PeerKeys } from './keys.ts'

const CIPHER = 'chacha20-poly1305'
const ENCAPSULATED_BYTES = 32
const TAG_BYTES = 16
const KEY_BYTES = 32
const NONCE_BYTES = 12

const KEM = suite('KEM', 0x0020)
const HPKE = suite('HPKE', 0x0020, 0x0001, 0x0003)
/** The mode, no pre-shared key, and what TSP calls the protocol (specification §8.2.2): the same for every message. */
const CONTEXT = Buffer.concat([Buffer.from([0]), extract(HPKE, '', 'psk_id_hash', ''), extract(HPKE, '', 'info_hash', 'YTSP-')])

/** The encapsulated key, the ciphertext and its tag. */
export function sealBase({ to, aad, plaintext, ephemeral = randomBytes(32) }: SealOptions): Buffer {
  const privateKey = privateKeyOf('X25519', ephemeral.toString('base64url'))
  const encapsulated = Buffer.from(publicTextOf(privateKey), 'base64url')
  const secret = diffieHellman({ privateKey, publicKey: to.sealing })
  const { key, nonce } = keyFrom(secret, encapsulated, to.sealingBytes)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(aad, { plaintextLength: plaintext.length })
  return Buffer.concat([encapsulated, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

interface SealOptions {
  to: PeerKeys
  aad: Buffer
  plaintext: Buffer
  /** A secret of X25519 for this message alone. Only to make the same bytes again is one given. */
  ephemeral?: Buffer
}

/** Undefined when it was not sealed to this key, with this `aad`. */
export function openBase({ keys, aad, sealed }: { keys: OwnKeys; aad: Buffer; sealed: Buffer }): Buffer | undefined {
  const end = sealed.length - TAG_BYTES
  if (end < ENCAPSULATED_BYTES) return undefined
  const encapsulated = sealed.subarray(0, ENCAPSULATED_BYTES)
  try {
    // A point of small order agrees on zeros with every key: node:crypto throws for it.
    const secret = diffieHellman({ privateKey: keys.opening, publicKey: publicKeyOf('X25519', encapsulated.toString('base64url')) })
    const { key, nonce } = keyFrom(secret, encapsulated, keys.sealingBytes)
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(aad, { plaintextLength: end - ENCAPSULATED_BYTES })
    decipher.setAuthTag(sealed.subarray(end))
    return Buffer.concat([decipher.update(sealed.subarray(ENCAPSULATED_BYTES, end)), decipher.final()])
  } catch {
    return undefined
  }
}

/** RFC 9180 §4.1 (ExtractAndExpand) and §5.1 (KeySchedule), for the first and only message. */
function keyFrom(agreed: Buffer, encapsulated: Buffer, receiver: Buffer): { key: Buffer; nonce: Buffer } {
  const shared = expand(KEM, extract(KEM, '', 'eae_prk', agreed), 'shared_secret', Buffer.concat([encapsulated, receiver]), KEY_BYTES)
  const secret = extract(HPKE, shared, 'secret', '')
  return { key: expand(HPKE, secret, 'key', CONTEXT, KEY_BYTES), nonce: expand(HPKE, secret, 'base_nonce', CONTEXT, NONCE_BYTES) }
}

/** LabeledExtract of §4. */
function extract(of: Buffer, salt: Buffer | string, label: string, material: Buffer | string): Buffer {
  return createHmac('sha256', salt).update('HPKE-v1').update(of).update(label).update(material).digest()
}

/** LabeledExpand of §4, for what one block of HKDF is long enough. */
function expand(of: Buffer, key: Buffer, label: string, info: Buffer, length: number): Buffer {
  const block = createHmac('sha256', key)
    .update(numbers(length))
    .update('HPKE-v1')
    .update(of)
    .update(label)
    .update(info)
    .update(Buffer.from([1]))
    .digest()
  return block.subarray(0, length)
}

function suite(name: string, ...ids: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from(name, 'latin1'), numbers(...ids)])
}

/** Each in two bytes. */
function numbers(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >>> 8, value & 255]))
}
