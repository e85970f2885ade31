// MCP over HTTP under a seal: what was asked is opened and served as by `/mcp`, and what that answers is sealed. Around the seal nothing
// counts: method, headers and body are those that were sealed with each other.
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Log } from '../observe/log.ts'
import type { OpenedRequest } from '../protocol/carried.ts'
import { bodyTooLarge, type ReadBody } from './body.ts'
import type { Handler } from './mcp.ts'
import { sealAnswer } from './sealed-answer.ts'

/** Undefined: silence. `said` is the whole answer. */
type Opened<H> = undefined | { readonly kind: 'said'; readonly text: string } | ({ readonly kind: 'asked'; readonly heard: H } & OpenedRequest)

export interface SealedDoorOptions<H> {
  /** What a body is that was posted under that name. Never fails. */
  open(did: string, text: string): Promise<Opened<H>>
  /** Lets whoever was heard in, for this request; false: it is nobody who may. */
  admit(req: IncomingMessage, res: ServerResponse, heard: H): boolean
  /** Serves a request whose body was read before (`openedBody`). */
  serve: Handler
  /** The longest body of an answer, and of an event. */
  mostAnswerBytes: number
  /** Begun with every request. */
  hush?: () => Hush
  log: Log
}

/** What came over HTTP, read to its end. */
interface AskedSealed {
  readonly did: string
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly bytes: Buffer
  /** Whoever proved who they are is no flood. */
  giveBack(): void
  /** The bytes are not needed any more. */
  release(): void
}

/** What bears the name of somebody who is trusted is verified, which takes longer than to turn a stranger away. */
interface Hush {
  /** Acts when nobody can tell any more how long the request was looked at. */
  keep(act: () => void): void
  /** It is no secret. */
  break(): void
}

const HUSH_MS = 100

export type SealedDoor = (asked: AskedSealed) => void

/** Everybody who is not let in gets the same answer, whatever was sent. A bare GET or DELETE proves nothing, so it is nobody's. */
export function createSealedDoor<H>({ open, admit, serve, mostAnswerBytes, hush = createHush, log }: SealedDoorOptions<H>): SealedDoor {
  async function take({ did, req, res, bytes, giveBack, release }: AskedSealed): Promise<void> {
    const hushed = hush()
    const opened = await open(did, bytes.toString('latin1')).finally(release)
    if (!opened) return hushed.keep(() => silence(res))
    hushed.break()
    if (res.destroyed) return
    if (opened.kind === 'said') return said(res, opened.text)
    const { request, seal, heard, hold } = opened
    // Before it is admitted: an answer that is a stream is known by its method.
    req.method = request.method
    req.headers = { ...request.headers, 'content-type': 'application/json' }
    bodies.set(req, request.body)
    if (!admit(req, res, heard)) return silence(res)
    giveBack()
    res.once('close', hold())
    sealAnswer(res, { seal, maxBytes: mostAnswerBytes, log })
    serve(req, res)
  }

  return (asked) => {
    if (asked.req.method !== 'POST') return silence(asked.res)
    take(asked).catch((thrown: unknown) => {
      log.error('a sealed request could not be served', { detail: thrown instanceof Error ? thrown.stack : String(thrown) })
      asked.res.destroy()
    })
  }
}

const bodies = new WeakMap<IncomingMessage, Buffer>()

/** The body of a request that was opened. */
export const openedBody: ReadBody = (req, maxBytes, done) => {
  const body = bodies.get(req) ?? NOTHING
  if (body.length > maxBytes) done(bodyTooLarge(maxBytes), NOTHING)
  else done(undefined, body)
}

const NOTHING = Buffer.alloc(0)

/** In steps since the request came: what was left of a step after the work would tell of it. */
function createHush(): Hush {
  let kept: (() => void) | undefined
  const steps = setInterval(() => {
    if (!kept) return
    clearInterval(steps)
    kept()
  }, HUSH_MS)
  steps.unref()
  return {
    keep: (act) => void (kept = act),
    break: () => clearInterval(steps),
  }
}

function said(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text)
}

function silence(res: ServerResponse): void {
  res.writeHead(202, { 'content-length': 0 }).end()
}
