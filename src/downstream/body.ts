// The body of a request, read up to a limit.
import type { IncomingMessage } from 'node:http'

import { OpenMcpError } from '../errors.ts'

/** Calls back once: with all bytes, or with `too_large` as soon as the limit is passed. A client that leaves is no news. */
export function readBody(req: IncomingMessage, maxBytes: number, done: (error: OpenMcpError | undefined, body: Buffer) => void): void {
  const tooLarge = (): OpenMcpError => new OpenMcpError('too_large', `the body is larger than ${maxBytes} bytes`, { hint: '--max-body raises the limit' })
  const declared = Number(req.headers['content-length'] ?? 0)
  if (declared > maxBytes) return done(tooLarge(), NOTHING)
  const pieces: Buffer[] = []
  let size = 0
  req.on('data', (piece: Buffer) => {
    size += piece.length
    if (size <= maxBytes) return void pieces.push(piece)
    req.removeAllListeners('data').removeAllListeners('end')
    pieces.length = 0
    done(tooLarge(), NOTHING)
  })
  req.on('end', () => {
    const [only] = pieces
    done(undefined, pieces.length === 1 && only ? only : Buffer.concat(pieces))
  })
}

const NOTHING = Buffer.alloc(0)

/** Refuses a body that is not plain JSON: browsers may send anything else across origins without asking first. */
export function checkJsonBody(req: IncomingMessage): void {
  const type = req.headers['content-type']
  if (type === undefined || !/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new OpenMcpError('unsupported_media', 'the body must be application/json', { hint: 'send Content-Type: application/json' })
  }
  const encoding = req.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') throw new OpenMcpError('unsupported_media', 'the body must not be compressed')
}
