// The doors of the key flow, at the paths that the documented one has.
import { Router, type RequestHandler } from 'express'

import type { Log } from '../observe/log.ts'
import { jsonBody, jsonEndpoint, jsonRefusal, limited, only, refuseWith, type Act } from '../oauth/json-endpoint.ts'
import type { TakeTurn } from '../protocol/rate.ts'
import type { KeyEndpoints } from './endpoints.ts'

export interface KeyRouterOptions {
  endpoints: KeyEndpoints
  /** Why none of them is open. */
  closed: string | undefined
  /** A signature by a wallet costs us a millisecond to look at. */
  takeTurn: TakeTurn
  pathPrefix: string
  log: Log
}

const MOST_BYTES = 32 * 1024

export function createKeyRouter({ endpoints, closed, takeTurn, pathPrefix, log }: KeyRouterOptions): Router {
  const router = Router({ caseSensitive: true })
  const json = jsonBody(MOST_BYTES, log)
  const post = (path: string, act: Act, ...before: readonly RequestHandler[]): void => {
    router.all(`${pathPrefix}${path}`, (req, res, next) => {
      if (closed !== undefined) return refuseWith(res, path, jsonRefusal('no_keys_here', closed), log)
      // The original gave a key to whoever knew an address.
      if (req.method === 'GET' && path === '/get-api-key') return refuseWith(res, path, jsonRefusal('invalid_proof', HOW), log)
      next()
    })
    router.all(`${pathPrefix}${path}`, only('POST', path, log), ...before, json, jsonEndpoint(path, log, act))
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
  return router
}

const HOW = 'prove the identity: POST /challenge with hex_string or did, sign the message, and POST it here with message and signature'
