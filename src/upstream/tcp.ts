// A server behind a TCP port: one JSON message a line, as a child speaks it on its pipes.
import { connect } from 'node:net'

import { OpenMcpError } from '../errors.ts'
import type { Limits } from '../protocol/limits.ts'
import { createLineReader } from '../protocol/lines.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { whyUnreachable } from './unreachable.ts'

/** A connection that was cut without a word is found out by asking (RFC 9293 §3.8.4); the operating system's own default is two hours. */
const KEEP_ALIVE_MS = 30_000

/** What is sent before the connection is there waits for it. Names are looked up each time. */
export function openTcp(url: URL, events: PipeEvents, limits: Limits): OpenedPipe {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const socket = connect({ host, port: Number(url.port), noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, autoSelectFamily: true })
  let over = false
  let isOpen = false
  const tooSlow = setTimeout(() => end(unreachable(url, 'it does not answer')), limits.connectSeconds * 1000)
  const lines = createLineReader(limits.messageBytes, { line: (bytes) => over || events.line(bytes), tooLong: events.tooLong })

  function end(error: OpenMcpError): void {
    clearTimeout(tooSlow)
    if (over) return
    over = true
    socket.destroy()
    events.ended(error)
  }

  const started = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => {
      clearTimeout(tooSlow)
      isOpen = true
      resolve()
    })
    socket.once('close', () => reject(unreachable(url, 'the connection was closed')))
    socket.once('error', (cause) => reject(unreachable(url, whyUnreachable(cause).why, cause)))
  })
  started.catch(() => {}) // told through `ended` as well
  socket.on('data', (chunk) => lines.feed(chunk))
  socket.on('error', (cause) => end(isOpen ? broke(url, cause) : unreachable(url, whyUnreachable(cause).why, cause)))
  // What it has said last without a line break is a message, too.
  socket.once('end', () => lines.end())
  socket.once('close', () => end(broke(url)))

  return {
    started,
    send: (line) => void (over || socket.write(`${line}\n`)),
    get bufferedBytes() {
      return socket.writableLength
    },
    close() {
      clearTimeout(tooSlow)
      over = true
      // What was sent goes out, and whoever does not take it is not waited for.
      if (isOpen) socket.destroySoon()
      else socket.destroy()
      return Promise.resolve()
    },
  }
}

function unreachable({ host }: URL, why: string, cause?: Error): OpenMcpError {
  return new OpenMcpError('upstream_unreachable', `the upstream ${host} cannot be reached: ${why}`, { cause })
}

function broke({ host }: URL, cause?: Error): OpenMcpError {
  return new OpenMcpError('upstream_broke', `the upstream ${host} closed the connection`, { cause })
}
