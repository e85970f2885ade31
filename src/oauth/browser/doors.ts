// The doors of a login in a browser: two that a browser is sent to, those that the key page asks, and the one where clients register.
import type { Request, RequestHandler, Response, Router } from 'express'

import { OpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { Standing } from '../../policy/shapes.ts'
import type { Places } from '../../tokens/places.ts'
import { jsonBody, jsonEndpoint, limited, only, type Act } from '../json-endpoint.ts'
import type { TakeTurn } from '../../protocol/rate.ts'
import { askedAtAuthorize } from './asked.ts'
import { isNoClient } from './client-metadata.ts'
import type { LoginCookies } from './cookie.ts'
import type { LoginEndpoints } from './endpoints.ts'
import type { Answered, Flow } from './flow.ts'
import type { LoginRows } from './login-rows.ts'
import type { Registrations } from './registration.ts'
import { pageErrorOf, pageOf, type PageError } from './words.ts'

export interface LoginDoorOptions {
  endpoints: LoginEndpoints
  registrations: Registrations
  rows: LoginRows
  cookies: LoginCookies
  flow: () => Promise<Flow>
  standingOf(identities: readonly string[]): Standing | undefined
  places: Places
  /** Each login that is begun is a row for ten minutes, and perhaps a document that is fetched. */
  mayBegin: TakeTurn
  /** A signature by a wallet costs us a millisecond to look at. */
  mayProve: TakeTurn
  pathPrefix: string
  log: Log
}

const MOST_BYTES = 16 * 1024
const PAGE_STATUS: Readonly<Record<PageError, number>> = {
  invalid_client: 400,
  invalid_redirect_uri: 400,
  invalid_request: 400,
  another_browser: 403,
  expired_login: 404,
  too_many_requests: 429,
  server_error: 500,
  temporarily_unavailable: 503,
}

/** They stand on a router that is there: each one that is passed through costs every request behind it a turn. */
export function createLoginDoors({
  endpoints,
  registrations,
  rows,
  cookies,
  flow,
  standingOf,
  places,
  mayBegin,
  mayProve,
  pathPrefix,
  log,
}: LoginDoorOptions): (router: Router) => void {
  return (router) => {
    const json = jsonBody(MOST_BYTES, log)

    const browserDoor = (path: string, open: (req: Request, res: Response) => Promise<void>): void => {
      router.all(`${pathPrefix}${path}`, only('GET', path, log), (req, res) => {
        open(req, res).catch((thrown: unknown) => showPage(res, errorOf(thrown, log)))
      })
    }
    const pageDoor = (path: string, act: Act, ...before: readonly RequestHandler[]): void => {
      router.all(`${pathPrefix}${path}`, only('POST', path, log), ...before, json, jsonEndpoint(path, log, act))
    }

    browserDoor('/authorize', async (req, res) => {
      const { waitSeconds } = mayBegin(req)
      if (waitSeconds > 0) return showPage(res.setHeader('retry-after', String(waitSeconds)), 'too_many_requests')
      const base = places.baseOf(req)
      const asked = askedAtAuthorize(queryOf(req), places)
      if (!asked) return showPage(res, 'invalid_request')
      const answered = await (await flow()).authorize(base, asked)
      if (answered.uid !== undefined) res.setHeader('set-cookie', cookies.made(req, base, answered.uid))
      // Whoever likes registers any site: nobody is sent to one who has not said yes or no here (RFC 9700 §4.11.2).
      else if (URL.parse(answered.location ?? '')?.protocol === 'https:') return showPage(res, 'invalid_request')
      sendOn(res, answered)
    })

    browserDoor('/authorize/:uid', async (req, res) => {
      const base = places.baseOf(req)
      const uid = String(req.params['uid'])
      if (!cookies.isOf(req, base, uid)) return showPage(res, 'another_browser')
      const login = await rows.get('Interaction', uid)
      if (!login) return showPage(res, 'expired_login')
      // Nobody has said yes or no yet.
      if (login['result'] === undefined) return sendTo(res, `${base}/keys?login=${uid}`)
      const steps = await flow()
      // Trust may have been taken back since the proof.
      const approvedBy = identityIn(login['result'])
      if (approvedBy !== undefined && !standingOf([approvedBy])) await steps.deny(base, uid, 'this identity is not trusted any more')
      res.setHeader('set-cookie', cookies.ended(base, uid))
      sendOn(res, await steps.resume(base, uid))
    })

    router.get(`${pathPrefix}/login/:uid`, withoutBody, jsonEndpoint('/login', log, endpoints.shown))
    router.all(`${pathPrefix}/login/:uid`, only('GET', '/login', log))
    pageDoor('/login/:uid/challenge', endpoints.challenge)
    pageDoor('/login/:uid/approve', endpoints.approve, limited('/login/approve', log, mayProve))
    pageDoor('/login/:uid/deny', endpoints.deny)

    router.all(`${pathPrefix}/register`, only('POST', '/register', log), json, (req, res) => {
      const registered = registrations.register(req.body)
      res.setHeader('cache-control', 'no-store')
      if (isNoClient(registered)) return void res.status(400).json({ error: registered.error, error_description: registered.description })
      log.debug('a client registered', { name: registered.client_name })
      res.status(201).json(registered)
    })
  }
}

const withoutBody: RequestHandler = (req, _res, next) => {
  req.body = {}
  next()
}

function queryOf({ url }: Request): string {
  const at = url.indexOf('?')
  return at < 0 ? '' : url.slice(at + 1)
}

/** Back to the client, or to the key page; where neither is possible, words. */
function sendOn(res: Response, { location, body }: Answered): void {
  if (location === undefined) return showPage(res, pageErrorOf(body['error']))
  sendTo(res, location)
}

function sendTo(res: Response, location: string): void {
  res.setHeader('cache-control', 'no-store').setHeader('location', location)
  res.status(303).end()
}

function showPage(res: Response, error: PageError): void {
  res.setHeader('cache-control', 'no-store')
  res.status(PAGE_STATUS[error]).type('html').send(pageOf(error))
}

function errorOf(thrown: unknown, log: Log): PageError {
  if (thrown instanceof OpenMcpError && thrown.code === 'store_failed') {
    log.error(thrown.message, { hint: thrown.hint })
    return 'temporarily_unavailable'
  }
  log.error('an internal error of openmcp', { detail: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) })
  return 'server_error'
}

function identityIn(result: unknown): string | undefined {
  const login: unknown = typeof result === 'object' && result !== null && 'login' in result ? result.login : undefined
  const identity: unknown = typeof login === 'object' && login !== null && 'accountId' in login ? login.accountId : undefined
  return typeof identity === 'string' ? identity : undefined
}
