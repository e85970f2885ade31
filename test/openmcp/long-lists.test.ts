// A thousand tools in pages, by every way in, behind every way out: what comes is what the server wrote, page by page.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { at, jsonOf, type Json } from '../support/json.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { ask, messagesIn, modernAsked, openSession, openSse } from '../support/wire.ts'
import { child, onStdio, running } from './stage.ts'

const MANY = fileURLToPath(new URL('../support/many-tools-server.mjs', import.meta.url))
const ITSELF: NamedServer['target'] & { kind: 'command' } = { kind: 'command', command: process.execPath, args: [MANY], env: {} }

type List = (cursor: string | undefined) => Promise<Json>

/** Every page, until there is none. */
async function pages(list: List): Promise<Json[]> {
  const all: Json[] = []
  let cursor: string | undefined
  do {
    const page = await list(cursor)
    all.push(page)
    cursor = typeof page['nextCursor'] === 'string' ? page['nextCursor'] : undefined
    if (all.length > 100) throw new Error('the cursors lead in a circle')
  } while (cursor !== undefined)
  return all
}

let lastId = 0
const asked = (cursor: string | undefined): Json => ({ jsonrpc: '2.0', id: ++lastId, method: 'tools/list', params: cursor === undefined ? {} : { cursor } })

const resultIn = (messages: readonly Json[], id: unknown): Json =>
  jsonOf(
    at(
      messages.find((message) => message['id'] === id),
      'result',
    ),
  )

/** What the server writes when it is asked without anybody in between. */
function written(): Json[] {
  const input: string[] = []
  for (let from = 0; from < 1000; from += 37)
    input.push(
      JSON.stringify({ jsonrpc: '2.0', id: from, method: 'tools/list', params: from === 0 ? {} : { cursor: Buffer.from(String(from)).toString('base64') } }),
    )
  const output = execFileSync(process.execPath, [MANY], { input: input.join('\n'), maxBuffer: 16 * 1024 * 1024 }).toString()
  return output
    .trim()
    .split('\n')
    .map((line) => jsonOf(at(JSON.parse(line), 'result')))
}

const WAYS_IN: readonly [string, (url: URL) => Promise<List>][] = [
  [
    'Streamable HTTP',
    async (url) => {
      const session = await openSession(url)
      return async (cursor) => {
        const message = asked(cursor)
        const stream = await session.post(message)
        return jsonOf((await stream.message(({ id }) => id === message['id']))['result'])
      }
    },
  ],
  [
    'the revision without sessions',
    async (url) => async (cursor) => {
      const message = asked(cursor)
      return resultIn(messagesIn(await ask(url, modernAsked(message))), message['id'])
    },
  ],
  [
    'HTTP+SSE',
    async (url) => {
      const { post, stream } = await openSse(url)
      return async (cursor) => {
        const message = asked(cursor)
        await post(message)
        return jsonOf((await stream.message(({ id }) => id === message['id']))['result'])
      }
    },
  ],
]

const WAYS_OUT: readonly [string, () => Promise<Partial<NamedServer>>][] = [
  ['a child', async () => ({ target: ITSELF })],
  ['a child for all', async () => ({ target: ITSELF, isolation: 'shared' })],
  [
    'Streamable HTTP',
    async () => {
      const { proxy } = await running([], [], { target: ITSELF })
      if (!proxy.url) throw new Error('it listens')
      return { target: { kind: 'remote', urls: [proxy.url], transport: 'http', headers: {} } }
    },
  ],
]

const EXPECTED = written()

test('the server itself has a thousand, in twenty-eight pages', () => {
  expect([EXPECTED.length, EXPECTED.flatMap(({ tools }) => tools).length]).toEqual([28, 1000])
})

for (const [out, serve] of WAYS_OUT) {
  test.each(WAYS_IN)(`by %s, in front of ${out}, comes every page as it was written`, async (_, connect) => {
    const { target, isolation } = { ...child('one'), ...(await serve()) }
    const { proxy } = await running([], [], { target, isolation })
    if (!proxy.url) throw new Error('it listens')
    expect(await pages(await connect(proxy.url))).toEqual(EXPECTED)
  })
}

test('without sessions comes every page, whoever asks for it', async () => {
  const { proxy } = await running([], [], { target: ITSELF, stateless: true })
  const list: List = async (cursor) => {
    const message = asked(cursor)
    return resultIn(messagesIn(await ask(proxy.url ?? new URL('http://nowhere'), { headers: { accept: 'application/json' }, body: message })), message['id'])
  }
  expect(await pages(list)).toEqual(EXPECTED)
})

test('on stdio comes every page as it was written', async () => {
  const { say, answerTo } = await onStdio({ target: ITSELF })
  say(initializeMessage('initialize'))
  const list: List = async (cursor) => {
    const message = asked(cursor)
    say(message)
    return jsonOf(at(await answerTo(message['id']), 'result'))
  }
  expect(await pages(list)).toEqual(EXPECTED)
})
