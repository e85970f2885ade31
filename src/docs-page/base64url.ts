// Bytes as OAuth writes them (RFC 7515 §2).

export function base64url(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** 256 bits that nobody guesses. */
export function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}
