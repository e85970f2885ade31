// The doors of the issuer: everybody may knock, and each has its own rules. Those of a login in a browser are in `browser/doors.ts`.
import express, { Router, type ErrorRequestHandler, type RequestHandler } from 'express'

import type { NodeKeys } from '../identity/shapes.ts'
import type { Log } from '../observe/log.ts'
import { isServerName, serverPath } from '../protocol/server-path.ts'
import type { Places } from '../tokens/places.ts'
import type { BrowserLogin } from './browser/browser-login.ts'
import { formEndpoint, type Answer, type FormRequest } from './endpoint.ts'
import { LOGIN_GRANTS } from './grants.ts'
import { issuerMetadata, nodeDocument, resourceMetadata } from './metadata.ts'
import { refusal, type Refusal } from './refusal.ts'
import type { Strangers } from './strangers.ts'

type Endpoint = (request: FormRequest) => Promise<Answer | Refusal>

export interface IssuerOptions {
  token: Endpoint
  browserLogin: BrowserLogin
  introspect: Endpoint
  revoke: Endpoint
  keys: NodeKeys
  places: Places
  dpopRequired: boolean
  pathPrefix: string
  strangers: Pick<Strangers, 'unproved'>
  log: Log
}

/** Keys are published before they sign, for longer than anybody keeps this. */
const PUBLISHED_SECONDS = 300
const WELL_KNOWN = '/.well-known'
const FORM = { extended: false, limit: 16 * 1024, parameterLimit: 32, inflate: false } as const

export function createIssuer({ token, browserLogin, introspect, revoke, keys, places, dpopRequired, pathPrefix, strangers, log }: IssuerOptions): Router {
  const router = Router({ caseSensitive: true })
  const form = express.urlencoded(FORM)
  const post = (path: string, endpoint: Endpoint): void => {
    router.all(`${pathPrefix}${path}`, only('POST'), form, formEndpoint(path, { log, strangers }, endpoint))
  }
  const get = (paths: readonly string[], body: (base: string, name: string) => object | undefined | Promise<object>): void => {
    router.all([...paths], only('GET', 'HEAD'), (req, res, next) => {
      const asked = body(places.baseOf(req), String(req.params['name']))
      if (!asked) return next()
      Promise.resolve(asked).then((found) => {
        res.setHeader('cache-control', `public, max-age=${PUBLISHED_SECONDS}`)
        res.json(found)
      }, next)
    })
  }
  // RFC 8414 §3.1 and RFC 9728 §3.1 put the path behind the well-known name; some clients put it in front.
  const known = (name: string, path = ''): string[] => [...new Set([`${WELL_KNOWN}/${name}${pathPrefix}${path}`, `${pathPrefix}${WELL_KNOWN}/${name}${path}`])]

  for (const door of ['', '/mcp', '/sse']) {
    get(known('oauth-protected-resource', door), (base) => resourceMetadata(base, `${base}${door}`, keys, dpopRequired))
  }
  for (const door of ['/mcp', '/sse']) {
    // Of every name there could be: whether there is one is told to callers alone.
    get(known('oauth-protected-resource', `/servers/:name${door}`), (base, name) =>
      isServerName(name) ? resourceMetadata(base, `${base}${serverPath(name)}${door}`, keys, dpopRequired) : undefined,
    )
  }
  get([...known('oauth-authorization-server'), ...known('openid-configuration')], issuerMetadata)
  get([pathPrefix === '' ? `${WELL_KNOWN}/did.json` : `${pathPrefix}/did.json`], (base) => nodeDocument(base, keys))
  get([`${pathPrefix}/jwks`], () => ({ keys: keys.published() }))
  post('/token', (request) => (LOGIN_GRANTS.includes(request.form.get('grant_type') ?? '') ? browserLogin.token(request) : token(request)))
  post('/introspect', introspect)
  post('/revoke', revoke)
  browserLogin.addTo(router)
  router.use(unreadable(log))
  return router
}

function only(...methods: readonly string[]): RequestHandler {
  return (req, res, next) => {
    if (methods.includes(req.method)) return next()
    res
      .status(405)
      .setHeader('allow', methods.join(', '))
      .json(describe(refusal('invalid_request', `only ${methods[0]} is a method of this endpoint`)))
  }
}

/** A form that is too large, compressed or not to be decoded: the client's mistake, told with the parser's status. */
function unreadable(log: Log): ErrorRequestHandler {
  return (error: unknown, _req, res, next) => {
    const status = error instanceof Error && 'status' in error ? Number(error.status) : 500
    if (!(status >= 400 && status < 500) || res.headersSent) return next(error)
    log.debug('refused', { endpoint: 'form', status, why: error instanceof Error ? error.message : '' })
    res.status(status).setHeader('cache-control', 'no-store')
    res.json(describe(refusal('invalid_request', 'the form is too large or cannot be read')))
  }
}

function describe({ error, description }: Refusal): object {
  return { error, error_description: description }
}
