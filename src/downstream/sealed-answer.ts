// An HTTP answer that is written in the clear by whoever serves MCP, and leaves sealed: the body as one message, or one for each event.
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { errorText } from '../protocol/answer.ts'
import type { OpenedRequest } from '../protocol/carried.ts'
import { createEventReader, type ServerEvent } from '../protocol/event-stream.ts'
import { jsonIn } from '../protocol/json.ts'
import { isId, isObject } from '../protocol/message.ts'

/** What a reader without the key may see of the headers: what HTTP needs on the way, and the two that TMCP has in the clear. */
const IN_THE_CLEAR = new Set([
  'content-type',
  'cache-control',
  'x-accel-buffering',
  'retry-after',
  'allow',
  'connection',
  'mcp-session-id',
  'mcp-protocol-version',
])

/** From now on everything that is written to this response is sealed. */
export function sealAnswer(res: ServerResponse, { seal, maxBytes, log }: { seal: OpenedRequest['seal']; maxBytes: number; log: Log }): void {
  const plain = { writeHead: res.writeHead.bind(res), write: res.write.bind(res), end: res.end.bind(res) }
  let status = 200
  let headers: Record<string, string> = {}
  let pieces: Buffer[] = []
  let size = 0
  let stream: EventSealer | undefined

  function whole(): void {
    const text = sealed(Buffer.concat(pieces))
    const shown = WITHOUT_BODY.has(status) ? 200 : status
    plain.writeHead(shown, { ...inTheClear(headers), 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    plain.end(text)
  }

  function sealed(body: Buffer): string {
    try {
      if (size > maxBytes) throw new OpenMcpError('too_large', `the answer is larger than ${maxBytes} bytes`)
      return seal({ kind: 'head', status, headers, body })
    } catch (thrown) {
      const error = toOpenMcpError(thrown)
      log.debug('an answer could not be sealed', { why: error.message })
      return seal({ kind: 'head', status, headers: { 'content-type': 'application/json' }, body: inPlaceOf(body, error) })
    }
  }

  Object.assign(res, {
    writeHead(code: number, given: OutgoingHttpHeaders = {}) {
      status = code
      headers = Object.fromEntries(
        Object.entries(given).flatMap(([name, value]) => (FRAMING.has(name.toLowerCase()) ? [] : [[name.toLowerCase(), String(value)]])),
      )
      ;[pieces, size] = [[], 0]
      if (!headers['content-type']?.startsWith('text/event-stream')) return res
      plain.writeHead(status, inTheClear(headers))
      stream = createEventSealer({ seal, write: plain.write, maxBytes, log })
      plain.write(`data: ${seal({ kind: 'head', status, headers, body: NOTHING })}\n\n`)
      return res
    },
    write(chunk: string | Buffer, encoding?: BufferEncoding) {
      const bytes = bytesOf(chunk, encoding)
      if (stream) return fed(bytes)
      size += bytes.length
      if (size <= maxBytes) pieces.push(bytes)
      return true
    },
    end(chunk?: string | Buffer, encoding?: BufferEncoding) {
      if (chunk !== undefined && chunk.length > 0) res.write(chunk, typeof encoding === 'string' ? encoding : 'utf8')
      if (res.destroyed || res.writableEnded) return res
      if (stream) plain.end()
      else whole()
      return res
    },
  })

  function fed(bytes: Buffer): boolean {
    try {
      return stream?.feed(bytes) ?? true
    } catch (thrown) {
      log.warn('an event could not be sealed; its stream is cut', { why: toOpenMcpError(thrown).message })
      res.destroy()
      return true
    }
  }
}

/** Here HTTP has no place for what is sealed: who opens it knows the status. */
const WITHOUT_BODY = new Set([204, 205, 304])
/** Of the plain body; the sealed one has its own. */
const FRAMING = new Set(['content-length', 'transfer-encoding'])
const NOTHING = Buffer.alloc(0)
const COLON = 58

interface EventSealer {
  /** False: what waits to be written is much. */
  feed(bytes: Buffer): boolean
}

function createEventSealer({
  seal,
  write,
  maxBytes,
  log,
}: {
  seal: OpenedRequest['seal']
  write: (text: string) => boolean
  maxBytes: number
  log: Log
}): EventSealer {
  let goesOn = true
  let events = 0
  // An event that is too large is answered for by an error of ours; beyond this it cannot even be read.
  const reader = createEventReader(maxBytes * 2, (event) => {
    events++
    goesOn = write(eventText(event))
  })

  function eventText({ event, data, id, retryMs }: ServerEvent): string {
    const about = [`event: ${event}`, ...(id === undefined ? [] : [`id: ${id}`]), ...(retryMs === undefined ? [] : [`retry: ${retryMs}`])]
    const body = Buffer.from(data)
    const sealed = (bytes: Buffer): string => seal({ kind: 'event', event, id, retryMs, body: bytes })
    try {
      return `${about.join('\n')}\ndata: ${sealed(body)}\n\n`
    } catch (thrown) {
      const error = toOpenMcpError(thrown)
      log.debug('an event could not be sealed', { why: error.message })
      return `${about.join('\n')}\ndata: ${sealed(inPlaceOf(body, error))}\n\n`
    }
  }

  return {
    feed(bytes) {
      goesOn = true
      events = 0
      reader.feed(bytes)
      // A comment says that the stream lives, and nothing else.
      return events === 0 && bytes[0] === COLON ? write(': keepalive\n\n') : goesOn
    },
  }
}

/** The answer to the same request, where it was one, that there is none. */
function inPlaceOf(body: Buffer, error: OpenMcpError): Buffer {
  const value = jsonIn(body.toString())
  const id = isObject(value) && value['method'] === undefined && isId(value['id']) ? value['id'] : undefined
  return Buffer.from(errorText(error, id))
}

function inTheClear(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => IN_THE_CLEAR.has(name)))
}

function bytesOf(chunk: string | Buffer, encoding: BufferEncoding = 'utf8'): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}
