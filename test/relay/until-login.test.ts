// Links of clients without a login, against a server that answers when it is told to: what a change of the login finds under way.
import { expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import type { Caller } from '../../src/protocol/caller.ts'
import { NO_HEADERS, NO_REPLY, type Link, type MessageUpstream, type Reply, type Text } from '../../src/protocol/exchange.ts'
import type { Message, RequestMessage } from '../../src/protocol/message.ts'
import { createUntilLogin, type UntilLogin } from '../../src/relay/until-login.ts'
import { until } from '../support/until.ts'

const ANN: Caller = { id: 'ann', via: 'token', scopes: ['mcp'], act: [], tokenId: 'a', expiresAt: Infinity, owner: 'ann' }
const NEEDED = new OpenMcpError('login_needed', 'a login is wanted')

interface Sent {
  readonly message: Message
  readonly reply: Reply
}

interface Stage {
  readonly waiting: UntilLogin
  readonly link: Link
  /** What reached the server's links, in order. */
  readonly sent: Sent[]
  /** How many of them were closed. */
  readonly closed: string[]
  readonly ended: string[]
  ask(id: number, method: string): Promise<Text>
}

function staged(): Stage {
  const sent: Sent[] = []
  const [closed, ended]: string[][] = [[], []]
  const upstream: MessageUpstream = {
    kind: 'messages',
    open: () => ({
      kind: 'messages',
      send: ({ messages: [message] }, _headers, reply) => void (message && sent.push({ message, reply })),
      close: () => Promise.resolve(void closed?.push('one')),
    }),
    stateless: () => {
      throw new Error('nobody asks for it')
    },
  }
  const waiting = createUntilLogin({ server: 'far', loginAt: () => 'https://us.example/login' })
  const link = waiting.of(upstream).open({ unsolicited: () => {}, ended: ({ message }) => void ended?.push(message) }, ANN)
  return {
    waiting,
    link,
    sent,
    closed: closed ?? [],
    ended: ended ?? [],
    ask: (id, method) =>
      new Promise((resolve, reject) => {
        const params = method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: {} } : {}
        const message: RequestMessage = { kind: 'request', id, method, body: { jsonrpc: '2.0', id, method, params } }
        const reply: Reply = { ...NO_REPLY, answer: (_id, text) => resolve(text), failed: reject }
        link.send({ messages: [message], batch: false }, NO_HEADERS, reply)
      }),
  }
}

/** The client was greeted, and asks for the list when there is a login: the server is asked to begin. */
async function joining(s: Stage): Promise<{ list: Promise<Text>; begun: Sent }> {
  const greeted = s.ask(1, 'initialize')
  s.sent[0]?.reply.failed(NEEDED)
  expect(await greeted).toContain('"protocolVersion":"2025-06-18"')
  const list = s.ask(2, 'tools/list')
  list.catch(() => {})
  const begun = await until('the server to be asked to begin', () => s.sent[1])
  return { list, begun }
}

function initialized(version: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, result: { protocolVersion: version, capabilities: {}, serverInfo: { name: 'far', version: '1' } } })
}

test('what the client asks goes to the server after the beginning that the client has had already', async () => {
  const s = staged()
  const { begun } = await joining(s)
  begun.reply.answer(1, initialized('2025-06-18'), undefined)
  void s.ask(3, 'tools/call').catch(() => {})
  await until('the call', () => s.sent.some(({ message }) => message.kind === 'request' && message.method === 'tools/call'))
  expect(s.sent.map(({ message }) => 'method' in message && message.method)).toEqual(['initialize', 'initialize', 'notifications/initialized', 'tools/call'])
})

test('a server that is not the one of the login any more is not gone on with, though it answers late', async () => {
  const s = staged()
  const { list, begun } = await joining(s)
  s.waiting.changed(({ id }) => id === 'ann')
  await expect(list).rejects.toMatchObject({ code: 'upstream_broke' })
  begun.reply.answer(1, initialized('2025-06-18'), undefined)
  void s.ask(3, 'tools/call').catch(() => {})
  await until('another beginning', () => s.sent.length > 2)
  expect(s.sent.map(({ message }) => 'method' in message && message.method)).toEqual(['initialize', 'initialize', 'initialize'])
  expect(s.closed.length).toBeGreaterThanOrEqual(2)
})

test('a server of another revision than the client was told ends the session', async () => {
  const s = staged()
  const { list, begun } = await joining(s)
  begun.reply.answer(1, initialized('2025-03-26'), undefined)
  await expect(list).rejects.toMatchObject({ code: 'session_ended' })
  expect(s.ended).toEqual([expect.stringContaining('another revision')])
})

test('the login of another changes nothing', async () => {
  const s = staged()
  const { list, begun } = await joining(s)
  s.waiting.changed(({ id }) => id === 'bob')
  begun.reply.answer(1, initialized('2025-06-18'), undefined)
  // The server has no tools, and the client was promised a list.
  expect(await list).toContain('"tools":[]')
})

test('a client that leaves while the server is asked leaves nothing open', async () => {
  const s = staged()
  const { list, begun } = await joining(s)
  await s.link.close()
  await expect(list).rejects.toMatchObject({ code: 'upstream_broke' })
  begun.reply.answer(1, initialized('2025-06-18'), undefined)
  expect(s.sent).toHaveLength(2)
})
