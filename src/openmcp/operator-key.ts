// A key that lets in whoever holds it: it has to be one that nobody guesses.
import { OpenMcpError } from '../errors.ts'

const MIN_CHARACTERS = 32
const MAX_CHARACTERS = 512
export const HOW_TO_MAKE = `a key has ${MIN_CHARACTERS} characters at least, by chance: openssl rand -hex 32`

/** What is known from examples. Chance makes one of these less than once in a thousand keys. */
const GUESSED = /change.?me|replace|your.?(?:api|key|secret)|api.?key|example|placeholder|password|secret|default|insert|sample|letmein|qwerty|123456|abcdef/i
const MIN_DISTINCT = 10

/** The key itself. It is never repeated in a message: `as` says which one is wrong. */
export function checkedOperatorKey(key: string, as: string): string {
  if (key.length < MIN_CHARACTERS) throw new OpenMcpError('usage', `${as}: the key is too short`, { hint: HOW_TO_MAKE })
  if (key.length > MAX_CHARACTERS || !/^[\x21-\x7e]+$/.test(key)) {
    throw new OpenMcpError('usage', `${as}: the key holds what no header can carry, or has more than ${MAX_CHARACTERS} characters`, { hint: HOW_TO_MAKE })
  }
  if (GUESSED.test(key) || new Set(key).size < MIN_DISTINCT || /^(.{1,16}?)\1+.{0,15}$/.test(key)) {
    throw new OpenMcpError('usage', `${as}: the key can be guessed`, { hint: HOW_TO_MAKE })
  }
  return key
}
