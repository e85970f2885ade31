// What a wallet or a key signs to prove itself: a message that we wrote ourselves and need not remember. Its nonce carries a seal
// over all the rest, so that asking for one costs no row, and whoever asks cannot fill the store.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { Vid } from '../identity/vid.ts'
import { checksummedAddress, walletOf } from '../identity/wallet.ts'

interface Challenge {
  readonly message: string
  readonly nonce: string
  readonly expiresAtMs: number
}

export interface Challenges {
  issue(identity: Vid, purpose: Purpose): Challenge
  /** What is to be used once, of a message of ours for this identity and purpose that is not over. Otherwise why not, for the log. */
  check(message: string, identity: Vid, purpose: Purpose): Pick<Challenge, 'nonce' | 'expiresAtMs'> | { readonly rejected: string }
}

/** What a signature is for: one that was made for something else proves nothing. */
export interface Purpose {
  /** Where it is used: its host stands in the first line, where a wallet compares it with the page's. */
  readonly uri: string
  /** One line that says to whoever signs what they agree to. Only words of ours, or what we looked at letter by letter. */
  readonly statement: string
}

export interface ChallengeOptions {
  /** Keys to seal with, the newest first. Asked anew each time. */
  sealing: () => readonly Uint8Array[]
  now: () => number
  random?: (bytes: number) => Buffer
}

const LIFE_MS = 5 * 60_000
const MOST_CHARACTERS = 8192
const NONCE = /^Nonce: ([0-9a-f]{32})([0-9a-f]{64})$/m
const ISSUED = /^Issued At: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)$/m

export function createChallenges({ sealing, now, random = randomBytes }: ChallengeOptions): Challenges {
  const sealOf = (key: Uint8Array, chance: string, unsealed: string): string =>
    createHmac('sha256', key)
      .update(JSON.stringify(['challenge', chance, unsealed]))
      .digest('hex')

  return {
    issue(identity, purpose) {
      const issuedAtMs = now()
      const chance = random(16).toString('hex')
      const [key] = sealing()
      if (!key) throw new Error('there is a key to seal with as long as the node runs')
      const nonce = chance + sealOf(key, chance, messageOf({ identity, purpose, issuedAtMs, nonce: '' }))
      return { message: messageOf({ identity, purpose, issuedAtMs, nonce }), nonce, expiresAtMs: issuedAtMs + LIFE_MS }
    },
    check(message, identity, purpose) {
      if (message.length > MOST_CHARACTERS) return { rejected: 'the message is too long' }
      const [, chance = '', seal = ''] = NONCE.exec(message) ?? []
      const issuedAtMs = Date.parse(ISSUED.exec(message)?.[1] ?? '')
      if (seal === '' || !Number.isFinite(issuedAtMs)) return { rejected: 'no message of ours' }
      // Not read but written again: what is not ours to the letter says something else to whoever signs it.
      if (messageOf({ identity, purpose, issuedAtMs, nonce: chance + seal }) !== message)
        return { rejected: 'for another identity, another purpose, or changed' }
      const unsealed = messageOf({ identity, purpose, issuedAtMs, nonce: '' })
      const given = Buffer.from(seal, 'hex')
      if (!sealing().some((key) => timingSafeEqual(Buffer.from(sealOf(key, chance, unsealed), 'hex'), given))) return { rejected: 'a nonce that is not ours' }
      const expiresAtMs = issuedAtMs + LIFE_MS
      return expiresAtMs <= now() ? { rejected: EXPIRED } : { nonce: chance, expiresAtMs }
    },
  }
}

/** The one reason that a person is told: the message was theirs, and only late. */
export const EXPIRED = 'the challenge is over'

interface Said {
  identity: Vid
  purpose: Purpose
  issuedAtMs: number
  nonce: string
}

/** EIP-4361 for a wallet; for every other DID the same form, as CAIP-122 has it for other namespaces. */
function messageOf({ identity, purpose: { uri, statement }, issuedAtMs, nonce }: Said): string {
  const wallet = walletOf(identity)
  const account = wallet ? ['Ethereum account', checksummedAddress(wallet.address)] : ['DID', identity]
  return [
    `${new URL(uri).host} wants you to sign in with your ${account[0]}:`,
    account[1],
    '',
    statement,
    '',
    `URI: ${uri}`,
    'Version: 1',
    ...(wallet ? [`Chain ID: ${wallet.chainId}`] : []),
    `Nonce: ${nonce}`,
    `Issued At: ${new Date(issuedAtMs).toISOString()}`,
    `Expiration Time: ${new Date(issuedAtMs + LIFE_MS).toISOString()}`,
  ].join('\n')
}
