// Base58 of Bitcoin, in which keys of DIDs are written. It takes the square of its length: whoever calls has a limit on it.
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((c, value) => [c, value]))

/** Undefined for what is no base58 of at most `most` characters. */
export function fromBase58(text: string, most: number): Uint8Array | undefined {
  if (text.length > most) return undefined
  // Least significant byte first.
  const bytes: number[] = []
  for (const c of text) {
    const value = VALUES.get(c)
    if (value === undefined) return undefined
    let carry = value
    for (let index = 0; index < bytes.length; index++) {
      carry += (bytes[index] ?? 0) * 58
      bytes[index] = carry & 255
      carry >>= 8
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 255)
  }
  const zeros = /^1*/.exec(text)?.[0].length ?? 0
  return Uint8Array.from([...Array.from({ length: zeros }, () => 0), ...bytes.toReversed()])
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
