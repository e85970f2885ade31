// The codes of CESR that TSP uses (specification §9.1). Every primitive is whole triplets of bytes, which are quadlets of base64url.

/** Groups: what follows is counted in triplets. */
export const GROUP = {
  stream: letter('A'),
  attachments: letter('C'),
  frame: letter('E'),
  foreign: letter('H'),
  vids: letter('J'),
  signatures: letter('K'),
  payload: letter('Z'),
} as const

/** Data of any length. VIDs, padding and an application's bytes have the same code: the place says which it is. */
export const DATA = { bytes: letter('B'), sealedBox: letter('C'), hpkeBase: letter('F') } as const

/** What has a length of its own: the bytes in front of it, and the length behind them. */
export const FIXED = {
  nonce: { code: Buffer.from('d000', 'hex'), length: 16 },
  sha256: { code: Buffer.from('20', 'hex'), length: 32 },
  blake2b256: { code: Buffer.from('14', 'hex'), length: 32 },
} as const

export const DASH = letter('-')
/** The first characters of data with 0, 1 or 2 bytes in front that make its length whole: 4 5 6, and 7 8 9 when it is long. */
export const SHORT_DATA = letter('4')
export const LONG_DATA = letter('7')

/** Two characters of count in a short code, four and five in a long one. */
export const MOST_SHORT = 64 ** 2 - 1
export const MOST_LONG_DATA = 64 ** 4 - 1
export const MOST_LONG_GROUP = 64 ** 5 - 1

/** The empty data: no VID, or no padding. */
export const NOTHING = text('4BAA')

function letter(character: string): number {
  return 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(character)
}

/** The bytes that a text of the specification stands for. */
export function text(quadlets: string): Buffer {
  return Buffer.from(quadlets, 'base64url')
}
