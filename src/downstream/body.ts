// The body of a request, read up to a limit.
import type { IncomingMessage } from 'node:http'

import { OpenMcpError } from '../errors.ts'

/** How a door comes to the body of a request; see `readBody`. */
export type ReadBody = (req: IncomingMessage, maxBytes: number, done: (error: OpenMcpError | undefined, body: Buffer) => void) => void

/**
 * Calls back once: with all bytes, or with `too_large` when the limit is passed. A client that leaves is no news. Of a body
 * that is too large a little more is read and thrown away: closing on unread bytes would take the answer with it.
 */
export function readBody(req: IncomingMessage, maxBytes: number, done: (error: OpenMcpError | undefined, body: Buffer) => void): void {
  const tooLarge = (): void => done(bodyTooLarge(maxBytes), NOTHING)
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) return discard(req, DISCARDED_BYTES, tooLarge)
  const pieces: Buffer[] = []
  let size = 0
  req.on('data', (piece: Buffer) => {
    size += piece.length
    if (size <= maxBytes) return void pieces.push(piece)
    req.removeAllListeners('data').removeAllListeners('end')
    pieces.length = 0
    discard(req, DISCARDED_BYTES, tooLarge)
  })
  req.on('end', () => {
    const [only] = pieces
    done(undefined, pieces.length === 1 && only ? only : Buffer.concat(pieces))
  })
}

export function bodyTooLarge(maxBytes: number): OpenMcpError {
  return new OpenMcpError('too_large', `the body is larger than ${maxBytes} bytes`, { hint: '--max-body raises the limit' })
}

const DISCARDED_BYTES = 32 * 1024 * 1024
const DISCARDED_MS = 1000

/** Reads to the end, but no more than this many bytes and no longer than a second. */
function discard(req: IncomingMessage, most: number, done: () => void): void {
  let size = 0
  const timer = setTimeout(finish, DISCARDED_MS)
  function finish(): void {
    clearTimeout(timer)
    req.removeAllListeners('data').removeAllListeners('end')
    done()
  }
  req.on('data', (piece: Buffer) => {
    size += piece.length
    if (size > most) finish()
  })
  req.on('end', finish)
  req.on('close', () => clearTimeout(timer))
}

const NOTHING = Buffer.alloc(0)

/** Refuses a body that is not plain JSON: browsers may send anything else across origins without asking first. */
export function checkJsonBody(req: IncomingMessage): void {
  const type = req.headers['content-type']
  if (type === undefined || !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new OpenMcpError('unsupported_media', 'the body must be application/json', { hint: 'send Content-Type: application/json' })
  }
  // JSON is UTF-8 (RFC 8259 §8.1). To a server that believes another name the body would be another message than the one checked here.
  if (/;\s*charset\s*=\s*(?!"?utf-8"?\s*(?:;|$))/i.test(type)) throw new OpenMcpError('unsupported_media', 'the body must be in UTF-8')
  const encoding = req.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') throw new OpenMcpError('unsupported_media', 'the body must not be compressed')
}
