// One stream of events of an address that a document names (WHATWG HTML §9.2), from its request to its end.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import { createEventReader, type ServerEvent } from '../../protocol/event-stream.ts'
import { requestTo, type Egress } from './http-request.ts'
import { unreachable, unreachableFor } from './unreachable.ts'

export interface EventSourceOptions extends Egress {
  url: URL
  /** To go on behind the last that came. */
  lastId: string | undefined
  mostEventBytes: number
  /** Until it answers, and until it is taken for dead. */
  answerSeconds: number
  silentSeconds: number
  onOpen: () => void
  onEvent: (event: ServerEvent) => void
  /** Once, in words; with `too_large` for an event that was not read. Not after `close`. */
  onEnd: (why: OpenMcpError) => void
}

export interface EventSource {
  /** Reads no further, and goes on. */
  pause(): void
  resume(): void
  close(): void
}

/** Throws `egress_refused`. */
export function openEvents({ url, lastId, mostEventBytes, answerSeconds, silentSeconds, onOpen, onEvent, onEnd, ...egress }: EventSourceOptions): EventSource {
  const headers = { accept: 'text/event-stream', 'user-agent': 'openmcp', ...(lastId !== undefined && { 'last-event-id': lastId }) }
  // A connection of its own, which ends with the stream.
  const req = requestTo(url, egress, { method: 'GET', agent: false, headers })
  const reader = createEventReader(mostEventBytes, (event) => !isOver && onEvent(event))
  let isOver = false
  let isPaused = false
  let patience = setTimeout(end, answerSeconds * 1000, unreachableFor(url, `it took longer than ${answerSeconds} s`))
  let resume = (): void => {}

  function end(why?: OpenMcpError): void {
    if (isOver) return
    isOver = true
    clearTimeout(patience)
    req.destroy()
    if (why) onEnd(why)
  }

  function waitOn(): void {
    clearTimeout(patience)
    if (!isOver && !isPaused) patience = setTimeout(end, silentSeconds * 1000, unreachableFor(url, `it said nothing for ${silentSeconds} s`))
  }

  req.on('error', (error) => end(unreachable(url, error)))
  req.on('close', () => end(unreachableFor(url, 'it broke the connection')))
  req.on('response', (res) => {
    const { statusCode } = res
    const isStream = /^text\/event-stream\s*(?:;|$)/i.test(res.headers['content-type'] ?? '')
    if (statusCode === 404 || statusCode === 405 || (statusCode === 200 && !isStream))
      return end(unreachableFor(url, 'it offers no stream of events, and openmcp does not speak WebSocket'))
    if (statusCode !== 200) return end(unreachableFor(url, `it answered ${statusCode}`))
    onOpen()
    waitOn()
    resume = () => void res.resume()
    res.on('data', (chunk: Buffer) => {
      waitOn()
      try {
        reader.feed(chunk)
      } catch (error) {
        end(toOpenMcpError(error))
      }
      if (isPaused) res.pause()
    })
    res.on('error', () => {})
    res.on('close', () => end(unreachableFor(url, 'it ended the stream of events')))
  })
  req.end()

  return {
    pause() {
      isPaused = true
      // Its peer is not to blame for our slowness.
      waitOn()
    },
    resume() {
      isPaused = false
      waitOn()
      resume()
    },
    close: () => end(),
  }
}
