import { expect, test } from 'vitest'
import { isLoopbackHost } from '../../src/protocol/loopback.ts'

test.each(['localhost', 'LocalHost', '127.0.0.1', '127.0.0.2', '127.255.255.255', '::1', '[::1]'])('%s is this machine', (host) => {
  expect(isLoopbackHost(host)).toBe(true)
})

test.each([
  '',
  '0.0.0.0',
  '::',
  '[::]',
  '128.0.0.1',
  '10.0.0.1',
  '127.0.0.1.evil.example',
  '127.1',
  '127.0.0.256',
  'localhost.evil.example',
  'localhost.',
  '[localhost',
  '::ffff:10.0.0.1',
  'evil.example',
])('%j may be another one', (host) => {
  expect(isLoopbackHost(host)).toBe(false)
})
