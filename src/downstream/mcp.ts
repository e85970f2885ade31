// `/mcp`: one endpoint for every revision of Streamable HTTP, whatever stands behind it.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { MessageUpstream, Upstream } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { NO_MESSAGES, parsePost, type JsonRpcId, type Post } from '../protocol/message.ts'
import type { OnStream } from '../protocol/session.ts'
import { eraOf, isModernVersion, type Era } from '../protocol/revision.ts'
import { checkJsonBody, readBody, type ReadBody } from './body.ts'
import type { PassThrough } from './pass-through.ts'
import { refuse, refuseByGate, type RefusalHeaders } from './refuse.ts'
import { headerOf } from './request.ts'
import type { LonePost } from './lone-post.ts'
import type { PipeDoor } from './streamable-http.ts'

export interface McpDoorOptions {
  upstream(): Upstream | Promise<Upstream>
  /** The same upstream read into messages: for callers whose answers have to be looked into. */
  messages(): MessageUpstream | Promise<MessageUpstream>
  callerOf(req: IncomingMessage): Caller
  gate: Gate
  refusalHeaders?: RefusalHeaders
  pipe: PipeDoor
  passThrough: PassThrough
  /** Serves the revisions that have sessions without them. */
  sessionless?: ((upstream: MessageUpstream, request: LonePost) => void) | undefined
  onStream?: OnStream
  /** For requests whose body was read before they came here. */
  bodyOf?: ReadBody
  limits: Limits
  log: Log
}

export type Handler = (req: IncomingMessage, res: ServerResponse) => void

export function createMcpDoor(options: McpDoorOptions): Handler {
  const { upstream, messages, callerOf, gate, refusalHeaders, pipe, passThrough, sessionless, onStream, bodyOf = readBody, limits, log } = options
  const eraOfHeader = (req: IncomingMessage): Era => (isModernVersion(headerOf(req, 'mcp-protocol-version')) ? 'modern' : 'legacy')

  /** Runs once the upstream is known; what fails on the way is the answer. */
  function withUpstream<U extends Upstream>(
    res: ServerResponse,
    found: () => U | Promise<U>,
    era: Era,
    id: JsonRpcId | undefined,
    act: (upstream: U) => void,
  ): void {
    const failed = (error: unknown): void => refuse(res, error, { log, era, id })
    const run = (one: U): void => {
      try {
        act(one)
      } catch (error) {
        failed(error)
      }
    }
    const sought = found()
    // Whoever left meanwhile, or was shown out, is not served: its connection will not be heard to close again.
    if (sought instanceof Promise) sought.then((late) => res.destroyed || run(late), failed)
    else run(sought)
  }

  function post(req: IncomingMessage, res: ServerResponse): void {
    const headerEra = eraOfHeader(req)
    try {
      checkJsonBody(req)
    } catch (error) {
      return refuse(res, error, { log, era: headerEra })
    }
    bodyOf(req, limits.bodyBytes, (tooLarge, body) => {
      if (tooLarge) return refuse(res, tooLarge, { log, era: headerEra })
      let parsed: Post
      let caller: Caller
      let refusal: OpenMcpError | undefined
      let era: Era
      let reads: boolean
      try {
        parsed = parsePost(body, limits.depth)
        era = eraOf(parsed, headerOf(req, 'mcp-protocol-version'))
        caller = callerOf(req)
        refusal = gate.refusalOf(caller, parsed)
        reads = gate.readsAnswers(caller, era === 'modern' ? parsed : undefined)
      } catch (error) {
        return refuse(res, error, { log, era: headerEra })
      }
      if (refusal) return refuseByGate(res, refusal, { log, era, post: parsed, headers: refusalHeaders?.(req, refusal) })
      // The one request whose answer has no end of its own.
      if (parsed.messages.some((message) => message.kind === 'request' && message.method === 'subscriptions/listen')) onStream?.(res, undefined)
      const [first] = parsed.messages
      const id = !parsed.batch && first?.kind === 'request' ? first.id : undefined
      const request = { req, res, caller, reads, post: parsed, era }
      if (sessionless && era === 'legacy') return withUpstream(res, messages, era, id, (found) => sessionless(found, request))
      withUpstream<Upstream>(res, reads ? messages : upstream, era, id, (found) =>
        found.kind === 'http' ? passThrough.post(found, request) : pipe.post(found, request),
      )
    })
  }

  function other(req: IncomingMessage, res: ServerResponse, method: 'GET' | 'DELETE'): void {
    // A body that nobody reads would keep the news that the client left from arriving.
    req.resume()
    const era = eraOfHeader(req)
    let caller: Caller
    let refusal: OpenMcpError | undefined
    let reads: boolean
    try {
      caller = callerOf(req)
      refusal = gate.refusalOf(caller, NO_MESSAGES)
      reads = gate.readsAnswers(caller)
    } catch (error) {
      return refuse(res, error, { log, era })
    }
    if (refusal) return refuseByGate(res, refusal, { log, era, post: NO_MESSAGES, headers: refusalHeaders?.(req, refusal) })
    // Without sessions there is nothing to listen to or to end.
    if (sessionless && era === 'legacy') {
      return refuse(res, new OpenMcpError('method_not_allowed', 'there are no sessions here: every POST stands alone'), {
        log,
        era,
        headers: { allow: 'POST' },
      })
    }
    const request = { req, res, caller, reads }
    withUpstream<Upstream>(res, reads ? messages : upstream, era, undefined, (found) => {
      if (found.kind === 'http') return passThrough[method === 'GET' ? 'get' : 'delete'](found, request)
      // Nor has this revision any.
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
