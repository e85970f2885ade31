// Messages that the Rust SDK made, recorded by test/slow/tsp-interop.mjs: an ordinary run needs no Rust.
import { expect, test } from 'vitest'

import { readFrame } from '../../src/tsp/envelope.ts'
import { ownKeysOf, peerKeysOf } from '../../src/tsp/keys.ts'
import { openMessage } from '../../src/tsp/open.ts'
import file from './rust-messages.json' with { type: 'json' }
import { bytesOf } from './vectors.ts'

test.each(file.messages)('the $what of tsp_sdk 0.11 opens, and says the same', ({ from, to, message, payload }) => {
  const read = openMessage(readFrame(bytesOf(message)), { from: peerKeysOf(from), to: to && ownKeysOf(to) })
  expect(textsOf(read)).toEqual(payload)
})

/** As the recorder writes them. */
function textsOf(payload: object): object {
  const members: [string, unknown][] = Object.entries(payload)
  return Object.fromEntries(members.map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString('base64url') : vidIn(value)]))
}

/** Of a referral the VID. */
function vidIn(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'vid' in value ? value.vid : value
}
