// Tools of one server as plain HTTP: what may be called, by whom, and each call once.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { checkJsonBody, readBody } from '../downstream/body.ts'
import type { EventWriters } from '../downstream/event-writer.ts'
import { refuse, refusesAs, type Refusal, type RefusalHeaders } from '../downstream/refuse.ts'
import { namedHeadersOf, type NamedHeaders } from '../downstream/request.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { MessageUpstream } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { alone, parseValue, type JsonObject, type Post } from '../protocol/message.ts'
import type { Sessions } from '../protocol/session.ts'
import { callOfPrompt, callOfResource, callOfTemplate, callOfTool, type Call } from './calls.ts'
import type { Described } from './operations.ts'
import { LIST_METHODS, type ListKind } from './lists.ts'
import { createOwners, type RestSession } from './owners.ts'
import { refusalOf } from './refusal.ts'
import { nameIn } from './segment.ts'
import { createSending, write } from './sending.ts'

/** What is served beside tools. */
export interface OpenApiOptions {
  resources?: boolean
  prompts?: boolean
}

export interface ToolsDoor {
  readonly server: string
  /** `POST …/tools/SEGMENT` */
  call(req: IncomingMessage, res: ServerResponse, segment: string): void
  /** `GET …/prompts/SEGMENT`, `GET …/resources/SEGMENT` */
  get(req: IncomingMessage, res: ServerResponse, kind: 'prompts' | 'resources', segment: string): void
  /** Whether there is such a tool for this caller, as far as its server can be asked. */
  isTool(req: IncomingMessage, segment: string): Promise<boolean>
  /** What this caller may use, in the order in which the server lists it. */
  describe(req: IncomingMessage): Promise<Described>
}

export interface ToolsDoorOptions {
  server: string
  serves: OpenApiOptions
  upstream(): MessageUpstream | Promise<MessageUpstream>
  sessions: Sessions<RestSession>
  callerOf(req: IncomingMessage): Caller
  gate: Gate
  refusalHeaders?: RefusalHeaders | undefined
  forwards: NamedHeaders
  writers: EventWriters
  limits: Limits
  log: Log
  now: () => number
}

export function createToolsDoor(options: ToolsDoorOptions): ToolsDoor {
  const { server, serves, callerOf, gate, refusalHeaders, forwards, limits, log } = options
  const sessionOf = createOwners(options)
  const send = createSending(options)

  function call(req: IncomingMessage, res: ServerResponse, segment: string): void {
    const failed = failing(req, res)
    try {
      // An empty form is one, too.
      if (hasBody(req) || req.headers['content-type'] !== undefined) checkJsonBody(req)
    } catch (error) {
      return failed(error)
    }
    readBody(req, limits.bodyBytes, (tooLarge, body) => {
      if (tooLarge) return failed(tooLarge)
      callWith(req, res, nameIn(segment), body).catch(failed)
    })
  }

  async function isTool(req: IncomingMessage, segment: string): Promise<boolean> {
    const name = nameIn(segment)
    const caller = callerOf(req)
    if (gate.refusalOf(caller, postOf(LIST_METHODS.tools)) ?? gate.refusalOf(caller, postOf('tools/call', { name }))) return false
    const headers = namedHeadersOf(req, forwards)
    const { session, release } = await sessionOf(caller, headers)
    try {
      return (await session.lists.named('tools', name, headers)) !== undefined
    } finally {
      release()
    }
  }

  async function callWith(req: IncomingMessage, res: ServerResponse, name: string, body: Buffer): Promise<void> {
    const given = body.length === 0 ? {} : parseValue(body, limits.depth)
    const caller = callerOf(req)
    mustPass(caller, postOf(LIST_METHODS.tools))
    // Before anything is opened or looked up for it: what this caller may not use is as if it were not there.
    if (gate.refusalOf(caller, postOf('tools/call', { name }))) throw nothingOf('tools')
    await serve(req, res, caller, async (named) => {
      const tool = await named('tools', name)
      if (!tool) throw nothingOf('tools')
      return callOfTool(tool, name, given, server)
    })
  }

  function get(req: IncomingMessage, res: ServerResponse, kind: 'prompts' | 'resources', segment: string): void {
    // A body that nobody reads would keep the news that the client left from arriving.
    req.resume()
    getNamed(req, res, kind, nameIn(segment)).catch(failing(req, res))
  }

  async function getNamed(req: IncomingMessage, res: ServerResponse, kind: 'prompts' | 'resources', name: string): Promise<void> {
    if (!serves[kind]) throw nothingOf(kind)
    const caller = callerOf(req)
    mustPass(caller, postOf(LIST_METHODS[kind]))
    await serve(req, res, caller, async (named) => {
      const listed = await named(kind, name)
      if (kind === 'prompts' && listed) return callOfPrompt(listed, name, queryOf(req), server)
      if (listed) return callOfResource(name)
      if (kind === 'resources' && (await named('resourceTemplates', name))) return callOfTemplate(name, queryOf(req), server)
      throw nothingOf(kind)
    })
  }

  /** One call of what is listed, when the gate lets it pass. */
  async function serve(
    req: IncomingMessage,
    res: ServerResponse,
    caller: Caller,
    prepare: (named: (kind: ListKind, name: string) => Promise<JsonObject | undefined>) => Promise<Call | Refusal>,
  ): Promise<void> {
    const headers = namedHeadersOf(req, forwards)
    const { session, release } = await sessionOf(caller, headers)
    res.once('close', release)
    // Whoever left meanwhile will not be heard to close again.
    if (res.destroyed) return release()
    const prepared = await prepare((kind, name) => session.lists.named(kind, name, headers))
    if ('status' in prepared) return write(res, prepared)
    mustPass(caller, postOf(prepared.method, prepared.params))
    if (!res.destroyed) send({ req, res, caller, headers, session }, prepared)
  }

  function mustPass(caller: Caller, post: Post): void {
    const refusal = gate.refusalOf(caller, post)
    if (refusal) throw refusal
  }

  function failing(req: IncomingMessage, res: ServerResponse): (thrown: unknown) => void {
    refusesAs(res, (error) => refusalOf(error, { server }))
    return (thrown) => {
      const headers = thrown instanceof OpenMcpError ? refusalHeaders?.(req, thrown) : undefined
      refuse(res, thrown, { log, ...(headers && { headers }) })
    }
  }

  async function describe(req: IncomingMessage): Promise<Described> {
    const caller = callerOf(req)
    const headers = namedHeadersOf(req, forwards)
    mustPass(caller, postOf(LIST_METHODS.tools))
    const { session, release } = await sessionOf(caller, headers)
    try {
      const tools = await session.lists.all('tools', headers)
      const isSeen = ({ name }: JsonObject): boolean => gate.refusalOf(caller, postOf('tools/call', { name })) === undefined
      const others = async (kind: ListKind, isServed = false): Promise<readonly JsonObject[]> =>
        isServed && gate.refusalOf(caller, postOf(LIST_METHODS[kind])) === undefined ? session.lists.all(kind, headers) : []
      return {
        server,
        about: session.about,
        tools: gate.readsAnswers(caller) ? tools.filter(isSeen) : tools,
        prompts: await others('prompts', serves.prompts),
        resources: await others('resources', serves.resources),
        resourceTemplates: await others('resourceTemplates', serves.resources),
      }
    } finally {
      release()
    }
  }

  return { server, call, get, isTool, describe }
}

function nothingOf(kind: 'tools' | 'prompts' | 'resources'): OpenMcpError {
  return new OpenMcpError('not_found', `there is no such ${kind.slice(0, -1)} here`, { hint: 'GET openapi.json lists what there is' })
}

/** What the gate is asked about. */
function postOf(method: string, params: JsonObject = {}): Post {
  return alone({ kind: 'request', id: 0, method, body: { jsonrpc: '2.0', id: 0, method, params } })
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const from = url.indexOf('?')
  return new URLSearchParams(from < 0 ? '' : url.slice(from + 1))
}
