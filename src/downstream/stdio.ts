// stdio: one client, on our own stdin and stdout. When it goes, so do we.
import type { Readable, Writable } from 'node:stream'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { errorText } from '../protocol/answer.ts'
import { ANYBODY } from '../protocol/caller.ts'
import { NO_HEADERS, type Link, type MessageUpstream, type Reply, type Text } from '../protocol/exchange.ts'
import type { ClientLog } from './client-log.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { createLineReader } from '../protocol/lines.ts'
import { idOfRefusal, parsePost, type Post } from '../protocol/message.ts'

export interface StdioDoorOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  /** What may pass. */
  gate: Gate
  stdin: Readable
  stdout: Writable
  /** Our own log, told to the client as well. */
  clientLog?: ((say: (text: string) => void) => ClientLog) | undefined
  limits: Limits
}

export interface StdioDoor {
  /** Settles when stdin has ended and every call in flight was answered or waited for long enough; with the reason when the upstream is gone. */
  readonly ended: Promise<OpenMcpError | undefined>
  close(): Promise<void>
}

export function createStdioDoor({ upstream, gate, stdin, stdout, clientLog, limits }: StdioDoorOptions): StdioDoor {
  let link: Link | undefined
  let opening: Promise<void> | undefined
  let inFlight = 0
  let leaving: (() => void) | undefined
  let finished: ((reason?: OpenMcpError) => void) | undefined
  const ended = new Promise<OpenMcpError | undefined>((resolve) => {
    finished = resolve
  })

  let pending = ''
  const flush = (): void => {
    const text = pending
    pending = ''
    if (text !== '') stdout.write(text)
  }
  function write(text: Text): void {
    if (typeof text === 'string') {
      // What one chunk of the upstream held goes out in one write, and in the same turn of the event loop.
      if (pending === '') queueMicrotask(flush)
      pending += `${text}\n`
      return
    }
    flush()
    for (const piece of text) stdout.write(piece)
    stdout.write('\n')
  }
  const log = clientLog?.(write)
  const settled = (): void => {
    inFlight--
    if (inFlight === 0) leaving?.()
  }
  const reply: Reply = {
    message: write,
    answer(id, text) {
      write(log?.answered(id, text) ?? text)
      settled()
    },
    failed(error, id) {
      write(errorText(error, id))
      settled()
    },
    withdrawn: settled,
  }

  function send(post: Post): void {
    for (const message of post.messages) if (message.kind === 'request') inFlight++
    const refusal = gate.refusalOf(ANYBODY, post)
    if (refusal) return refused(post, refusal)
    const seen = gate.readsAnswers(ANYBODY) ? gate.filtered(ANYBODY, post, reply) : reply
    if (link) return link.send(post, NO_HEADERS, seen)
    opening ??= open()
    opening.then(
      () => link?.send(post, NO_HEADERS, seen),
      (thrown: unknown) => {
        opening = undefined
        refused(post, toOpenMcpError(thrown))
      },
    )
  }
  function refused(post: Post, error: OpenMcpError): void {
    for (const message of post.messages) if (message.kind === 'request') reply.failed(error, message.id)
  }
  async function open(): Promise<void> {
    const found = await upstream()
    link = found.open(
      {
        unsolicited: write,
        ended(error) {
          link = undefined
          finished?.(error)
        },
      },
      ANYBODY,
    )
  }

  const lines = createLineReader(limits.messageBytes, {
    line(bytes) {
      let post: Post
      try {
        post = parsePost(bytes, limits.depth)
      } catch (thrown) {
        return write(errorText(toOpenMcpError(thrown), idOfRefusal(thrown)))
      }
      const answer = log?.asked(post)
      if (answer === undefined) send(post)
      else write(answer)
    },
    tooLong: () =>
      write(
        errorText(
          new OpenMcpError('too_large', `the message is larger than ${limits.messageBytes} bytes`, { hint: '--max-message raises the limit' }),
          undefined,
        ),
      ),
  })
  stdin.on('data', lines.feed)
  stdin.once('end', () => {
    lines.end()
    void leave()
  })
  stdin.on('error', () => void leave())
  // The reader is gone: nobody is left to serve.
  stdout.on('error', () => finished?.())

  async function leave(): Promise<void> {
    await opening?.catch(() => {})
    if (inFlight > 0) {
      await new Promise<void>((resolve) => {
        leaving = resolve
        setTimeout(resolve, limits.drainSeconds * 1000).unref()
      })
    }
    flush()
    finished?.()
  }

  return {
    ended,
    async close() {
      stdin.pause()
      await leave()
      await link?.close()
    },
  }
}
