// The door for TSP over HTTP. Whoever posts a message hears that it came, at once and whatever it is: what is refused hears nothing.
import type { Request, RequestHandler, Response } from 'express'

import { refuse } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { createTakeTurn, networkOf } from '../protocol/rate.ts'
import { createShares, type Shares } from '../protocol/shares.ts'

/** Why a message was dropped before anybody looked at it. */
type TspDoorRefusal = 'too_large' | 'too_slow' | 'too_many'

/** A request of a session that travels sealed: it names who asks, and is answered on the spot. */
export interface AskedByTsp {
  /** As it was written, not yet a VID. */
  readonly did: string
  readonly req: Request
  readonly res: Response
  /** The body as it came; of another method than POST nothing. */
  readonly bytes: Buffer
  /** Whoever proved who they are is no flood. */
  giveBack(): void
  /** Until then the body counts as held: to be called once, when it is not needed any more. */
  release(): void
}

export interface TspDoorOptions {
  /** One message, about which nothing is known yet, after its sender was answered. It must not fail; until it is done the message counts as held. */
  take: (message: Buffer) => void | Promise<void>
  /** What has `?did=` is answered by this; without it by nobody. */
  answer?: ((asked: AskedByTsp) => void) | undefined
  refused?: (why: TspDoorRefusal) => void
  /** Whether callers come through a proxy: then all of them have its address. */
  proxied: boolean
  log: Log
  now: () => number
  mostBytes?: number
  /** Bodies that are being read at once. */
  mostAtOnce?: number
  /** Of bodies that are being read, and of messages that are being worked on. */
  mostHeldBytes?: number
  bodySeconds?: number
}

/** A message of somebody who is not trusted costs 10 µs, one that must be verified 0.3 ms: a tenth of one core. */
const MESSAGES = { each: { limit: 600, perMs: 10_000 }, all: { limit: 3000, perMs: 10_000 } }
/** As long as a VID may be. */
const MOST_DID_CHARACTERS = 4096

export function createTspDoor({ take, answer, refused = () => {}, proxied, log, now, ...options }: TspDoorOptions): RequestHandler {
  const { mostBytes = 4 * 1024 * 1024, mostAtOnce = 256, mostHeldBytes = 64 * 1024 * 1024, bodySeconds = 10 } = options
  const takeTurn = createTakeTurn({ ...MESSAGES, proxied, now })
  const shares = createShares({ mostPlaces: mostAtOnce, mostBytes: mostHeldBytes })

  return (req, res) => {
    const did = didIn(req.url)
    const methods = did !== undefined && answer ? ['POST', 'GET', 'DELETE'] : ['POST']
    if (!methods.includes(req.method)) {
      const allow = methods.join(', ')
      return refuse(res, new OpenMcpError('method_not_allowed', `only ${allow} is a method of this endpoint`), { log, headers: { allow } })
    }
    const { waitSeconds, giveBack } = takeTurn(req)
    if (waitSeconds > 0) return end(res.writeHead(429, { ...EMPTY, 'retry-after': String(waitSeconds), connection: 'close' }))
    const dismiss = (why: TspDoorRefusal): void => {
      refused(why)
      // What was not read of the body would be taken for the next request.
      end(res.writeHead(202, { ...EMPTY, connection: 'close' }))
    }
    if (req.method !== 'POST') return answer?.({ did: did ?? '', req, res, bytes: NOTHING, giveBack, release() {} })
    if (Number(req.headers['content-length'] ?? 0) > mostBytes) return dismiss('too_large')
    const who = proxied ? '' : networkOf(req.socket.remoteAddress ?? '')
    readBody(req, { shares, who, mostBytes, seconds: bodySeconds, dismiss }, (bytes, release) => {
      if (did !== undefined && answer) return answer({ did, req, res, bytes, giveBack, release })
      end(res.writeHead(202, EMPTY))
      if (did !== undefined) return release()
      // What is done with it must not be seen in when the answer comes.
      setImmediate(() => void Promise.resolve(take(bytes)).finally(release))
    })
  }
}

const EMPTY = { 'content-length': '0' }
const NOTHING = Buffer.alloc(0)

function end(res: Response): void {
  res.end()
}

interface Reading {
  shares: Shares
  who: string
  mostBytes: number
  seconds: number
  dismiss: (why: TspDoorRefusal) => void
}

/** Calls back with the whole body, which counts as held until it is released; or dismisses, and reads no further. */
function readBody(req: Request, { shares, who, mostBytes, seconds, dismiss }: Reading, done: (body: Buffer, release: () => void) => void): void {
  const place = shares.enter(who, () => stop('too_many'))
  if (!place) return dismiss('too_many')
  const pieces: Buffer[] = []
  let size = 0
  const patience = setTimeout(() => stop('too_slow'), seconds * 1000)
  req.on('data', (piece: Buffer) => {
    if (size + piece.length > mostBytes) return stop('too_large')
    if (!place.hold(piece.length)) return stop('too_many')
    size += piece.length
    pieces.push(piece)
  })
  req.on('end', () => {
    leave()
    const [only] = pieces
    done(pieces.length === 1 && only ? only : Buffer.concat(pieces), () => place.release(size))
  })
  req.on('close', () => {
    if (!req.readableEnded) stop()
  })

  function leave(): void {
    clearTimeout(patience)
    place?.leave()
    req.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close')
  }

  /** Without a reason when the client has left, which is no news. */
  function stop(why?: TspDoorRefusal): void {
    leave()
    req.pause()
    pieces.length = 0
    place?.release(size)
    if (why) dismiss(why)
  }
}

/** A VID is written as it is, or encoded: a name in a did:web may itself hold `%3A`. Undefined: none, and the empty text for one that is none. */
function didIn(url: string): string | undefined {
  const query = url.slice(url.indexOf('?') + 1 || url.length + 1)
  const [named, ...others] = query.split('&').filter((part) => part.startsWith('did='))
  if (named === undefined) return undefined
  const written = named.slice('did='.length)
  if (others.length > 0 || written.length > MOST_DID_CHARACTERS) return ''
  if (written.startsWith('did:')) return written
  try {
    return decodeURIComponent(written)
  } catch {
    return ''
  }
}
