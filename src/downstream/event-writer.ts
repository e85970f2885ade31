// An event stream on an HTTP response: what is written in one turn goes out in one piece, a silent stream says that it lives,
// and a reader that does not read is let go before it costs more than its share of memory.
import type { ServerResponse } from 'node:http'

import type { Text } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { TurnoverSet } from '../protocol/turnover-map.ts'

export interface EventWriter {
  write(text: Text): void
  end(): void
}

export interface EventWriters {
  /** Answers with an event stream; `first` goes out with the head. */
  open(res: ServerResponse, first: string): EventWriter
  readonly size: number
  close(): void
}

export const EVENT_STREAM_HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' }
/** For a reader that left before its stream was opened. */
const NOBODY: EventWriter = { write: () => {}, end: () => {} }
const FLUSH_CHARS = 64 * 1024

export function createEventWriters(limits: Limits): EventWriters {
  const open = new TurnoverSet<{ silent: boolean; res: ServerResponse; keepAlive: () => void }>()
  const timer = setInterval(() => {
    for (const one of open) {
      if (one.silent) one.keepAlive()
      one.silent = true
    }
  }, limits.keepAliveSeconds * 1000)
  timer.unref()

  return {
    open(res, first) {
      if (res.destroyed) return NOBODY
      let pending = first
      let scheduled = false
      const one = { silent: false, res, keepAlive: () => write(': keepalive\n\n') }
      open.add(one)
      res.once('close', () => open.delete(one))
      res.writeHead(200, EVENT_STREAM_HEAD)
      schedule()

      function schedule(): void {
        if (scheduled) return
        scheduled = true
        setImmediate(flush)
      }
      function flush(): void {
        scheduled = false
        if (pending === '' || res.writableEnded || res.destroyed) return
        const text = pending
        pending = ''
        res.write(text)
      }
      function write(text: Text): void {
        if (res.writableEnded || res.destroyed) return
        if (res.writableLength > limits.bufferedBytes) return void res.destroy()
        one.silent = false
        if (typeof text === 'string') {
          pending += text
          if (pending.length > FLUSH_CHARS) flush()
          else schedule()
          return
        }
        flush()
        res.cork()
        for (const piece of text) res.write(piece)
        res.uncork()
      }
      return {
        write,
        end() {
          open.delete(one)
          if (!res.writableEnded) res.end(pending)
        },
      }
    },
    get size() {
      return open.size
    },
    close() {
      clearInterval(timer)
    },
  }
}
