// `/mcp`: one endpoint for every revision of Streamable HTTP, whatever stands behind it.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Upstream } from '../protocol/exchange.ts'
import type { Limits } from '../protocol/limits.ts'
import { parsePost, type JsonRpcId, type Post } from '../protocol/message.ts'
import { eraOf, isModernVersion, type Era } from '../protocol/revision.ts'
import { checkJsonBody, readBody } from './body.ts'
import type { PassThrough } from './pass-through.ts'
import { refuse } from './refuse.ts'
import { headerOf } from './request.ts'
import type { PipeDoor } from './streamable-http.ts'

export interface McpDoorOptions {
  upstream(): Upstream | Promise<Upstream>
  callerOf(req: IncomingMessage): string
  pipe: PipeDoor
  passThrough: PassThrough
  limits: Limits
  log: Log
}

export type Handler = (req: IncomingMessage, res: ServerResponse) => void

export function createMcpDoor({ upstream, callerOf, pipe, passThrough, limits, log }: McpDoorOptions): Handler {
  const eraOfHeader = (req: IncomingMessage): Era => (isModernVersion(headerOf(req, 'mcp-protocol-version')) ? 'modern' : 'legacy')

  /** Runs once the upstream is known; what fails on the way is the answer. */
  function withUpstream(res: ServerResponse, era: Era, id: JsonRpcId | undefined, act: (upstream: Upstream) => void): void {
    const failed = (error: unknown): void => refuse(res, error, { log, era, id })
    const run = (found: Upstream): void => {
      try {
        act(found)
      } catch (error) {
        failed(error)
      }
    }
    const found = upstream()
    if (found instanceof Promise) found.then(run, failed)
    else run(found)
  }

  function post(req: IncomingMessage, res: ServerResponse): void {
    const headerEra = eraOfHeader(req)
    try {
      checkJsonBody(req)
    } catch (error) {
      return refuse(res, error, { log, era: headerEra })
    }
    readBody(req, limits.bodyBytes, (tooLarge, body) => {
      if (tooLarge) return refuse(res, tooLarge, { log, era: headerEra })
      let parsed: Post
      try {
        parsed = parsePost(body, limits.depth)
      } catch (error) {
        return refuse(res, error, { log, era: headerEra })
      }
      const era = eraOf(parsed, headerOf(req, 'mcp-protocol-version'))
      const [first] = parsed.messages
      const id = !parsed.batch && first?.kind === 'request' ? first.id : undefined
      const request = { req, res, caller: callerOf(req), post: parsed, era }
      withUpstream(res, era, id, (found) => (found.kind === 'http' ? passThrough.post(found, request) : pipe.post(found, request)))
    })
  }

  function other(req: IncomingMessage, res: ServerResponse, method: 'GET' | 'DELETE'): void {
    // A body that nobody reads would keep the news that the client left from arriving.
    req.resume()
    const era = eraOfHeader(req)
    const request = { req, res, caller: callerOf(req) }
    withUpstream(res, era, undefined, (found) => {
      if (found.kind === 'http') return passThrough[method === 'GET' ? 'get' : 'delete'](found, request)
      // Without sessions there is nothing to listen to or to end.
      if (era === 'modern') {
        return refuse(res, new OpenMcpError('method_not_allowed', 'the 2026-07-28 revision has POST alone'), { log, era, headers: { allow: 'POST' } })
      }
      return method === 'GET' ? pipe.get(request) : pipe.delete(request)
    })
  }

  return (req, res) => {
    if (req.method === 'POST') return post(req, res)
    if (req.method === 'GET' || req.method === 'DELETE') return other(req, res, req.method)
    refuse(res, new OpenMcpError('method_not_allowed', `${req.method} is not a method of this endpoint`), {
      log,
      era: eraOfHeader(req),
      headers: { allow: 'POST, GET, DELETE' },
    })
  }
}
