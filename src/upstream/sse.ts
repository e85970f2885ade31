// HTTP+SSE (2024-11-05) as a pipe: one stream down, whose first event names where to post up.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { createEventReader } from '../protocol/event-stream.ts'
import type { Limits } from '../protocol/limits.ts'
import { refusedBy, wantsCredential, type HttpClient } from './http-client.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

/** `started` settles when the server has named its endpoint. */
export function openSse(client: HttpClient, url: URL, events: PipeEvents, limits: Limits): OpenedPipe {
  let endpoint: URL | undefined
  let over = false
  let waiting: { line: string; undelivered?: ((error: OpenMcpError) => void) | undefined }[] = []
  let bufferedBytes = 0
  let settle: { resolve: () => void; reject: (error: OpenMcpError) => void } | undefined
  const started = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  started.catch(() => {}) // told through `ended` as well
  const tooSlow = setTimeout(
    () => end(new OpenMcpError('upstream_not_mcp', 'the upstream opened an event stream but named no endpoint')),
    limits.connectSeconds * 1000,
  )

  const end = (error: OpenMcpError): void => {
    if (over) return
    over = true
    clearTimeout(tooSlow)
    stop()
    settle?.reject(error)
    events.ended(error)
  }
  const stream = createEventReader(limits.messageBytes, ({ event, data }) => {
    if (event === 'endpoint') named(data)
    else if (data !== '') events.line(Buffer.from(/[\r\n]/.test(data) ? data.replaceAll(/[\r\n]/g, ' ') : data))
  })
  const stop = client.request(
    { method: 'GET', url, headers: { accept: 'text/event-stream' }, endless: true },
    {
      head(status, { contentType }) {
        if (wantsCredential(status)) end(refusedBy(status))
        else if (status !== 200 || !contentType?.startsWith('text/event-stream'))
          end(new OpenMcpError('upstream_not_mcp', `the upstream answered HTTP ${status} instead of an event stream`))
      },
      chunk(bytes) {
        try {
          if (!over) stream.feed(bytes)
        } catch (error) {
          end(toOpenMcpError(error))
        }
      },
      end: () => end(new OpenMcpError('upstream_broke', 'the upstream closed its event stream')),
      failed: end,
    },
  )

  function named(data: string): void {
    const where = URL.canParse(data, url.href) ? new URL(data, url) : undefined
    // Another origin would get our headers, and the client's words, without anybody having named it.
    if (!where || where.origin !== url.origin) return end(new OpenMcpError('upstream_broke', 'the upstream names an endpoint of another origin'))
    if (endpoint) return
    endpoint = where
    clearTimeout(tooSlow)
    settle?.resolve()
    const queue = waiting
    waiting = []
    for (const { line, undelivered } of queue) post(where, line, undelivered)
  }

  /** Notifications wait for nobody and are waited for, so that `initialized` is never overtaken and a cancellation never stuck. */
  let notified: Promise<void> = Promise.resolve()
  let notifying = 0
  function post(to: URL, line: string, undelivered: ((error: OpenMcpError) => void) | undefined): void {
    if (undelivered) {
      if (notifying === 0) void deliver(to, line, undelivered)
      else void notified.then(() => deliver(to, line, undelivered))
      return
    }
    notifying++
    notified = Promise.all([notified, deliver(to, line, undefined)]).then(() => void notifying--)
  }

  function deliver(to: URL, line: string, undelivered: ((error: OpenMcpError) => void) | undefined): Promise<void> {
    bufferedBytes += line.length
    return new Promise((resolve) => {
      const done = (error?: OpenMcpError): void => {
        bufferedBytes -= line.length
        if (error) undelivered?.(error)
        resolve()
      }
      client.request(
        { method: 'POST', url: to, headers: { 'content-type': 'application/json' }, body: line },
        {
          head(status) {
            if (status >= 300)
              done(wantsCredential(status) ? refusedBy(status) : new OpenMcpError('upstream_broke', `the upstream answered HTTP ${status} to a message`))
            else done()
          },
          chunk: () => {},
          end: () => {},
          failed: done,
        },
      )
    })
  }

  return {
    started,
    send(line, undelivered) {
      if (over) return
      if (endpoint) post(endpoint, line, undelivered)
      else waiting.push({ line, undelivered })
    },
    get bufferedBytes() {
      return bufferedBytes
    },
    close() {
      over = true
      clearTimeout(tooSlow)
      stop()
      settle?.reject(new OpenMcpError('stopping', 'the connection was closed'))
      return Promise.resolve()
    },
  }
}
