import { assert, property, uint8Array } from 'fast-check'
import { expect, test } from 'vitest'

import { fromBase58, toBase58 } from '../../src/identity/base58.ts'

const bytes = (text: string): Uint8Array | undefined => fromBase58(text, 100)

// https://datatracker.ietf.org/doc/html/draft-msporny-base58-03#section-5
test.each([
  ['2NEpo7TZRRrLZSi2U', Buffer.from('Hello World!')],
  ['USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z', Buffer.from('The quick brown fox jumps over the lazy dog.')],
  ['11233QC4', Buffer.from('0000287fb4cd', 'hex')],
  ['', Buffer.alloc(0)],
  ['1', Buffer.from([0])],
])('%o is base58', (text, expected) => {
  expect(Buffer.from(bytes(text) ?? 'nothing')).toEqual(expected)
  expect(toBase58(expected)).toBe(text)
})

test.each(['0', 'O', 'I', 'l', ' ', 'z6Mk+', 'é', '1'.repeat(101)])('%o is none', (text) => {
  expect(bytes(text)).toBeUndefined()
})

test('what is written is read as it was', () => {
  assert(
    property(uint8Array({ maxLength: 60 }), (written) => {
      expect([...(bytes(toBase58(written)) ?? [])]).toEqual([...written])
    }),
  )
})
