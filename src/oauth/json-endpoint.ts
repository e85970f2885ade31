// What endpoints that a page talks to have in common: JSON in, JSON out, never cached, and no word that helps to guess.
import express, { type Request, type RequestHandler, type Response } from 'express'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { TakeTurn } from '../protocol/rate.ts'

/** The HTTP status of each word. */
export const STATUS = {
  invalid_request: 400,
  invalid_proof: 401,
  expired_challenge: 401,
  invalid_client: 401,
  not_trusted: 403,
  another_browser: 403,
  invalid_scope: 403,
  unknown_key: 404,
  no_keys_here: 404,
  expired_login: 404,
  method_not_allowed: 405,
  too_many_keys: 409,
  already_rotated: 409,
  too_large: 413,
  unsupported_media: 415,
  too_many_requests: 429,
  server_error: 500,
  temporarily_unavailable: 503,
} as const

export interface JsonRefusal {
  readonly error: keyof typeof STATUS
  /** Fixed words of ours: nothing of what was sent comes back. */
  readonly description: string
  /** For the log alone. */
  readonly why: string | undefined
  /** More of the answer; nothing but what whoever asks has proved. */
  readonly more: JsonObject
}

export interface Body {
  /** Undefined for what was not sent, and for null. */
  get(name: string): unknown
  /** Undefined for what was not sent. Throws a refusal for what is no text, or a longer one. */
  text(name: string, most: number): string | undefined
}

export function jsonRefusal(error: JsonRefusal['error'], description: string, why?: string, more: JsonObject = {}): JsonRefusal {
  return { error, description, why, more }
}

export function isJsonRefusal(value: object): value is JsonRefusal {
  return 'error' in value && 'description' in value && 'more' in value
}

export type Act = (body: Body, req: Request) => Promise<JsonObject | JsonRefusal>

/** One POST of a JSON object that was parsed before. */
export function jsonEndpoint(name: string, log: Log, act: Act): RequestHandler {
  return (req, res) => {
    const body: unknown = req.body
    const acted = isObject(body) ? act(bodyOf(body), req) : Promise.resolve(jsonRefusal('invalid_request', 'the body must be a JSON object'))
    acted.catch(failed).then(
      (answer) => (isJsonRefusal(answer) ? refuseWith(res, name, answer, log) : void res.setHeader('cache-control', 'no-store').json(answer)),
      () => res.destroy(),
    )
  }

  function failed(thrown: unknown): JsonRefusal {
    if (thrown instanceof Refused) return thrown.refusal
    const error = thrown instanceof OpenMcpError ? thrown : undefined
    if (error?.code === 'identity_invalid') return jsonRefusal('invalid_request', error.message)
    if (error?.code === 'store_failed' || error?.code === 'keys_unsafe') {
      log.error(error.message, { hint: error.hint })
      return jsonRefusal('temporarily_unavailable', 'what this server remembers cannot be read or written now')
    }
    log.error('an internal error of openmcp', { detail: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) })
    return jsonRefusal('server_error', 'an internal error of openmcp')
  }
}

/** Any other method is refused, and so is a body that every page could send without a question: a form or a text, which JSON is not. */
export function only(method: 'GET' | 'POST', name: string, log: Log): RequestHandler {
  return (req, res, next) => {
    if (req.method !== method) {
      res.setHeader('allow', method)
      return refuseWith(res, name, jsonRefusal('method_not_allowed', `only ${method} is a method of this endpoint`), log)
    }
    if (method === 'POST' && !req.is('application/json'))
      return refuseWith(res, name, jsonRefusal('unsupported_media', 'the body must be application/json'), log)
    next()
  }
}

/** JSON that is too large, compressed or not to be read: the client's mistake, told with the parser's status. */
export function jsonBody(mostBytes: number, log: Log): RequestHandler {
  const parse = express.json({ limit: mostBytes, inflate: false, strict: true, type: 'application/json' })
  return (req, res, next) => {
    parse(req, res, (error: unknown) => {
      const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
      if (error === undefined || !(status >= 400 && status < 500)) return next(error)
      const word = status === 413 ? 'too_large' : status === 415 ? 'unsupported_media' : 'invalid_request'
      refuseWith(res, req.path, jsonRefusal(word, 'the body is too large or cannot be read'), log)
    })
  }
}

/** A share of what costs us something, given back for what leaves no cost behind: unless told otherwise, for every proof that holds. */
export function limited(name: string, log: Log, takeTurn: TakeTurn, isHarmless: (status: number) => boolean = isProved): RequestHandler {
  return (req, res, next) => {
    const turn = takeTurn(req)
    if (turn.waitSeconds > 0) {
      res.setHeader('retry-after', String(turn.waitSeconds))
      return refuseWith(res, name, jsonRefusal('too_many_requests', 'too many tries: wait as long as Retry-After says'), log)
    }
    res.once('finish', () => {
      if (isHarmless(res.statusCode)) turn.giveBack()
    })
    next()
  }
}

function isProved(status: number): boolean {
  return status !== 401 && status !== 403
}

export function refuseWith(res: Response, name: string, { error, description, why, more }: JsonRefusal, log: Log): void {
  log.debug('refused', { endpoint: name, error, status: STATUS[error], why: why ?? description })
  res.setHeader('cache-control', 'no-store')
  if (error === 'temporarily_unavailable') res.setHeader('retry-after', '5')
  res.status(STATUS[error]).json({ ...more, error, error_description: description })
}

class Refused extends Error {
  readonly refusal: JsonRefusal
  constructor(refusal: JsonRefusal) {
    super(refusal.description)
    this.refusal = refusal
  }
}

function bodyOf(body: JsonObject): Body {
  // Object.entries leaves out what a prototype would lend.
  const members = new Map<string, unknown>(Object.entries(body).filter(([, value]) => value !== null))
  return {
    get: (name) => members.get(name),
    text(name, most) {
      const value = members.get(name)
      if (value === undefined) return undefined
      if (typeof value !== 'string' || value.length > most)
        throw new Refused(jsonRefusal('invalid_request', `${name} must be a text of at most ${most} characters`))
      return value
    },
  }
}
