// Base58 of Bitcoin, in which keys of DIDs are written. It takes the square of its length: whoever calls has a limit on it.
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((c, value) => [c, value]))

/** Four characters and three bytes at once: their product is still a safe integer. */
const GROUP = 4
const LIMB = 2 ** 24

/** Undefined for what is no base58 of at most `most` characters. */
export function fromBase58(text: string, most: number): Uint8Array | undefined {
  if (text.length > most) return undefined
  // Least significant limb first.
  const limbs: number[] = []
  for (let at = 0; at < text.length; at += GROUP) {
    const group = text.slice(at, at + GROUP)
    let carry = 0
    for (const c of group) {
      const value = VALUES.get(c)
      if (value === undefined) return undefined
      carry = carry * 58 + value
    }
    const factor = 58 ** group.length
    for (let index = 0; index < limbs.length; index++) {
      carry += (limbs[index] ?? 0) * factor
      limbs[index] = carry % LIMB
      carry = Math.floor(carry / LIMB)
    }
    if (carry > 0) limbs.push(carry)
  }
  const bytes = limbs.toReversed().flatMap((limb) => [limb >> 16, (limb >> 8) & 255, limb & 255])
  const first = bytes.findIndex((byte) => byte !== 0)
  const zeros = /^1*/.exec(text)?.[0].length ?? 0
  return Uint8Array.from([...Array.from({ length: zeros }, () => 0), ...(first < 0 ? [] : bytes.slice(first))])
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
