// The middleware before every door, and behind the last one: one act each.
import { randomBytes } from 'node:crypto'
import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express'

import { OpenMcpError } from '../errors.ts'
import { refuse } from '../downstream/refuse.ts'
import type { Log } from '../observe/log.ts'
import type { HostRules } from './hosts.ts'
import { countOf } from './raw-headers.ts'

/** A line per request, for those who debug: method and path, never the query, a header or a body. */
export function accessLog(log: Log): RequestHandler {
  return (req, res, next) => {
    if (log.debugging) {
      const id = randomBytes(6).toString('base64url')
      const beganMs = performance.now()
      res.once('close', () =>
        log.debug('request', { id, method: req.method, path: req.path, status: res.statusCode, ms: Math.round(performance.now() - beganMs) }),
      )
    }
    next()
  }
}

export function checkHost(rules: HostRules, log: Log): RequestHandler {
  return (req, res, next) => {
    // Two of them may be read one way here and another way by whoever stands in front of us (RFC 9112 §3.2).
    if (countOf(req.rawHeaders, 'host') === 1 && rules.allowsHost(req.headers.host, req.socket.localAddress)) return next()
    refuse(res, new OpenMcpError('forbidden_host', 'this Host is not served here', { hint: '--allow-host adds a name', detail: `Host: ${req.headers.host}` }), {
      log,
    })
  }
}

const ALLOWED_HEADERS = 'authorization, content-type, accept, mcp-session-id, mcp-protocol-version, last-event-id, mcp-method, mcp-name, x-api-key, dpop'
const PREFLIGHT_SECONDS = '600'

/** A foreign page is refused; one that the operator named gets the CORS headers it needs, on errors too. */
export function checkOrigin(
  rules: HostRules,
  { exposeHeaders, takenHeaders }: { exposeHeaders: readonly string[]; takenHeaders: () => Iterable<string> },
  log: Log,
): RequestHandler {
  const exposed = ['mcp-session-id', 'mcp-protocol-version', 'www-authenticate', 'dpop-nonce', ...exposeHeaders].join(', ')
  return (req, res, next) => {
    const { origin } = req.headers
    if (origin === undefined) return next()
    if (!rules.allowsOrigin(origin, req.socket.localAddress)) {
      return refuse(
        res,
        new OpenMcpError('forbidden_origin', 'this Origin may not call here', { hint: '--allow-origin adds one', detail: `Origin: ${origin}` }),
        { log },
      )
    }
    if (rules.grantsOrigin(origin)) {
      res.setHeader('access-control-allow-origin', origin)
      res.setHeader('access-control-expose-headers', exposed)
      res.setHeader('vary', 'Origin')
    }
    // CORS answers before authentication: a preflight carries no token.
    if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) return next()
    const asked = (req.headers['access-control-request-headers'] ?? '').split(',').map((name) => name.trim().toLowerCase())
    const params = asked.filter((name) => /^mcp-param-[\w-]{1,64}$/.test(name))
    res.setHeader('access-control-allow-methods', 'GET, POST, DELETE, OPTIONS')
    res.setHeader('access-control-allow-headers', [ALLOWED_HEADERS, ...takenHeaders(), ...params].join(', '))
    res.setHeader('access-control-max-age', PREFLIGHT_SECONDS)
    res.writeHead(204).end()
  }
}

export function onlyMethod(method: 'GET' | 'POST', handler: RequestHandler, log: Log): RequestHandler {
  return (req, res, next) => {
    if (req.method === method) return void handler(req, res, next)
    refuse(res, new OpenMcpError('method_not_allowed', `only ${method} is a method of this endpoint`), { log, headers: { allow: method } })
  }
}

/** What is behind a path. Without a name it is the server at the root, else the one of this name, if there is one. */
export type Door = (name: string | undefined, req: Request, res: Response) => void

export function behind(door: Door): RequestHandler {
  return (req, res) => {
    const { name } = req.params
    door(typeof name === 'string' ? name : undefined, req, res)
  }
}

/** Whether a browser sends it for a page of another site or port that it does not name: an Origin was looked at before (Fetch Metadata §2.1). */
export function isFromElsewhere({ headers }: Request): boolean {
  const site = headers['sec-fetch-site']
  return headers.origin === undefined && site !== undefined && site !== 'none' && site !== 'same-origin'
}

/** Whether it shows one, good or not. */
export function showsCredential({ headers }: Request): boolean {
  return headers.authorization !== undefined || headers['x-api-key'] !== undefined
}

export function lastResort(log: Log): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    if (res.headersSent) return void res.destroy()
    // What the router cannot decode is the client's mistake, not ours.
    const known = error instanceof URIError ? new OpenMcpError('invalid_request', 'the path cannot be decoded') : error
    refuse(res, known, { log })
  }
}
