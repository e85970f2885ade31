// HPKE in its base mode, one message a key (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
import { createCipheriv, createDecipheriv, createHmac, diffieHellman, randomBytes } from 'node:crypto'

import { privateKeyOf, publicKeyOf, publicTextOf } from '../identity/okp.ts'
import type { OwnKeys, PeerKeys } from './keys.ts'

const CIPHER = 'chacha20-poly1305'
const ENCAPSULATED_BYTES = 32
const TAG_BYTES = 16
const KEY_BYTES = 32
const NONCE_BYTES = 12

const NOTHING = Buffer.alloc(0)
const KEM = suite('KEM', 0x0020)
const HPKE = suite('HPKE', 0x0020, 0x0001, 0x0003)
/** The mode, no pre-shared key, and what TSP calls the protocol (specification §8.2.2). */
const CONTEXT = Buffer.concat([
  Buffer.from([0]),
  hmac(NOTHING, labelled(HPKE, 'psk_id_hash')),
  hmac(NOTHING, labelled(HPKE, 'info_hash'), Buffer.from('YTSP-')),
])
/** LabeledExpand of §4 ends with the number of its block, and one block is long enough for everything here. */
const FIRST_BLOCK = Buffer.from([1])
/** What is the same for every message is written once: to put it together took as long as to hash it. */
const AGREED = labelled(KEM, 'eae_prk')
const SHARED = Buffer.concat([numbers(KEY_BYTES), labelled(KEM, 'shared_secret')])
const SECRET = labelled(HPKE, 'secret')
const KEY = Buffer.concat([numbers(KEY_BYTES), labelled(HPKE, 'key'), CONTEXT, FIRST_BLOCK])
const NONCE = Buffer.concat([numbers(NONCE_BYTES), labelled(HPKE, 'base_nonce'), CONTEXT, FIRST_BLOCK])

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
    const plaintext = decipher.update(sealed.subarray(ENCAPSULATED_BYTES, end))
    // A stream cipher keeps nothing back: the end is the look at the tag.
    decipher.final()
    return plaintext
  } catch {
    return undefined
  }
}

/** RFC 9180 §4.1 (ExtractAndExpand) and §5.1 (KeySchedule), for the first and only message. */
function keyFrom(agreed: Buffer, encapsulated: Buffer, receiver: Buffer): { key: Buffer; nonce: Buffer } {
  const shared = hmac(hmac(NOTHING, AGREED, agreed), SHARED, encapsulated, receiver, FIRST_BLOCK)
  const secret = hmac(shared, SECRET)
  return { key: hmac(secret, KEY), nonce: hmac(secret, NONCE).subarray(0, NONCE_BYTES) }
}

function hmac(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const hash = createHmac('sha256', key)
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** How the input of LabeledExtract begins, and behind its length that of LabeledExpand (§4). */
function labelled(of: Buffer, label: string): Buffer {
  return Buffer.concat([Buffer.from('HPKE-v1'), of, Buffer.from(label)])
}

function suite(name: string, ...ids: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from(name, 'latin1'), numbers(...ids)])
}

/** Each in two bytes. */
function numbers(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >>> 8, value & 255]))
}
