// Wallets of Ethereum: the identity behind an address, and which address signed a message (EIP-191).
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { OpenMcpError } from '../errors.ts'
import { identifierOf, isVid, methodOf, parseVid, type Vid } from './vid.ts'

/** The chain that an address without one is of: an account of its own key is the same on every chain. */
const CHAIN = 1
/** r, s and v. */
const SIGNATURE = /^0x[0-9a-fA-F]{130}$/
const RECOVERY: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [1, 1],
  [27, 0],
  [28, 1],
])

export interface Wallet {
  readonly chainId: string
  /** Lower-case, with 0x. */
  readonly address: string
}

/** `0x` and 40 digits, without capitals or with those of EIP-55. Throws `identity_invalid`. */
export function walletVid(hexString: unknown): Vid {
  if (typeof hexString !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(hexString)) {
    throw new OpenMcpError('identity_invalid', 'an address is 0x and 40 hexadecimal digits')
  }
  return parseVid(`did:pkh:eip155:${CHAIN}:${hexString}`)
}

/** Undefined for every other identity. */
export function walletOf(identity: string): Wallet | undefined {
  if (!isVid(identity) || methodOf(identity) !== 'pkh') return undefined
  const [, chainId = '', address = ''] = identifierOf(identity).split(':')
  return { chainId, address }
}

/** As people read it (EIP-55). */
export function checksummedAddress(address: string): string {
  const digits = address.slice(2)
  const hash = Buffer.from(keccak_256(Buffer.from(digits, 'latin1'))).toString('hex')
  return `0x${Array.from(digits, (c, index) => (Number.parseInt(hash.charAt(index), 16) >= 8 ? c.toUpperCase() : c)).join('')}`
}

/** False for everything that is not the one good signature of this address: of the two that ECDSA has, the one with the low s (EIP-2). */
export function isSignedByWallet(address: string, message: string, signature: string): boolean {
  if (!SIGNATURE.test(signature)) return false
  const bytes = Buffer.from(signature.slice(2), 'hex')
  const recovery = RECOVERY.get(bytes[64] ?? -1)
  if (recovery === undefined) return false
  try {
    const parsed = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), 'compact')
    if (parsed.hasHighS()) return false
    const point = parsed.addRecoveryBit(recovery).recoverPublicKey(personalHash(message))
    return addressOf(point.toBytes(false)) === address
  } catch {
    return false
  }
}

/** EIP-191, version 0x45: what a wallet signs can be no transaction. */
function personalHash(message: string): Uint8Array {
  const bytes = Buffer.from(message, 'utf8')
  return keccak_256(Buffer.concat([Buffer.from(`\u0019Ethereum Signed Message:\n${bytes.length}`, 'latin1'), bytes]))
}

function addressOf(uncompressed: Uint8Array): string {
  return `0x${Buffer.from(keccak_256(uncompressed.subarray(1)).subarray(12)).toString('hex')}`
}
