// Takes messages that wait for us at an intermediary, as tsp_sdk does: a VID of ours has its address, and we ask there for a stream of
// events, one message each. What came is not acknowledged: an intermediary forgets it after a time.
import { toOpenMcpError, type OpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { ServerEvent } from '../../protocol/event-stream.ts'
import { MOST_MESSAGE_BYTES } from '../envelope.ts'
import { openEvents, type EventSource } from './event-source.ts'
import { LEAST_MESSAGE_BYTES, type Take } from './framing.ts'
import type { Egress } from './http-request.ts'

export interface ReceiverOptions extends Egress {
  url: URL
  /** A message may come twice, and again long after it came: that is for the hearer to find out. */
  take: Take
  refused?: ((why: 'too_large' | 'malformed') => void) | undefined
  log: Log
  random?: () => number
  mostBytes?: number
  /** Messages that are being worked on: then the stream is not read until one is done. */
  mostAtWork?: number
  /** Until it answers, and until it is taken for dead: intermediaries say something every 15 s. */
  answerSeconds?: number
  silentSeconds?: number
  /** Between two attempts: the first, doubled up to the other, half of it by chance. */
  leastPauseMs?: number
  mostPauseMs?: number
}

export interface Receiver {
  close(): void
}

/** Asks again for as long as it is not closed, and goes on behind the last message that came. */
export function receiveFrom({ url, take, refused = () => {}, log, random = Math.random, ...options }: ReceiverOptions): Receiver {
  const {
    mostBytes = MOST_MESSAGE_BYTES,
    mostAtWork = 16,
    answerSeconds = 10,
    silentSeconds = 45,
    leastPauseMs = 1000,
    mostPauseMs = 60_000,
    ...egress
  } = options
  // The message in base64url, and little else.
  const mostEventBytes = Math.ceil((mostBytes * 4) / 3) + 1024
  let source: EventSource | undefined
  let pause: NodeJS.Timeout | undefined
  let isClosed = false
  let lastId: bigint | undefined
  /** Of this stream alone: an intermediary that forgot everything begins to count anew. */
  let lastOfStream: bigint | undefined
  let atWork = 0
  let failures = 0
  let leastMs = leastPauseMs
  let isOpen = false
  /** What was said last of why it is not open; nothing when it was. */
  let told: string | undefined

  function open(): void {
    lastOfStream = undefined
    try {
      source = openEvents({ ...egress, url, lastId: lastId?.toString(), mostEventBytes, answerSeconds, silentSeconds, onOpen, onEvent, onEnd })
    } catch (error) {
      onEnd(toOpenMcpError(error))
    }
  }

  function onOpen(): void {
    isOpen = true
    if (told !== '') log.info('TSP messages are received from an intermediary', { from: url.host })
    told = ''
  }

  function onEvent({ data, id, retryMs }: ServerEvent): void {
    failures = 0
    if (retryMs !== undefined) leastMs = Math.min(Math.max(retryMs, leastPauseMs), mostPauseMs)
    const number = id !== undefined && /^\d{1,20}$/.test(id) ? BigInt(id) : undefined
    if (number !== undefined) {
      // It tells of what came while it was looking back a second time.
      if (lastOfStream !== undefined && number <= lastOfStream) return
      lastId = lastOfStream = number
    }
    if (data === '') return
    const message = Buffer.from(data, 'base64url')
    if (!/^[\w-]+$/.test(data) || message.length < LEAST_MESSAGE_BYTES) return refused('malformed')
    work(message)
  }

  function work(message: Buffer): void {
    const working = take(message)
    if (working === undefined) return
    atWork++
    if (atWork === mostAtWork) source?.pause()
    void working
      .catch(() => {})
      .then(() => {
        atWork--
        if (atWork === mostAtWork - 1) source?.resume()
      })
  }

  function onEnd(why: OpenMcpError): void {
    if (why.code === 'too_large') {
      refused('too_large')
      // Asked for again, it would come for ever, and nothing behind it. An intermediary counts by one.
      lastId = (lastId ?? -1n) + 1n
    }
    // A stream that ends begins again, which is no news.
    if (isOpen || told === why.message) log.debug('a stream of TSP messages has ended', { from: url.host, why: why.message })
    else log.warn('no TSP messages are received from an intermediary', { from: url.host, why: (told = why.message) })
    isOpen = false
    const pauseMs = Math.min(mostPauseMs, leastMs * 2 ** Math.min(failures++, 16))
    pause = setTimeout(open, pauseMs * (0.5 + random() / 2))
  }

  open()
  return {
    close() {
      if (isClosed) return
      isClosed = true
      clearTimeout(pause)
      source?.close()
    },
  }
}
