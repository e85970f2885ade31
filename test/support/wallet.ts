// A wallet that tests hold: an address, and what it signs (EIP-191).
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

export interface TestWallet {
  /** Lower-case. */
  readonly address: string
  readonly did: string
  sign(message: string): string
}

export function testWallet(secretKey: Uint8Array = secp256k1.utils.randomSecretKey()): TestWallet {
  const point = secp256k1.getPublicKey(secretKey, false)
  const address = `0x${hexOf(keccak_256(point.subarray(1)).subarray(12))}`
  return {
    address,
    did: `did:pkh:eip155:1:${address}`,
    sign(message) {
      const bytes = new TextEncoder().encode(message)
      const prefix = new TextEncoder().encode(`\u0019Ethereum Signed Message:\n${bytes.length}`)
      const [recovery = 0, ...compact] = secp256k1.sign(keccak_256(Uint8Array.from([...prefix, ...bytes])), secretKey, { prehash: false, format: 'recovered' })
      return `0x${hexOf(Uint8Array.from([...compact, recovery + 27]))}`
    },
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
