// The security order, read downwards: nothing below a line runs before it.
import express, { type Express, type RequestHandler, type Router } from 'express'
import helmet from 'helmet'

import { OpenMcpError } from '../errors.ts'
import { refuse } from '../downstream/refuse.ts'
import type { Log } from '../observe/log.ts'
import { accessLog, behind, checkHost, checkOrigin, lastResort, onlyMethod, showsCredential, type Door } from './doors.ts'
import { counts, health, readiness, status, type Status } from './health.ts'
import type { HostRules } from './hosts.ts'
import { keyPage } from './key-page.ts'
import { toOwnLogin } from './own-logins-later.ts'
import { createPlainRoutes, type OpenApiDoors } from './plain-routes.ts'

export interface AppOptions {
  rules: HostRules
  tls: boolean
  exposeHeaders: readonly string[]
  /** Headers beyond those of MCP that servers are told of. */
  takenHeaders?: (() => Iterable<string>) | undefined
  /** `/x` or nothing: every path is served below it. */
  pathPrefix: string
  status: Status
  /** Undefined: nobody is asked who they are. */
  security: { issuer: Router; keys: Router; guard: RequestHandler; ownLogins: RequestHandler } | undefined
  /** Undefined: nobody is heard by TSP. */
  tsp: RequestHandler | undefined
  mcp: Door
  sse: Door
  messages: Door
  /** Undefined: tools are served by MCP alone. */
  openapi?: OpenApiDoors | undefined
  log: Log
}

export function createApp({
  rules,
  tls,
  exposeHeaders,
  takenHeaders = () => [],
  pathPrefix,
  status: state,
  security,
  tsp,
  mcp,
  sse,
  messages,
  openapi,
  log,
}: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', false).set('case sensitive routing', true)
  const at = (...paths: string[]): string[] => paths.map((path) => pathPrefix + path)

  app.use(accessLog(log))
  app.use(helmet({ ...API_DOOR, strictTransportSecurity: tls }))
  app.use(checkHost(rules, log)) //                     403
  app.use(checkOrigin(rules, { exposeHeaders, takenHeaders }, log)) // 403; preflights end here

  // Open doors.
  app.get(at('/healthz', '/health'), health())
  app.get(at('/readyz'), readiness(state))
  app.get(at('/status'), security ? toCallers(security.guard, status(state), counts(state)) : status(state))

  // Guarded doors: none of them is reached without a caller (401).
  const guarded = (paths: string[], door: RequestHandler): void => void app.all(paths, security ? [security.guard, door] : door)
  guarded(at('/mcp', ...(security ? ['/with-key/mcp'] : [])), behind(mcp))
  guarded(at('/sse'), onlyMethod('GET', behind(sse), log))
  guarded(at('/messages', '/message'), onlyMethod('POST', behind(messages), log))
  // The same of each named server. Whether there is one of that name is told to callers alone.
  guarded(at('/servers/:name/mcp'), behind(mcp))
  guarded(at('/servers/:name/sse'), onlyMethod('GET', behind(sse), log))
  guarded(at('/servers/:name/messages', '/servers/:name/message'), onlyMethod('POST', behind(messages), log))

  const plain = openapi && createPlainRoutes(openapi, security?.guard, log)
  plain?.own(app, at)

  // Open, with their own rules: whoever asks proves themselves. Behind the others, because a call would look at each of their doors.
  if (tsp) app.all(at('/tsp'), tsp) //         by a seal
  if (security) {
    app.get(at('/keys', '/keys/:file'), keyPage())
    app.all(at(...KEY_FLOW), security.keys) // by a signature
    app.all(at('/oauth/:name/:step'), security.ownLogins) // by a credential, or in a browser
    app.use(security.issuer) //                by OAuth
    app.get(at('/:name/login'), toOwnLogin) //  to one of those
  }

  // Last, because any name may be a server's or a tool's, as long as nothing else is there.
  plain?.asMcpo(app, at)

  const hint = `MCP is served at /mcp and /sse${security ? ', and people get keys at /keys' : ''}`
  app.use((_req, res) => refuse(res, new OpenMcpError('not_found', 'there is nothing at this path', { hint }), { log }))
  app.use(lastResort(log))
  return app
}

/** Named here, because a router that is passed through costs a turn of the event loop. */
const KEY_FLOW = ['/challenge', '/gen-api-key', '/get-api-key', '/rotate-api-key', '/revoke-api-key', '/reverse-lookup']

/**
 * An API speaks to programs: nothing is framed, loaded or referred from here. helmet's headers for pages with content are
 * left out: each header costs half a microsecond on every answer, and there is no page.
 */
const API_DOOR = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  referrerPolicy: { policy: 'no-referrer' },
  xFrameOptions: { action: 'deny' },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
} as const

/** The whole of it for whoever shows a credential that is good, and for nobody else. */
function toCallers(guard: RequestHandler, whole: RequestHandler, part: RequestHandler): RequestHandler {
  return (req, res, next) => {
    if (!showsCredential(req)) return void part(req, res, next)
    guard(req, res, () => void whole(req, res, next))
  }
}
