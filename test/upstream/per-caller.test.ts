// A connection of each caller's own: who gets which, and when one ends.
import { describe, expect, onTestFinished, test } from 'vitest'

import type { Caller } from '../../src/protocol/caller.ts'
import type { Link, MessageUpstream } from '../../src/protocol/exchange.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { Connection } from '../../src/upstream/options.ts'
import { perCaller } from '../../src/upstream/per-caller.ts'
import { until } from '../support/until.ts'

const NOBODY = { unsolicited: (): void => {}, ended: (): void => {} }

function callerNamed(id: string, act: readonly string[] = []): Caller {
  return { id, via: 'token', scopes: ['mcp'], act, tokenId: id, expiresAt: Infinity, owner: [id, ...act].join() }
}

interface Stage {
  connection: Connection
  messages: MessageUpstream
  /** Owners, as they were connected, and as they were ended. */
  connected: string[]
  ended: string[]
}

function staged({ limits = {}, find }: { limits?: Partial<Limits>; find?: (caller: Caller) => Promise<void> } = {}): Stage {
  const [connected, ended]: string[][] = [[], []]
  const connection = perCaller({
    limits: { ...DEFAULT_LIMITS, ...limits },
    now: Date.now,
    connect(caller) {
      connected?.push(caller.owner)
      const link: Link = { kind: 'messages', send: (_post, _headers, reply) => reply.answer(1, caller.owner, undefined), close: () => Promise.resolve() }
      const own: MessageUpstream = { kind: 'messages', open: () => link, stateless: () => link }
      return {
        upstream: () => own,
        messages: () => (find ? find(caller).then(() => own) : own),
        started: Promise.resolve(),
        state: () => 'running',
        failure: () => undefined,
        pipes: () => 1,
        endOf: () => Promise.resolve(),
        close: async () => void ended?.push(caller.owner),
      }
    },
  })
  onTestFinished(() => connection.close())
  const messages = connection.messages()
  if (messages instanceof Promise) throw new Error('it is there at once')
  return { connection, messages, connected: connected ?? [], ended: ended ?? [] }
}

function answerOf(link: Link): Promise<unknown> {
  return new Promise((resolve) =>
    link.send({ messages: [], batch: false }, {}, { message: () => {}, answer: (_id, text) => resolve(text), failed: resolve, withdrawn: () => {} }),
  )
}

const [ANN, BOB] = [callerNamed('ann'), callerNamed('bob')]

test('each owner has one, whichever way they come', async () => {
  const { messages, connected, connection } = staged()
  const links = [messages.open(NOBODY, ANN), messages.stateless(ANN), messages.open(NOBODY, BOB), messages.open(NOBODY, callerNamed('ann', ['agent']))]
  expect(await Promise.all(links.map(answerOf))).toEqual(['ann', 'ann', 'bob', 'ann,agent'])
  expect(connected).toEqual(['ann', 'bob', 'ann,agent'])
  expect(connection.pipes()).toBe(3)
})

test('what is asked while it is being found is asked then, in its order, though the asker has left', async () => {
  let found = (): void => {}
  const { messages } = staged({ find: () => new Promise((resolve) => (found = resolve)) })
  const link = messages.open(NOBODY, ANN)
  const answer = answerOf(link)
  void link.close()
  found()
  expect(await answer).toBe('ann')
})

test('what is not found is told to whoever asks', async () => {
  const { messages } = staged({ find: () => Promise.reject(new Error('away')) })
  expect(await answerOf(messages.open(NOBODY, ANN))).toMatchObject({ code: 'internal' })
})

describe('it ends', () => {
  test('with its caller, and nobody else’s does', async () => {
    const { messages, connection, connected, ended } = staged()
    messages.open(NOBODY, ANN)
    messages.open(NOBODY, BOB)
    await connection.endOf(({ id }) => id === 'ann')
    expect(ended).toEqual(['ann'])
    messages.open(NOBODY, ANN)
    expect(connected).toEqual(['ann', 'bob', 'ann'])
  })

  test('when it lies idle, and not while somebody has it open', async () => {
    const { messages, ended } = staged({ limits: { idleSeconds: 0.2 } })
    messages.open(NOBODY, BOB)
    await messages.open(NOBODY, ANN).close()
    await until('an idle one ends', () => ended.length > 0)
    expect(ended).toEqual(['ann'])
  })

  test('when another needs its place; one that is in use keeps it', async () => {
    const { messages, ended } = staged({ limits: { sessions: 2 } })
    await messages.open(NOBODY, ANN).close()
    messages.open(NOBODY, BOB)
    messages.open(NOBODY, callerNamed('carl'))
    expect(ended).toEqual(['ann'])
    expect(() => messages.open(NOBODY, ANN)).toThrow('too many callers')
  })
})
