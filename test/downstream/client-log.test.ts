// Our log, for the client on stdio: what stderr hears, when it may hear it, and no more than it asked for.
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'

import { createLogLines } from '../../src/observe/log-lines.ts'
import { createLog, type Log } from '../../src/observe/log.ts'
import { openmcp } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { INITIALIZED, initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'

interface Client {
  send(message: Json): void
  answerTo(id: number): Promise<Json>
  /** Notifications that are our log, as level and text. */
  told(): [unknown, unknown][]
  readonly log: Log
  readonly stderr: string[]
}

/** A server that has these capabilities, and says what it was asked. */
const program = (capabilities: string): string =>
  `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => { const { id, method, params } = JSON.parse(line); if (id === undefined) return
    const result = method === 'initialize' ? { protocolVersion: params.protocolVersion, capabilities: ${capabilities}, serverInfo: { name: 'x', version: '1' } } : { asked: method }
    console.log(JSON.stringify({ jsonrpc: '2.0', id, result })) })`

async function connected({ capabilities = '{ tools: {} }', isTold = true } = {}): Promise<Client> {
  const [stdin, stdout, lines] = [new PassThrough(), new PassThrough(), createLogLines()]
  const stderr: string[] = []
  const heard = isTold ? lines.heard : undefined
  const log = createLog({ level: 'info', format: 'text', write: (line) => void stderr.push(line), heard, now: Date.now })
  let text = ''
  stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
  const messages = (): Json[] => text.split('\n').flatMap((line): Json[] => (line === '' ? [] : [jsonOf(JSON.parse(line))]))
  const target = { kind: 'command', command: process.execPath, args: ['-e', program(capabilities)], env: {} } as const
  const options = { target, name: 'x', isolation: 'session', limits: { ...DEFAULT_LIMITS, drainSeconds: 0 }, log: { level: 'info', format: 'text' } } as const
  const proxy = await openmcp(options, { stdin, stdout, log, ...(isTold && { lines }), now: Date.now })
  onTestFinished(() => proxy.close())
  return {
    send: (message) => void stdin.write(`${JSON.stringify(message)}\n`),
    answerTo: (id) => until(`an answer to ${id}`, () => messages().find((message) => message['id'] === id)),
    told: () =>
      messages()
        .filter(({ method }) => method === 'notifications/message')
        .map((message) => [at(message, 'params', 'level'), at(message, 'params', 'data')]),
    log,
    stderr,
  }
}

async function initialized(client: Client): Promise<Json> {
  client.send(initializeMessage(1))
  const answer = await client.answerTo(1)
  client.send(INITIALIZED)
  client.send({ jsonrpc: '2.0', id: 2, method: 'ping' })
  await client.answerTo(2)
  return answer
}

test('nothing is said before the client is there, and then all of it, without secrets', async () => {
  const client = await connected()
  client.log.warn('early', { token: 'sk_hunter2hunter2hunter2' })
  client.send(initializeMessage(1))
  await client.answerTo(1)
  expect(client.told()).toEqual([])
  client.send(INITIALIZED)
  await until('the first line', () => client.told().length > 0)
  client.log.error('late')
  client.log.debug('never')
  await until('the second line', () => client.told().length > 1)
  expect(client.told()).toEqual([
    ['warning', 'early token=[key]'],
    ['error', 'late'],
  ])
  expect(client.stderr).toEqual(['openmcp: warning: early token=[key]\n', 'openmcp: error: late\n'])
})

test('the capability is declared for a server that has none, and its level is ours alone', async () => {
  const client = await connected()
  const answer = await initialized(client)
  expect(at(answer, 'result', 'capabilities')).toEqual({ tools: {}, logging: {} })
  client.send({ jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'error' } })
  expect(await client.answerTo(3)).toEqual({ jsonrpc: '2.0', id: 3, result: {} })
  client.log.warn('too little')
  client.log.error('enough')
  await until('it', () => client.told().length > 0)
  expect(client.told()).toEqual([['error', 'enough']])
})

test('a server that has it hears the level, too', async () => {
  const client = await connected({ capabilities: '{ logging: {} }' })
  expect(at(await initialized(client), 'result', 'capabilities')).toEqual({ logging: {} })
  client.send({ jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'emergency' } })
  expect(await client.answerTo(3)).toEqual({ jsonrpc: '2.0', id: 3, result: { asked: 'logging/setLevel' } })
  client.log.error('too little')
  client.send({ jsonrpc: '2.0', id: 4, method: 'ping' })
  await client.answerTo(4)
  expect(client.told()).toEqual([])
})

test('a level that there is not is refused, and nothing behind hears of it', async () => {
  const client = await connected()
  await initialized(client)
  client.send({ jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'loud' } })
  expect(await client.answerTo(3)).toMatchObject({ id: 3, error: { code: -32602 } })
})

test('unasked, nothing of it is there', async () => {
  const client = await connected({ isTold: false })
  expect(at(await initialized(client), 'result', 'capabilities')).toEqual({ tools: {} })
  client.send({ jsonrpc: '2.0', id: 3, method: 'logging/setLevel', params: { level: 'debug' } })
  expect(await client.answerTo(3)).toMatchObject({ result: { asked: 'logging/setLevel' } })
  client.log.error('for stderr')
  client.send({ jsonrpc: '2.0', id: 4, method: 'ping' })
  await client.answerTo(4)
  expect(client.told()).toEqual([])
})
