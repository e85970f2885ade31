// How an API key is written: by this it is told from a token.
export const API_KEY = /^sk_[\w-]{43}$/

export function isApiKey(token: string): boolean {
  return token.startsWith('sk_')
}
