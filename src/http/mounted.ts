// Our doors in somebody else's server: the same security order as app.ts, read downwards, for one server and below one path.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import express, { type RequestHandler } from 'express'

import { refuse } from '../downstream/refuse.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { accessLog, checkHost, checkOrigin, lastResort, onlyMethod } from './doors.ts'
import { createHostRules, type HostRules } from './hosts.ts'

type Listener = (req: IncomingMessage, res: ServerResponse) => void

export interface MountedOptions {
  /** `/x` or nothing: what of the path is left when a request comes here begins with it. */
  path: string
  /** Beside the names of this machine. */
  allowHosts: readonly string[]
  allowOrigins: readonly string[]
  /** Fails for whoever may not come in. */
  guard(req: IncomingMessage, res: ServerResponse): Promise<void>
  mcp: Listener
  /** `messagesPath` is seen from outside, whatever a router before us has taken off. */
  sse(req: IncomingMessage, res: ServerResponse, messagesPath: string): void
  messages: Listener
  log: Log
}

export function createMounted({ path, allowHosts, allowOrigins, guard, mcp, sse, messages, log }: MountedOptions): Listener {
  const app = express()
  const byPort = byPortOf({ allowHosts, allowOrigins })
  app.disable('x-powered-by').disable('etag').set('query parser', false).set('case sensitive routing', true)

  app.use(accessLog(log))
  app.use(byPort((rules) => checkHost(rules, log))) //        403
  app.use(byPort((rules) => checkOrigin(rules, { exposeHeaders: [], takenHeaders: () => [] }, log))) //  403; preflights end here
  app.use(unread(log)) //                                     500
  app.use(async (req, res, next) => {
    await guard(req, res) // 401
    // Whoever has left meanwhile is not served.
    if (!res.destroyed) next()
  })
  app.all(`${path}/mcp`, mcp)
  const openStream: RequestHandler = (req, res) => sse(req, res, pathOf(req.originalUrl).replace(/\/sse\/?$/, '/messages'))
  app.all(`${path}/sse`, onlyMethod('GET', openStream, log))
  app.all([`${path}/messages`, `${path}/message`], onlyMethod('POST', messages, log))
  app.use((_req, res) => refuse(res, new OpenMcpError('not_found', 'there is nothing at this path', { hint: `MCP is served at ${path}/mcp` }), { log }))
  app.use(lastResort(log))
  return (req, res) => app(req, res)
}

/** Where we listen is known when somebody comes: to each port its own names. */
function byPortOf(names: Pick<MountedOptions, 'allowHosts' | 'allowOrigins'>): (make: (rules: HostRules) => RequestHandler) => RequestHandler {
  return (make) => {
    const known = new Map<string, RequestHandler>()
    return (req, res, next) => {
      const { localPort: port = 0 } = req.socket
      const tls = req.socket instanceof TLSSocket
      const key = `${tls} ${port}`
      // Bound to every address: the one that a connection came in on is ours, and who may come from elsewhere is for the guard.
      const handler = known.get(key) ?? make(createHostRules({ host: '::', port: () => port, tls, ...names }))
      known.set(key, handler)
      void handler(req, res, next)
    }
  }
}

/** A body that somebody has taken would never arrive here. */
function unread(log: Log): RequestHandler {
  return (req, res, next) => {
    if (!req.readableDidRead) return next()
    refuse(res, new OpenMcpError('internal', 'the body was read before it came here', { hint: 'mount this before express.json() and its like' }), { log })
  }
}

function pathOf(url: string): string {
  return url.replace(/\?.*$/s, '')
}
