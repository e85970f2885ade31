// A session with a VID as a pipe.
import { expect, test } from 'vitest'

import { OpenMcpError } from '../../src/errors.ts'
import type { SealedEndEvents } from '../../src/protocol/sealed-session.ts'
import type { Pipe } from '../../src/upstream/pipe.ts'
import { openSealedPipe } from '../../src/upstream/tsp.ts'
import { until } from '../support/until.ts'

test('what is sent before the session is there waits, and keeps its order', async () => {
  const { pipe, sent, opens } = opening()
  pipe.send('one')
  pipe.send('two')
  expect(pipe.bufferedBytes).toBe(6)
  opens()
  await until('both', () => sent.length === 2)
  pipe.send('three')
  await until('all', () => pipe.bufferedBytes === 0)
  expect(sent).toEqual(['one', 'two', 'three'])
})

test('what could not be sent is said of each message, and the pipe goes on', async () => {
  const { pipe, opens, breaks, heard, says } = opening()
  opens()
  breaks(new OpenMcpError('upstream_unreachable', 'gone'))
  const failed: string[] = []
  pipe.send('one', (error) => failed.push(error.message))
  pipe.send('two')
  await until('the failure', () => failed.length > 0)
  expect(failed).toEqual(['gone'])
  says('still here')
  expect(heard).toEqual(['still here'])
})

test('a session that there is none of ends the pipe, and is not sent to', async () => {
  const { pipe, fails, ends, sent } = opening()
  pipe.send('one')
  fails(new OpenMcpError('timeout', 'nobody answers'))
  await until('the end', () => ends.length > 0)
  pipe.send('two')
  expect([ends, sent]).toEqual([['nobody answers'], []])
})

test('the end of the session is the end of the pipe, said once, and nothing is heard after it', async () => {
  const { ends, ended, opens, says, heard } = opening()
  opens()
  await Promise.resolve()
  ended(new OpenMcpError('session_ended', 'over'))
  ended(new OpenMcpError('session_ended', 'over again'))
  says('late')
  expect([ends, heard]).toEqual([['over'], []])
})

test('a pipe that is closed leaves its session, also one that opens later, and hears nothing more', async () => {
  const first = opening()
  first.opens()
  await until('it to be open', () => first.isOpen())
  await first.pipe.close()
  first.says('late')
  expect([first.closed(), first.heard, first.ends]).toEqual([1, [], []])

  const second = opening()
  await second.pipe.close()
  second.opens()
  await until('it to be left', () => second.closed() === 1)
  expect(second.ends).toEqual([])
})

test('a message of several lines is one line: what follows a line break would be taken for another message', () => {
  const { says, heard } = opening()
  says('{"jsonrpc":"2.0",\n"id":1,\r\n"result":{}}\n{"jsonrpc":"2.0","id":2,"result":{}}')
  expect(heard).toEqual(['{"jsonrpc":"2.0", "id":1,  "result":{}} {"jsonrpc":"2.0","id":2,"result":{}}'])
})

test('a message that is too large is passed over, with its ends', () => {
  const { says, heard, tooLong } = opening(1000)
  says(`{"jsonrpc":"2.0","id":1,"result":"${'x'.repeat(1000)}"}`)
  expect(heard).toEqual([])
  expect(tooLong).toEqual([[256, 256]])
})

interface Opening {
  readonly pipe: Pipe
  readonly sent: readonly string[]
  readonly heard: readonly string[]
  readonly ends: readonly string[]
  readonly tooLong: readonly (readonly [number, number])[]
  opens(): void
  fails(error: OpenMcpError): void
  breaks(error: OpenMcpError): void
  says(text: string): void
  ended(error: OpenMcpError): void
  isOpen(): boolean
  closed(): number
}

function opening(messageBytes = 1_000_000): Opening {
  const [sent, heard, ends, tooLong]: [string[], string[], string[], [number, number][]] = [[], [], [], []]
  let settle: { resolve: () => void; reject: (error: OpenMcpError) => void } | undefined
  let events: SealedEndEvents | undefined
  let broken: OpenMcpError | undefined
  let closed = 0
  let isOpen = false
  const opened = new Promise<void>((resolve, reject) => (settle = { resolve, reject }))
  const pipe = openSealedPipe(
    async (given) => {
      events = given
      await opened
      isOpen = true
      return {
        async send(message) {
          if (broken) throw broken
          sent.push(String(message))
        },
        async close() {
          closed++
        },
      }
    },
    { messageBytes },
  )({
    line: (bytes) => heard.push(bytes.toString()),
    tooLong: (head, tail) => tooLong.push([head.length, tail.length]),
    ended: ({ message }) => ends.push(message),
  })
  return {
    pipe,
    sent,
    heard,
    ends,
    tooLong,
    opens: () => settle?.resolve(),
    fails: (error) => settle?.reject(error),
    breaks: (error) => void (broken = error),
    says: (text) => events?.heard(Buffer.from(text)),
    ended: (error) => events?.ended(error),
    isOpen: () => isOpen,
    closed: () => closed,
  }
}
