// `/oauth/NAME/…`: a caller logs in at a server with an account of their own. The paths and the words of JSON are mcpo's; what is
// believed is not: a browser proves who is in front of it, and what was begun in it ends in it.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import express, { Router, type Request, type RequestHandler, type Response } from 'express'

import { refuse } from '../downstream/refuse.ts'
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { TakeTurn } from '../protocol/rate.ts'
import { isServerName, noSuchServer, serverPath } from '../protocol/server-path.ts'
import type { Places } from '../tokens/places.ts'
import { onlyMethod } from './doors.ts'
import { createFlows, type Flow } from './own-login-flows.ts'
import { showConsent, showPage, showWayTo, type PageWord } from './own-login-page.ts'

/** The login of one caller at one server. There is no way from it to another's. */
export interface OwnPlace<Begun> {
  readonly address: string
  status(): Promise<{ issuer: string; sinceMs: number; usedAtMs: number | undefined } | undefined>
  whoAsks(): Promise<{ issuer: string; host: string; scope: string | undefined }>
  begin(how: { redirectUri: string; state: string }): Promise<Begun>
  finish(begun: Begun, parameters: URLSearchParams): Promise<void>
  forget(): Promise<boolean>
}

export interface OwnLoginsOptions<Begun extends { url: URL }> {
  guard: RequestHandler
  callerOf(req: IncomingMessage): Caller
  /** For whoever was let in. Undefined: there is no such server, or no login of one's own, or none for this caller. */
  placeOf(name: string, caller: Caller): OwnPlace<Begun> | undefined
  /** The same for whoever proved to be this identity in a browser. */
  placeOfProved(name: string, identity: string): OwnPlace<Begun> | undefined
  /** Under which name people call us: where they are sent back to, whatever a request says. Undefined until we listen. */
  base(): string | undefined
  browser: {
    places: Pick<Places, 'baseOf'>
    mayBegin: TakeTurn
    /** Who is in front of a browser, where that is known without asking. */
    webUiUser(req: IncomingMessage): Promise<string | undefined>
    cookies: {
      made(req: IncomingMessage, base: string, uid: string): string[]
      ended(base: string, uid: string): string
      isOf(req: IncomingMessage, base: string, uid: string): boolean
    }
    ours: {
      begin(asked: Proving & { base: string; name: string; resource: string; state: string }): { url: URL; clientId: string } | undefined
      redeem(code: string, asked: Proving & { base: string; clientId: string }): Promise<string | undefined>
    }
  }
  pathPrefix: string
  log: Log
  now: () => number
}

interface Proving {
  redirectUri: string
  verifier: string
}

type Step<Begun> =
  | ({ at: 'proof'; url: URL; clientId: string } & Proving)
  | { at: 'consent'; identity: string }
  | { at: 'issuer'; identity: string; begun: Begun }

const MOST_QUERY = 8192
const PATH = '/oauth/:name'

export function createOwnLogins<Begun extends { url: URL }>(options: OwnLoginsOptions<Begun>): Router {
  const { guard, callerOf, placeOf, placeOfProved, base: baseNow, browser, pathPrefix, log, now } = options
  const { places, mayBegin, cookies, ours } = browser
  const flows = createFlows<Step<Begun>>({ now })
  /** Who looks at a page again and again has nobody asked again and again. */
  const asking = new WeakMap<Flow<unknown>, ReturnType<OwnPlace<Begun>['whoAsks']>>()
  const router = Router({ caseSensitive: true })

  /** Without a name of ours there is nothing to send anybody back to. */
  function open(req: Request): { base: string; name: string } | PageWord {
    const base = baseNow()
    const name = String(req.params['name'])
    if (base === undefined) return 'away'
    return isServerName(name) ? { base, name } : 'unknown'
  }

  /** The step that a browser is at: looked at by its state, and then by its cookie, without which nothing changes. */
  function stepOf<At extends Step<Begun>['at']>(req: Request, at: At, state: string | null): Found<Begun, At> | PageWord {
    const opened = open(req)
    if (typeof opened === 'string') return opened
    const flow = flows.named(state ?? '')
    // A cookie outlives its login by an hour, but nothing is left then to be told.
    if (!flow) return 'not_ours'
    if (!cookies.isOf(req, opened.base, flow.uid)) return 'another_browser'
    const { step } = flow
    if (step.at !== at || flow.server !== opened.name) return 'not_ours'
    return { ...opened, flow, step: step as Extract<Step<Begun>, { at: At }> } // it is at this one
  }

  /** A method that only asks about another would take a step, too. */
  const door = (path: string, method: 'GET' | 'POST', ...acts: RequestHandler[]): void => {
    router.all(
      `${pathPrefix}${PATH}${path}`,
      onlyMethod(method, (_req, _res, next) => next(), log),
      ...acts,
    )
  }
  const page =
    (act: (req: Request, res: Response) => Promise<void>): RequestHandler =>
    (req, res) => {
      act(req, res).catch((thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        log.warn(`a login of a caller's own did not succeed: ${error.message}`, { hint: error.hint, detail: error.detail })
        if (!res.headersSent) showPage(res, error.code === 'store_failed' ? 'away' : 'failed')
      })
    }

  async function begin(req: Request, res: Response): Promise<void> {
    const opened = open(req)
    if (typeof opened === 'string') return showPage(res, opened)
    const { base, name } = opened
    const here = `${base}${loginPath(name)}`
    // The cookie belongs to the name under which the browser comes back.
    if (places.baseOf(req) !== base) return queryOf(req).has('again') ? showPage(res, 'other_name') : sendTo(res, `${here}/authorize?again`)
    const { waitSeconds } = mayBegin(req)
    if (waitSeconds > 0) return showPage(res, 'busy', { 'retry-after': String(waitSeconds) })
    const known = await browser.webUiUser(req)
    if (known !== undefined) return toConsent(req, res, { base, name }, known)
    const verifier = randomBytes(32).toString('base64url')
    const redirectUri = `${here}/proved`
    // Of every name there could be: whether there is one is told to callers alone.
    const asked = { base, name: `A login of your own at ${name}`, redirectUri, resource: `${base}${serverPath(name)}/mcp`, verifier }
    const flow = flows.begin(name, (state) => {
      const begun = ours.begin({ ...asked, state })
      return begun && { at: 'proof' as const, ...begun, redirectUri, verifier }
    })
    if (!flow) return showPage(res, 'no_way_back')
    res.setHeader('set-cookie', cookies.made(req, base, flow.uid))
    sendTo(res, flow.step.url.href)
  }

  async function proved(req: Request, res: Response): Promise<void> {
    const query = queryOf(req)
    const found = stepOf(req, 'proof', query.get('state'))
    if (typeof found === 'string') return showPage(res, found)
    const { base, name, flow, step } = found
    const code = query.get('code')
    // Both are the issuer's of this same node; a code of another could not be redeemed here, and is not looked at.
    const isAnswer = code !== null && query.get('iss') === base && query.getAll('code').length === 1
    if (!flows.end(flow) || !isAnswer) return ended(res, base, flow, 'not_proved')
    const identity = await ours.redeem(code, { ...step, base })
    if (identity === undefined) return ended(res, base, flow, 'not_proved')
    res.setHeader('set-cookie', cookies.ended(base, flow.uid))
    toConsent(req, res, { base, name }, identity)
  }

  /** With a name of its own: nobody can have known it before the proof. */
  function toConsent(req: Request, res: Response, { base, name }: { base: string; name: string }, identity: string): void {
    if (!placeOfProved(name, identity)) return showPage(res, 'unknown')
    const flow = flows.begin(name, () => ({ at: 'consent' as const, identity }))
    if (!flow) throw new OpenMcpError('internal', 'a login has no next step')
    for (const cookie of cookies.made(req, base, flow.uid)) res.appendHeader('set-cookie', cookie)
    sendTo(res, `${base}${loginPath(name)}/consent?state=${flow.state}`)
  }

  async function consent(req: Request, res: Response): Promise<void> {
    const found = stepOf(req, 'consent', queryOf(req).get('state'))
    if (typeof found === 'string') return showPage(res, found)
    const { name, flow, step } = found
    const place = placeOfProved(name, step.identity)
    if (!place) return showPage(res, 'unknown')
    const asked = asking.get(flow) ?? place.whoAsks()
    asking.set(flow, asked)
    const [{ issuer, host, scope }, status] = await Promise.all([asked, place.status()])
    const since = status && new Date(status.sinceMs).toISOString()
    showConsent(res, { server: name, address: place.address, issuer, host, scope, caller: step.identity, since, state: flow.state })
  }

  async function answered(req: Request, res: Response): Promise<void> {
    const form: Readonly<Record<string, unknown>> = req.body ?? {}
    const { state, answer } = form
    const found = stepOf(req, 'consent', typeof state === 'string' ? state : null)
    if (typeof found === 'string') return showPage(res, found)
    const { base, name, flow, step } = found
    const place = placeOfProved(name, step.identity)
    if (!place) return ended(res, base, flow, 'unknown')
    if (answer === 'forget') {
      flows.end(flow)
      await place.forget()
      return ended(res, base, flow, 'forgotten')
    }
    if (answer !== 'yes') {
      flows.end(flow)
      return ended(res, base, flow, 'refused')
    }
    const { identity } = step
    const next = flows.nextState(flow)
    const begun = await place.begin({ redirectUri: `${base}${loginPath(name)}/callback`, state: next })
    if (!flows.next(flow, next, { at: 'issuer', identity, begun })) return showPage(res, 'not_ours')
    showWayTo(res, begun.url)
  }

  async function callback(req: Request, res: Response): Promise<void> {
    const query = queryOf(req)
    const states = query.getAll('state')
    const found = stepOf(req, 'issuer', states.length === 1 ? (states[0] ?? null) : null)
    if (typeof found === 'string') return showPage(res, found)
    const { base, name, flow, step } = found
    // Before anything is asked: it is good once.
    if (!flows.end(flow)) return ended(res, base, flow, 'not_ours')
    // Trust may have been taken back since the proof.
    const place = placeOfProved(name, step.identity)
    if (!place) return ended(res, base, flow, 'unknown')
    res.setHeader('set-cookie', cookies.ended(base, flow.uid))
    try {
      await place.finish(step.begun, query)
    } catch (thrown) {
      if (!query.has('error')) throw thrown
      log.info("a login of a caller's own was refused", { server: name, why: toOpenMcpError(thrown).message })
      return showPage(res, 'refused')
    }
    showPage(res, 'done')
  }

  function ended(res: Response, base: string, flow: Flow<unknown>, word: PageWord): void {
    res.setHeader('set-cookie', cookies.ended(base, flow.uid))
    showPage(res, word)
  }

  /** For programs: who calls is said by a credential, and nothing is begun. */
  const json = (act: (place: OwnPlace<Begun>, who: Asking, res: Response) => Promise<void>): [RequestHandler, RequestHandler] => [
    guard,
    (req, res) => {
      const name = String(req.params['name'])
      const caller = callerOf(req)
      const place = placeOf(name, caller)
      if (!place) return refuse(res, noSuchServer(), { log })
      const authorizationUrl = `${baseNow() ?? ''}${loginPath(name)}/authorize`
      act(place, { name, caller, authorizationUrl }, res.setHeader('cache-control', 'no-store')).catch((thrown: unknown) => refuse(res, thrown, { log }))
    },
  ]
  const status = json(async (place, { name, caller }, res) => {
    const found = await place.status()
    res.json({
      authenticated: found !== undefined,
      server: name,
      user_id: `${caller.id.slice(0, 8)}...`,
      session_created: found ? new Date(found.sinceMs).toISOString() : null,
      last_activity: found?.usedAtMs === undefined ? null : new Date(found.usedAtMs).toISOString(),
    })
  })
  const asked = json(async (place, { name, authorizationUrl }, res) => {
    if (await place.status()) return void res.json({ message: 'There is a login of yours at this server', authenticated: true, server: name })
    // RFC 9470: the token is good, and something else is missing.
    res.status(401).setHeader('www-authenticate', 'Bearer error="insufficient_user_authentication"')
    const message = `The server ${name} wants a login of your own: open ${authorizationUrl} in a browser`
    res.json({ error: 'authentication_required', message, server: name, authorization_url: authorizationUrl })
  })
  const forget = json(async (place, { name }, res) => {
    const was = await place.forget()
    res.json({ message: was ? 'Your login was forgotten' : 'There was no login of yours', authenticated: false, server: name })
  })

  const [mayAsk, told] = asked
  door('/authorize', 'GET', (req, res, next) => {
    if (req.headers.authorization === undefined && req.headers['x-api-key'] === undefined) return void page(begin)(req, res, next)
    mayAsk(req, res, () => told(req, res, next))
  })
  door('/proved', 'GET', page(proved))
  door('/consent', 'GET', page(consent))
  door('/answer', 'POST', express.urlencoded({ extended: false, limit: 4096, parameterLimit: 8, inflate: false }), page(answered))
  door('/callback', 'GET', page(callback))
  door('/status', 'GET', ...status)
  door('/forget', 'POST', ...forget)
  return router
}

interface Found<Begun, At> {
  readonly base: string
  readonly name: string
  readonly flow: Flow<Step<Begun>>
  readonly step: Extract<Step<Begun>, { at: At }>
}

interface Asking {
  readonly name: string
  readonly caller: Caller
  readonly authorizationUrl: string
}

function loginPath(name: string): string {
  return `/oauth/${encodeURIComponent(name)}`
}

function queryOf({ url }: Request): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 || url.length > MOST_QUERY ? '' : url.slice(at + 1))
}

function sendTo(res: Response, location: string): void {
  res.setHeader('cache-control', 'no-store').setHeader('location', location)
  res.status(303).end()
}
