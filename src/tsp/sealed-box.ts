// The sealed box of libsodium (specification §8.3), which older senders may still use: it is opened here and never made.
import { diffieHellman } from 'node:crypto'
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js'
import { blake2b } from '@noble/hashes/blake2.js'

import { publicKeyOf } from '../identity/okp.ts'
import type { OwnKeys } from './keys.ts'

const EPHEMERAL_BYTES = 32
const TAG_BYTES = 16

/** Undefined when it was not sealed to this key. */
export function openSealedBox(sealed: Buffer, keys: OwnKeys): Buffer | undefined {
  if (sealed.length < EPHEMERAL_BYTES + TAG_BYTES) return undefined
  const ephemeral = sealed.subarray(0, EPHEMERAL_BYTES)
  try {
    // Fails on a point of small order.
    const agreed = diffieHellman({ privateKey: keys.opening, publicKey: publicKeyOf('X25519', ephemeral.toString('base64url')) })
    return Buffer.from(boxOf(agreed, ephemeral, keys.sealingBytes).decrypt(sealed.subarray(EPHEMERAL_BYTES)))
  } catch {
    return undefined
  }
}

/** What both ends make of what they agreed on: crypto_box with a nonce made of both public keys. */
export function boxOf(agreed: Buffer, ephemeral: Buffer, receiver: Buffer): ReturnType<typeof xsalsa20poly1305> {
  const nonce = blake2b(Buffer.concat([ephemeral, receiver]), { dkLen: 24 })
  const key = new Uint32Array(8)
  hsalsa(wordsOf(Buffer.from('expand 32-byte k')), wordsOf(agreed), new Uint32Array(4), key)
  return xsalsa20poly1305(new Uint8Array(key.buffer), nonce)
}

function wordsOf(bytes: Buffer): Uint32Array {
  // A copy begins at a multiple of four, as words must.
  return new Uint32Array(Uint8Array.from(bytes).buffer)
}
