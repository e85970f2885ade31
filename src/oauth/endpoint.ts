// What every endpoint of the issuer has in common: a form in, JSON out, never cached, and no word that helps to guess.
import type { Request, RequestHandler, Response } from 'express'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { formOf, type Form } from './form.ts'
import { NOT_TRUSTED, isRefusal, refusal, type Refusal } from './refusal.ts'
import type { Strangers } from './strangers.ts'

export interface Answer {
  readonly body: Readonly<Record<string, unknown>>
}

export interface FormRequest {
  form: Form
  req: Request
  res: Response
}

interface Told {
  log: Log
  strangers: Pick<Strangers, 'unproved'>
}

/** One POST of a form. What is thrown is `server_error`, or 503 when the store is away: nothing is let through then. */
export function formEndpoint(name: string, { log, strangers }: Told, act: (request: FormRequest) => Promise<Answer | Refusal>): RequestHandler {
  return (req, res) => {
    res.setHeader('cache-control', 'no-store')
    const form = formOf(req)
    const acted = isRefusal(form) ? Promise.resolve(form) : act({ form, req, res })
    acted.catch(failed).then(
      (answer) => (isRefusal(answer) ? refuseWith(res, name, answer, { log, strangers }) : void res.json(answer.body)),
      () => res.destroy(),
    )
  }

  function failed(thrown: unknown): Refusal {
    const error = thrown instanceof OpenMcpError ? thrown : undefined
    if (error && (error.code === 'store_failed' || error.code === 'identity_unresolved')) {
      log.error(error.message, { hint: error.hint })
      return refusal('temporarily_unavailable', 'what this issuer remembers cannot be read or written now')
    }
    log.error('an internal error of openmcp', { detail: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) })
    return refusal('server_error', 'an internal error of openmcp')
  }
}

function refuseWith(res: Response, name: string, { error, description, status, why }: Refusal, { log, strangers }: Told): void {
  if (why !== undefined && why !== NOT_TRUSTED) strangers.unproved(why)
  log.debug('refused', { endpoint: name, error, status, why: why ?? description })
  if (status === 401) res.setHeader('www-authenticate', 'Bearer')
  if (status === 503) res.setHeader('retry-after', '5')
  res.status(status).json({ error, error_description: description })
}
