// Base58 of Bitcoin, in which keys of DIDs are written. It takes the square of its length: whoever calls has a limit on it.
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const VALUES: ReadonlyMap<string, number> = new Map(Array.from(ALPHABET, (c, value) => [c, value] as const))

/** So many characters make a safe integer, and a tenth of the steps of one at a time. */
const GROUP = 9

/** Undefined for what is no base58 of at most `most` characters. */
export function fromBase58(text: string, most: number): Uint8Array | undefined {
  if (text.length > most) return undefined
  let number = 0n
  for (let at = 0; at < text.length; at += GROUP) {
    const group = text.slice(at, at + GROUP)
    let low = 0
    for (const c of group) {
      const value = VALUES.get(c)
      if (value === undefined) return undefined
      low = low * 58 + value
    }
    number = number * BigInt(58 ** group.length) + BigInt(low)
  }
  const hex = number === 0n ? '' : number.toString(16)
  // Each 1 in front stands for a byte that the number does not show.
  const zeros = /^1*/.exec(text)?.[0].length ?? 0
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')])
}

export function toBase58(bytes: Uint8Array): string {
  // Least significant digit first.
  const digits: number[] = []
  for (const byte of bytes) {
    let carry = byte
    for (let index = 0; index < digits.length; index++) {
      carry += (digits[index] ?? 0) << 8
      digits[index] = carry % 58
      carry = Math.floor(carry / 58)
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58)
  }
  const first = bytes.findIndex((byte) => byte !== 0)
  const zeros = first < 0 ? bytes.length : first
  return (
    '1'.repeat(zeros) +
    digits
      .toReversed()
      .map((digit) => ALPHABET.charAt(digit))
      .join('')
  )
}
