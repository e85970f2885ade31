// `openmcp notification-demo`, with the official client.
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'

import { readArguments, readWords } from '../../src/cli/arguments.ts'
import { notificationDemo } from '../../src/cli/notification-demo.ts'
import { DEMO_OPTIONS } from '../../src/cli/option-table.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { INITIALIZED, callMessage, initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'

function demo(...typed: string[]): { send(message: Json): void; messages(): Json[]; leave(): Promise<number> } {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  let text = ''
  stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
  const io = { argv: typed, env: {}, platform: 'linux' as const, cwd: '/', stdin, stdout, stderr: new PassThrough() }
  const ended = notificationDemo(readWords(typed, DEMO_OPTIONS), io, 1)
  return {
    send: (message) => void stdin.write(`${JSON.stringify(message)}\n`),
    messages: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => jsonOf(JSON.parse(line))),
    leave() {
      stdin.end()
      return ended
    },
  }
}

const levels = (messages: readonly Json[]): unknown[] => messages.flatMap(({ params }) => (params === undefined ? [] : (jsonOf(params)['level'] ?? [])))

test('nothing is said before the client is ready, then every level in its turn, so often as was asked', async () => {
  const { send, messages, leave } = demo('--count', '2')
  send(initializeMessage(1))
  await until('the answer', () => messages().length === 1)
  expect(messages()[0]).toMatchObject({ id: 1, result: { protocolVersion: '2025-11-25', capabilities: { logging: {} } } })
  send(INITIALIZED)
  await until('the last', () => messages().some(({ method }) => method === 'notifications/tools/list_changed'))
  expect(levels(messages())).toEqual(['info', 'warning', 'error', 'debug', 'info', 'warning', 'error', 'debug'])
  expect(await leave()).toBe(0)
})

test('a level that was set holds', async () => {
  const { send, messages, leave } = demo('--count', '1')
  send(initializeMessage(1))
  send({ jsonrpc: '2.0', id: 2, method: 'logging/setLevel', params: { level: 'error' } })
  send(INITIALIZED)
  await until('the last', () => messages().some(({ method }) => method === 'notifications/tools/list_changed'))
  expect(levels(messages())).toEqual(['error'])
  await leave()
})

test('a call tells of its progress', async () => {
  const { send, messages, leave } = demo('--count', '3')
  send(initializeMessage(1))
  send(callMessage(2, 'count', {}, { progressToken: 'p' }))
  await until('the answer', () => messages().some(({ id }) => id === 2))
  expect(
    messages()
      .filter(({ method }) => method === 'notifications/progress')
      .map(({ params }) => jsonOf(params)['progress']),
  ).toEqual([1, 2, 3])
  await leave()
})

test.each(['0', 'x', '10001'])('--count %s is refused', async (count) => {
  await expect(notificationDemo(readArguments(['--count', count], DEMO_OPTIONS), {} as Parameters<typeof notificationDemo>[1])).rejects.toMatchObject({
    code: 'usage',
  }) // it asks for nothing before
})
