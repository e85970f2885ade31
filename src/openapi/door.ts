// Tools of one server as plain HTTP: what may be called, by whom, and each call once.
import type { IncomingMessage, ServerResponse } from 'node:http'

import { checkJsonBody, readBody } from '../downstream/body.ts'
import type { EventWriters } from '../downstream/event-writer.ts'
import { writeJson } from '../downstream/post-reply.ts'
import { refuse, refusesAs, type Refusal, type RefusalHeaders } from '../downstream/refuse.ts'
import { namedHeadersOf, type NamedHeaders } from '../downstream/request.ts'
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { ForwardedHeaders, MessageUpstream } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import type { Limits } from '../protocol/limits.ts'
import { isObject, parseValue, type JsonObject, type Post } from '../protocol/message.ts'
import type { Sessions } from '../protocol/session.ts'
import { createCheck, type Check } from './check.ts'
import type { Described } from './document.ts'
import { createOwners, type Held } from './owners.ts'
import { refusalOf, refusalOfServer, refusalOfTool } from './refusal.ts'
import { bodyOfResult, wordsOfResult } from './result.ts'
import { schemaAt } from './schema.ts'
import { nameIn } from './segment.ts'
import { beyondHttp, type ListKind, type ToolSession } from './session.ts'

/** What is served beside tools. */
export interface OpenApiOptions {
  resources?: boolean
  prompts?: boolean
}

export interface ToolsDoor {
  /** `POST …/tools/SEGMENT` */
  call(req: IncomingMessage, res: ServerResponse, segment: string): void
  /** `GET …/prompts/SEGMENT`, `GET …/resources/SEGMENT` */
  get(req: IncomingMessage, res: ServerResponse, kind: 'prompts' | 'resources', segment: string): void
  /** What this caller may use, in the order in which the server lists it. */
  describe(req: IncomingMessage): Promise<Described>
}

export interface ToolsDoorOptions {
  server: string
  serves: OpenApiOptions
  upstream(): MessageUpstream | Promise<MessageUpstream>
  sessions: Sessions<ToolSession>
  callerOf(req: IncomingMessage): Caller
  gate: Gate
  refusalHeaders?: RefusalHeaders | undefined
  forwards: NamedHeaders
  writers: EventWriters
  limits: Limits
  log: Log
  now: () => number
}

/** How soon after a look an unknown name is worth another. */
const LOOK_AGAIN_MS = 10_000

export function createToolsDoor(options: ToolsDoorOptions): ToolsDoor {
  const { server, serves, callerOf, gate, refusalHeaders, forwards, writers, limits, log, now } = options
  const sessionOf = createOwners(options)
  const checks = new WeakMap<JsonObject, Check>()
  const looked = new WeakMap<ToolSession, number>()
  const indexes = new WeakMap<readonly JsonObject[], ReadonlyMap<string, JsonObject>>()

  function call(req: IncomingMessage, res: ServerResponse, segment: string): void {
    const failed = failing(req, res)
    try {
      if (hasBody(req)) checkJsonBody(req)
    } catch (error) {
      return failed(error)
    }
    readBody(req, limits.bodyBytes, (tooLarge, body) => {
      if (tooLarge) return failed(tooLarge)
      callWith(req, res, nameIn(segment), body).catch(failed)
    })
  }

  async function callWith(req: IncomingMessage, res: ServerResponse, name: string, body: Buffer): Promise<void> {
    const given = body.length === 0 ? {} : parseValue(body, limits.depth)
    await serve(req, res, 'tools', name, 'name', (tool) => {
      const errors = checkOf(tool)(given)
      if (errors !== 'unchecked' && errors.length > 0)
        return refusalOf(new OpenMcpError('arguments_invalid', 'the arguments do not fit the schema of the tool'), { server, errors })
      if (!isObject(given)) return refusalOf(new OpenMcpError('arguments_invalid', 'the arguments are a JSON object'), { server, errors: [] })
      if (isObject(tool['execution']) && tool['execution']['taskSupport'] === 'required') return refusalOf(beyondHttp('a task'), { server })
      const promisesStructure = isObject(tool['outputSchema'])
      return {
        method: 'tools/call',
        params: { name, arguments: given },
        body: (result, isRaw) => {
          if (isRaw) return { status: 200, text: JSON.stringify(result) }
          return result['isError'] === true ? refusalOfTool(wordsOfResult(result), server) : { status: 200, text: bodyOfResult(result, promisesStructure) }
        },
      }
    })
  }

  function get(req: IncomingMessage, res: ServerResponse, kind: 'prompts' | 'resources', segment: string): void {
    // A body that nobody reads would keep the news that the client left from arriving.
    req.resume()
    const name = nameIn(segment)
    const body = (result: JsonObject): Refusal => ({ status: 200, text: JSON.stringify(result) })
    const asking: (listed: JsonObject) => Call =
      kind === 'resources'
        ? () => ({ method: 'resources/read', params: { uri: name }, body })
        : () => ({ method: 'prompts/get', params: { name, arguments: Object.fromEntries(queryOf(req)) }, body })
    serve(req, res, kind, name, kind === 'resources' ? 'uri' : 'name', asking).catch(failing(req, res))
  }

  /** One call of what is listed by this name, when the gate lets it pass. */
  async function serve(
    req: IncomingMessage,
    res: ServerResponse,
    kind: ListKind,
    name: string,
    by: string,
    prepare: (listed: JsonObject) => Call | Refusal,
  ): Promise<void> {
    const caller = callerOf(req)
    const headers = namedHeadersOf(req, forwards)
    const unknown = (): OpenMcpError =>
      new OpenMcpError('not_found', `there is no such ${kind.slice(0, -1)} here`, { hint: 'GET openapi.json lists what there is' })
    if (kind !== 'tools' && !serves[kind]) throw unknown()
    // Before anything is opened or looked up for it: what this caller may not use is as if it were not there.
    mustPass(caller, postOf(`${kind}/list`))
    if (kind === 'tools' && gate.refusalOf(caller, postOf('tools/call', { name }))) throw unknown()
    const held = await sessionOf(caller, headers)
    res.once('close', held.release)
    // Whoever left meanwhile will not be heard to close again.
    if (res.destroyed) return held.release()
    const listed = await listedAs(held, kind, headers, by, name)
    if (!listed) throw unknown()
    const asked = prepare(listed)
    if ('status' in asked) return write(res, asked)
    mustPass(caller, postOf(asked.method, asked.params))
    if (res.destroyed) return
    send(req, res, held.session, caller, headers, asked)
  }

  function mustPass(caller: Caller, post: Post): void {
    const refusal = gate.refusalOf(caller, post)
    if (refusal) throw refusal
  }

  async function listedAs({ session }: Held, kind: ListKind, headers: ForwardedHeaders, by: string, name: string): Promise<JsonObject | undefined> {
    const found = byName(await session.list(kind, headers), by).get(name)
    if (found || now() - (looked.get(session) ?? -Infinity) < LOOK_AGAIN_MS) return found
    looked.set(session, now())
    session.lookAgain(kind)
    return byName(await session.list(kind, headers), by).get(name)
  }

  /** Of two of one name the first is meant. */
  function byName(list: readonly JsonObject[], by: string): ReadonlyMap<string, JsonObject> {
    const known = indexes.get(list)
    if (known) return known
    const index = new Map<string, JsonObject>()
    for (const one of list) {
      const name = one[by]
      if (typeof name === 'string' && !index.has(name)) index.set(name, one)
    }
    indexes.set(list, index)
    return index
  }

  function send(
    req: IncomingMessage,
    res: ServerResponse,
    session: ToolSession,
    caller: Caller,
    headers: ForwardedHeaders,
    { method, params, body }: Call,
  ): void {
    const accept = req.headers.accept ?? ''
    const isRaw = /profile="?mcp\b/.test(accept)
    const stream = accept.includes('text/event-stream') ? writers.open(res, ': open\n\n') : undefined
    const event = (name: string, text: string): void => stream?.write(`event: ${name}\ndata: ${text}\n\n`)
    const end = (answer: Refusal): void => {
      res.off('close', takeBack)
      if (!stream) return write(res, answer)
      if (answer.status === 200) event('result', answer.text)
      else event('error', `{"status":${answer.status},${answer.text.slice(1)}`)
      stream.end()
    }
    const takeBack = session.ask(method, stream ? { ...params, _meta: { progressToken: `openmcp-progress:${++lastToken}` } } : params, {
      headers,
      ...(gate.readsAnswers(caller) && { seen: (post, reply) => gate.filtered(caller, post, reply) }),
      result: (result) => end(needsClient(result) ?? body(result, isRaw)),
      error: (code, message, data) => end(refusalOfServer(code, message, data, server)),
      failed(error) {
        log.debug('a call failed', { code: error.code, why: error.message, detail: error.detail })
        end(refusalOf(error, { server }))
      },
      note(said, company) {
        const { progressToken: _token, ...told } = company
        if (said === 'notifications/progress') event('progress', JSON.stringify(told))
        if (said === 'notifications/message') event('log', JSON.stringify(told))
      },
    })
    // A client that is gone wants no result any more.
    res.once('close', takeBack)
  }

  let lastToken = 0

  function needsClient({ resultType }: JsonObject): Refusal | undefined {
    if (resultType !== 'input_required') return undefined
    return refusalOf(beyondHttp('more'), { server })
  }

  function checkOf(tool: JsonObject): Check {
    const check = checks.get(tool) ?? createCheck(schemaAt('#', tool['inputSchema']))
    checks.set(tool, check)
    return check
  }

  function failing(req: IncomingMessage, res: ServerResponse): (thrown: unknown) => void {
    refusesAs(res, (error) => refusalOf(error, { server }))
    return (thrown) => {
      const headers = thrown instanceof OpenMcpError ? refusalHeaders?.(req, thrown) : undefined
      refuse(res, thrown, { log, ...(headers && { headers }) })
    }
  }

  return {
    call,
    get,
    async describe(req) {
      const caller = callerOf(req)
      const headers = namedHeadersOf(req, forwards)
      mustPass(caller, postOf('tools/list'))
      const { session, release } = await sessionOf(caller, headers)
      try {
        const tools = [...byName(await session.list('tools', headers), 'name').values()]
        const isSeen = ({ name }: JsonObject): boolean => gate.refusalOf(caller, postOf('tools/call', { name })) === undefined
        const others = async (kind: 'prompts' | 'resources'): Promise<readonly JsonObject[]> =>
          serves[kind] && gate.refusalOf(caller, postOf(`${kind}/list`)) === undefined ? session.list(kind, headers) : []
        return {
          server,
          about: session.about,
          tools: gate.readsAnswers(caller) ? tools.filter(isSeen) : tools,
          prompts: await others('prompts'),
          resources: await others('resources'),
        }
      } finally {
        release()
      }
    },
  }
}

/** What is sent for a request, and what of its result is its answer. */
interface Call {
  readonly method: string
  readonly params: JsonObject
  body(result: JsonObject, isRaw: boolean): Refusal
}

/** What the gate is asked about. */
function postOf(method: string, params: JsonObject = {}): Post {
  return { messages: [{ kind: 'request', id: 0, method, body: { jsonrpc: '2.0', id: 0, method, params } }], batch: false }
}

function write(res: ServerResponse, { status, text }: Refusal): void {
  writeJson(res, status, text, undefined)
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const from = url.indexOf('?')
  return new URLSearchParams(from < 0 ? '' : url.slice(from + 1))
}
