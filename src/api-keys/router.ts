// The doors of the key flow, at the paths that the documented one has.
import express, { Router, type ErrorRequestHandler, type RequestHandler } from 'express'

import type { Log } from '../observe/log.ts'
import type { KeyEndpoints } from './endpoints.ts'
import { jsonEndpoint, jsonRefusal, limited, refuseWith, type Act } from '../oauth/json-endpoint.ts'
import type { TakeTurn } from '../oauth/rate.ts'

export interface KeyRouterOptions {
  endpoints: KeyEndpoints
  /** Why none of them is open. */
  closed: string | undefined
  /** A signature by a wallet costs us a millisecond to look at. */
  takeTurn: TakeTurn
  pathPrefix: string
  log: Log
}

const BODY = { limit: 32 * 1024, inflate: false, strict: true, type: 'application/json' } as const

export function createKeyRouter({ endpoints, closed, takeTurn, pathPrefix, log }: KeyRouterOptions): Router {
  const router = Router({ caseSensitive: true })
  const json = express.json(BODY)
  const post = (path: string, act: Act, ...before: readonly RequestHandler[]): void => {
    router.all(`${pathPrefix}${path}`, (req, res, next) => {
      if (closed !== undefined) return refuseWith(res, path, jsonRefusal('no_keys_here', closed), log)
      if (req.method === 'POST') {
        // A form or a text can be sent from any page without a question; JSON cannot.
        return req.is('application/json') ? next() : refuseWith(res, path, jsonRefusal('unsupported_media', 'the body must be application/json'), log)
      }
      // The original gave a key to whoever knew an address.
      if (req.method === 'GET' && path === '/get-api-key') return refuseWith(res, path, jsonRefusal('invalid_proof', HOW), log)
      res.setHeader('allow', 'POST')
      refuseWith(res, path, jsonRefusal('method_not_allowed', 'only POST is a method of this endpoint'), log)
    })
    router.post(`${pathPrefix}${path}`, ...before, json, jsonEndpoint(path, log, act))
  }
  const proved = (path: string, act: Act, isHarmless?: (status: number) => boolean): void => post(path, act, limited(path, log, takeTurn, isHarmless))
  post('/challenge', endpoints.challenge)
  // A key stays. Where anybody is trusted, whoever makes identities would make rows without end.
  proved('/gen-api-key', endpoints.generate, (status) => status >= 400 && status !== 401 && status !== 403)
  proved('/get-api-key', endpoints.get)
  proved('/rotate-api-key', endpoints.rotate)
  proved('/revoke-api-key', endpoints.revoke)
  // Not out of the same share: a flood of proofs would have every server that asks here turn away everybody who shows it a key.
  post('/reverse-lookup', endpoints.reverseLookup)
  router.use(unreadable(log))
  return router
}

const HOW = 'prove the identity: POST /challenge with hex_string or did, sign the message, and POST it here with message and signature'

/** JSON that is too large, compressed or not to be read: the client's mistake, told with the parser's status. */
function unreadable(log: Log): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
    if (!(status >= 400 && status < 500) || res.headersSent) return next(error)
    const word = status === 413 ? 'too_large' : status === 415 ? 'unsupported_media' : 'invalid_request'
    refuseWith(res, req.path, jsonRefusal(word, 'the body is too large or cannot be read'), log)
  }
}
