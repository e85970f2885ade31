// One event stream of a session: what was sent last is kept, bounded, for a client that comes back with `Last-Event-ID`.
import type { ServerResponse } from 'node:http'

import { eventOf, sizeOf } from '../protocol/event-stream.ts'
import type { Text } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import type { EventWriter, EventWriters } from './event-writer.ts'

export interface ReplayStream {
  /** One message. It is an event of its own, and stays for the one who missed it. */
  send(text: Text): void
  /** Nothing more will come. What was missed can still be asked for. */
  finish(): void
  /** This response carries the stream from now on, beginning after event number `after`; the one before it is let go. */
  attach(res: ServerResponse, options: { after: number | undefined; primed: boolean }): void
  /** Lets the response go; the stream goes on without a reader. */
  detach(): void
  readonly attached: boolean
  readonly finished: boolean
  /** What is kept for the one who comes back. */
  readonly bytes: number
}

/** How soon a client should come back for a stream that broke. */
const RETRY_MS = 1000

export function createReplayStream({ key, limits, writers }: { key: number; limits: Limits; writers: EventWriters }): ReplayStream {
  let kept: { number: number; event: Text }[] = []
  let first = 0
  let keptBytes = 0
  let last = 0
  let delivered = 0
  let reader: EventWriter | undefined
  let finished = false

  function keep(event: Text): void {
    kept.push({ number: last, event })
    keptBytes += sizeOf(event)
    // The newest always stays, whatever its size: it may be the answer.
    while (kept.length - first > 1 && (kept.length - first > limits.replayEvents || keptBytes > limits.replayBytes)) {
      const dropped = kept[first]
      keptBytes -= dropped ? sizeOf(dropped.event) : 0
      kept[first++] = NOTHING
    }
    // In runs, not one by one: a shift for every event would copy the ring each time.
    if (first > limits.replayEvents) {
      kept = kept.slice(first)
      first = 0
    }
  }

  function detach(): void {
    const left = reader
    reader = undefined
    left?.end()
  }

  return {
    send(text) {
      const event = eventOf(text, `${key}_${++last}`)
      keep(event)
      if (!reader) return
      delivered = last
      reader.write(event)
    },
    finish() {
      finished = true
      detach()
    },
    attach(res, { after, primed }) {
      // It left before the stream began: no 'close' would tell.
      if (res.destroyed) return
      detach()
      const from = after ?? delivered
      // An event with an id and no data: from here on a broken stream can be resumed (2025-11-25, SEP-1699).
      const writer = writers.open(res, primed ? `id: ${key}_${from}\nretry: ${RETRY_MS}\ndata: \n\n` : ': open\n\n')
      reader = writer
      for (let index = first; index < kept.length; index++) {
        const one = kept[index]
        if (one && one.number > from) writer.write(one.event)
      }
      delivered = last
      if (finished) return detach()
      res.once('close', () => {
        if (reader === writer) reader = undefined
      })
    },
    detach,
    get attached() {
      return reader !== undefined
    },
    get finished() {
      return finished
    },
    get bytes() {
      return keptBytes
    },
  }
}

const NOTHING = { number: 0, event: '' }

/** `key_number` → both, or undefined for what is no event id of ours. */
export function parseEventId(text: string): { key: number; number: number } | undefined {
  const match = /^(\d{1,9})_(\d{1,9})$/.exec(text)
  return match ? { key: Number(match[1]), number: Number(match[2]) } : undefined
}
