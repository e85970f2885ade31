// The answer to one POST on a pipe-like upstream: JSON when the answer is all there is, an event stream when more belongs to it.
import type { ServerResponse } from 'node:http'

import { HTTP_STATUS } from '../errors.ts'
import { errorText } from '../protocol/answer.ts'
import { sizeOf } from '../protocol/event-stream.ts'
import type { Reply, Text } from '../protocol/exchange.ts'
import type { JsonRpcId } from '../protocol/message.ts'
import type { Era } from '../protocol/revision.ts'
import { wholeOf } from '../protocol/text.ts'

/** A stream that a post opened: replayable in a session, plain in the stateless era. */
export interface PostStream {
  send(text: Text): void
  finish(): void
}

export interface PostReplyOptions {
  res: ServerResponse
  /** The requests of the post. */
  expected: readonly JsonRpcId[]
  batch: boolean
  era: Era
  /** The client takes event streams. */
  takesStream: boolean
  /** The answer is to be an event stream even when nothing comes before it. */
  streamAlways: boolean
  openStream(): PostStream
  /** For a client that takes no stream: a message that belongs to the request goes here. */
  aside(text: Text): void
  /** Headers of a JSON answer, asked for when it is written; undefined: none. */
  headers(errorCode: number | undefined): Readonly<Record<string, string>> | undefined
  /** All is answered. */
  done(): void
}

export interface PostReply extends Reply {
  /** Nothing has come for a while: tell the client that it is being served. */
  openNow(): void
}

export function createPostReply(options: PostReplyOptions): PostReply {
  const { res, era, batch, expected } = options
  let left = expected.length
  let stream: PostStream | undefined
  const collected: Text[] = []
  const openStream = (): PostStream => {
    const opened = options.openStream()
    for (const text of collected.splice(0)) opened.send(text)
    return opened
  }

  function answer(text: Text, errorCode: number | undefined, status: number): void {
    if (left <= 0) return
    left--
    if (!stream && options.streamAlways && errorCode === undefined) stream = openStream()
    if (stream) {
      stream.send(text)
      if (left === 0) stream.finish()
    } else if (batch) {
      collected.push(text)
      if (left === 0) writeJson(res, 200, joined(collected), options.headers(undefined))
    } else {
      writeJson(res, status, text, options.headers(errorCode))
    }
    if (left === 0) options.done()
  }

  return {
    message(text) {
      if (left <= 0 || !options.takesStream) return options.aside(text)
      stream ??= openStream()
      stream.send(text)
    },
    answer(_id, text, errorCode) {
      answer(text, errorCode, era === 'modern' ? modernStatus(errorCode) : 200)
    },
    failed(error, id) {
      const ids = id === undefined ? expected.slice(expected.length - left) : [id]
      for (const one of ids) answer(errorText(error, one, era), -32603, HTTP_STATUS[error.code])
    },
    withdrawn() {
      if (left <= 0) return
      left--
      if (left > 0) return
      // A stream that ends without its answer is how HTTP says that nothing will come; without one there is nothing to say.
      if (!stream && options.takesStream) stream = openStream()
      if (stream) stream.finish()
      else if (collected.length > 0) writeJson(res, 200, joined(collected), undefined)
      else if (!res.headersSent) res.writeHead(202, { 'content-length': 0 }).end()
      options.done()
    },
    openNow() {
      if (left > 0 && !stream && options.takesStream) stream = openStream()
    },
  }
}

/** The HTTP status that the 2026-07-28 revision gives a JSON-RPC error (basic/transports/streamable-http, "Error Handling"). */
function modernStatus(errorCode: number | undefined): number {
  if (errorCode === undefined) return 200
  if (errorCode === -32601) return 404
  return [-32700, -32600, -32020, -32021, -32022].includes(errorCode) ? 400 : 200
}

function joined(texts: readonly Text[]): Text {
  return `[${texts.map(wholeOf).join(',')}]`
}

export function writeJson(res: ServerResponse, status: number, text: Text, headers: Readonly<Record<string, string>> | undefined): void {
  if (res.headersSent || res.destroyed) return
  const size = typeof text === 'string' ? Buffer.byteLength(text) : sizeOf(text)
  res.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': size })
  if (typeof text === 'string') return void res.end(text)
  res.cork()
  for (const piece of text) res.write(piece)
  res.end()
}
