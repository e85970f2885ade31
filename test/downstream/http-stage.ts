// A real HTTP server whose only answer is what the test does with the response, and a client that reads event streams.
import { once } from 'node:events'
import { createServer, request, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEventReader, type ServerEvent } from '../../src/protocol/event-stream.ts'

export interface Reader {
  readonly response: IncomingMessage
  readonly events: ServerEvent[]
  /** All text so far, comments too. */
  readonly text: string
  /** Settles when there are so many events. */
  count(events: number): Promise<void>
  /** Settles when the stream is over: true when it came to its end, false when it broke off. */
  readonly over: Promise<boolean>
  leave(): void
}

interface Asked {
  method?: string
  headers?: Record<string, string>
  body?: string
}

export interface Stage {
  /** Asks, lets `play` have the response, and reads what comes. */
  ask(play: (res: ServerResponse, req: IncomingMessage) => void, options?: Asked): Promise<Reader>
  /** The same, for an answer that may never begin. */
  knock(play: (res: ServerResponse, req: IncomingMessage) => void): Promise<ClientRequest>
  close(): Promise<void>
}

export async function openStage(): Promise<Stage> {
  const plays: ((res: ServerResponse, req: IncomingMessage) => void)[] = []
  const server = createServer((req, res) => plays.shift()?.(res, req))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a TCP listener has one

  function begin(
    play: (res: ServerResponse, req: IncomingMessage) => void,
    { headers = {}, body, method = body === undefined ? 'GET' : 'POST' }: Asked,
  ): ClientRequest {
    plays.push(play)
    const asked = request({ host: '127.0.0.1', port, method, headers, agent: false })
    asked.end(body)
    return asked
  }

  return {
    async ask(play, options = {}) {
      const asked = begin(play, options)
      const [response] = (await once(asked, 'response')) as [IncomingMessage] // what the event is emitted with
      return readerOf(response)
    },
    async knock(play) {
      let played: (() => void) | undefined
      const done = new Promise<void>((resolve) => (played = resolve))
      const asked = begin((res, req) => {
        play(res, req)
        played?.()
      }, {})
      asked.on('error', () => {})
      await done
      return asked
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function readerOf(response: IncomingMessage): Reader {
  const events: ServerEvent[] = []
  const waiting = new Set<() => void>()
  const tell = (): void => waiting.forEach((look) => look())
  const reader = createEventReader(1 << 28, (event) => events.push(event))
  let text = ''
  let isOver = false
  response.on('data', (bytes: Buffer) => {
    text += bytes.toString()
    reader.feed(bytes)
    tell()
  })
  response.on('error', () => {})
  const over = new Promise<boolean>((resolve) => response.once('close', () => resolve(response.complete))).finally(() => {
    isOver = true
    tell()
  })
  return {
    response,
    events,
    get text() {
      return text
    },
    count(wanted) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (events.length < wanted && !isOver) return
          waiting.delete(look)
          if (events.length >= wanted) resolve()
          else reject(new Error(`the stream ended after ${events.length} events`))
        }
        waiting.add(look)
        look()
      })
    },
    over,
    leave: () => response.destroy(),
  }
}
