import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseVid } from '../../src/identity/vid.ts'
import { createChallenges, EXPIRED, type Challenges } from '../../src/tokens/challenge.ts'

const WALLET = parseVid('did:pkh:eip155:1:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed')
const ANN = parseVid('did:web:ann.example')
const KEYS = { uri: 'https://mcp.example.com/keys', statement: 'Prove it.' }
const BEGAN_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 6)

interface Desk {
  challenges: Challenges
  keys: Uint8Array[]
  pass(ms: number): void
}

function desk(): Desk {
  let nowMs = BEGAN_MS
  const keys = [new Uint8Array(32).fill(1)]
  return {
    challenges: createChallenges({ sealing: () => keys, now: () => nowMs }),
    keys,
    pass: (ms) => void (nowMs += ms),
  }
}

describe('a challenge', () => {
  test('of a wallet is written as EIP-4361 has it', () => {
    const { challenges } = desk()
    const { message, nonce, expiresAtMs } = challenges.issue(WALLET, KEYS)
    expect(message.split('\n')).toEqual([
      'mcp.example.com wants you to sign in with your Ethereum account:',
      '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
      '',
      'Prove it.',
      '',
      'URI: https://mcp.example.com/keys',
      'Version: 1',
      'Chain ID: 1',
      `Nonce: ${nonce}`,
      'Issued At: 2026-01-02T03:04:05.006Z',
      'Expiration Time: 2026-01-02T03:09:05.006Z',
    ])
    // EIP-4361: at least eight letters and digits.
    expect(nonce).toMatch(/^[0-9a-f]{96}$/)
    expect(expiresAtMs).toBe(BEGAN_MS + 300_000)
  })

  test('of another DID has no chain', () => {
    const { message } = desk().challenges.issue(ANN, KEYS)
    expect(message).toContain('sign in with your DID:\ndid:web:ann.example\n')
    expect(message).not.toContain('Chain ID')
  })

  test('is ours for its identity, its purpose and five minutes', () => {
    const { challenges, pass } = desk()
    const { message, expiresAtMs } = challenges.issue(ANN, KEYS)
    expect(challenges.check(message, ANN, KEYS)).toEqual({ nonce: expect.stringMatching(/^[0-9a-f]{32}$/), expiresAtMs })
    for (const [identity, purpose] of [
      [WALLET, KEYS],
      [ANN, { ...KEYS, uri: 'https://mcp.example.com/login/1' }],
      [ANN, { ...KEYS, uri: 'http://mcp.example.com/keys' }],
      [ANN, { ...KEYS, uri: 'https://mcp.example.com:8443/keys' }],
      [ANN, { ...KEYS, statement: 'Prove it!' }],
    ] as const) {
      expect(challenges.check(message, identity, purpose)).toHaveProperty('rejected')
    }
    pass(299_999)
    expect(challenges.check(message, ANN, KEYS)).toHaveProperty('nonce')
    pass(1)
    expect(challenges.check(message, ANN, KEYS)).toEqual({ rejected: EXPIRED })
  })

  test('is another one each time, and each is used by its own nonce', () => {
    const { challenges } = desk()
    const [one, other] = [challenges.issue(ANN, KEYS), challenges.issue(ANN, KEYS)]
    expect(one.message).not.toBe(other.message)
    expect(challenges.check(one.message, ANN, KEYS)).not.toEqual(challenges.check(other.message, ANN, KEYS))
  })

  test('of a key to seal with that was dropped is none, and one of the last key still is', () => {
    const { challenges, keys } = desk()
    const { message } = challenges.issue(ANN, KEYS)
    keys.unshift(new Uint8Array(32).fill(2))
    expect(challenges.check(message, ANN, KEYS)).toHaveProperty('nonce')
    keys.pop()
    expect(challenges.check(message, ANN, KEYS)).toEqual({ rejected: 'a nonce that is not ours' })
  })

  test('in which one letter is another, is missing or too much is none, and none says that it only came late', () => {
    const { challenges, pass } = desk()
    const { message } = challenges.issue(WALLET, KEYS)
    const change = fc.record({ at: fc.nat(message.length - 1), by: fc.string({ maxLength: 2, unit: 'binary' }), cut: fc.nat(2) })
    fc.assert(
      fc.property(change, ({ at, by, cut }) => {
        const changed = message.slice(0, at) + by + message.slice(at + cut)
        return changed === message || 'rejected' in challenges.check(changed, WALLET, KEYS)
      }),
      { numRuns: 2000 },
    )
    pass(300_000)
    expect(challenges.check(message.replace('Prove', 'prove'), WALLET, KEYS)).not.toEqual({ rejected: EXPIRED })
    // Its times are sealed as well: nobody makes an old one young.
    const younger = message.replace('03:04:05.006', '03:08:05.006').replace('03:09:05.006', '03:13:05.006')
    expect(challenges.check(younger, WALLET, KEYS)).toEqual({ rejected: 'a nonce that is not ours' })
  })

  test('any text is looked at without an error', () => {
    const { challenges } = desk()
    const texts = fc.oneof(fc.string({ unit: 'binary', maxLength: 500 }), fc.constant(`Nonce: ${'0'.repeat(96)}\nIssued At: 9999-99-99T99:99:99.999Z`))
    fc.assert(fc.property(texts, (text) => 'rejected' in challenges.check(text, WALLET, KEYS)))
    expect(challenges.check('x'.repeat(8193), WALLET, KEYS)).toEqual({ rejected: 'the message is too long' })
  })
})

test('the longest identity there is has a challenge that can be looked at', () => {
  const { challenges } = desk()
  const longest = parseVid(`did:peer:4zQm${'a'.repeat(44)}:z${'b'.repeat(4096 - 59)}`)
  expect(longest).toHaveLength(4096)
  expect(challenges.check(challenges.issue(longest, KEYS).message, longest, KEYS)).toHaveProperty('nonce')
})
