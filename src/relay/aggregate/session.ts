// A session with several servers as one: what the client asks goes to the server that it names, and what they say comes back to this client alone.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { Caller } from '../../protocol/caller.ts'
import { NO_REPLY, type ForwardedHeaders, type Link, type LinkEvents, type Reply } from '../../protocol/exchange.ts'
import { isId, isObject, type JsonObject, type JsonRpcId, type Message, type NotificationMessage, type RequestMessage } from '../../protocol/message.ts'
import { META_VERSION, metaOf, paramsOf } from '../../protocol/revision.ts'
import { TurnoverMap } from '../../protocol/turnover-map.ts'
import { askOf } from './ask.ts'
import { createFromServers } from './from-servers.ts'
import { createLists, LISTS } from './lists.ts'
import { sendTo, type Joined, type Member } from './member.ts'
import { createMembership } from './membership.ts'
import { joinedCapabilities, joinedInstructions, lowestVersion } from './merge.ts'
import { schemeOf, splitUri } from './names.ts'
import { unsupported } from './stateless.ts'
import { withJoinedUris, withOwnTask } from './uris.ts'

export interface AggregateSession extends Link {
  /** There are other members, or other rules for all. */
  look(): void
  /** Somebody may not reach a server any more. */
  lookAtJoined(): void
}

export interface SessionOptions {
  members(): readonly Member[]
  events: LinkEvents
  caller: Caller
  server: { name: string; version: string }
  patienceMs: number
  log: Log
  now: () => number
}

interface Call {
  readonly one: Joined
  readonly token: unknown
  failed(error: OpenMcpError): void
  done(): void
}

const BY_NAME: ReadonlyMap<string, { list: string; what: string }> = new Map([
  ['tools/call', { list: 'tools/list', what: 'tool' }],
  ['prompts/get', { list: 'prompts/list', what: 'prompt' }],
])
/** By the member of its params that is a URI, or the id of a task. */
const BY_URI: ReadonlyMap<string, string> = new Map([
  ['resources/read', 'uri'],
  ['resources/subscribe', 'uri'],
  ['resources/unsubscribe', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/result', 'taskId'],
  ['tasks/cancel', 'taskId'],
])
const FAMILIES = ['tools', 'prompts', 'resources']
const SHOWN_CHARS = 128
/** So many are made again when a server is back. */
const MOST_SUBSCRIPTIONS = 1000

export function openSession({ members, events, caller: opener, server, patienceMs, log, now }: SessionOptions): AggregateSession {
  // What the credential of a post holds was asked at the door. Who may use what is asked of the identity, at each server.
  const caller: Caller = { ...opener, scopes: ['mcp'] }
  const calls = new TurnoverMap<JsonRpcId, Call>()
  let hasInitialized = false
  let logLevel: JsonObject | undefined
  /** Joined URIs. */
  const subscribed = new Set<string>()

  const fromServers = createFromServers(
    (link, token) => token !== undefined && [...calls.values()].some((call) => call.token === token && call.one.link !== link),
  )
  const membership = createMembership({
    members,
    opener,
    caller,
    unsolicited: (member, link, text) => fromServers.heard(member, link, text, events.unsolicited),
    came(one) {
      if (!hasInitialized) return
      greet(one)
      tellChanged()
    },
    left(one, error, how) {
      fromServers.left(one.link, events.unsolicited)
      // Calls to one that another takes the place of are answered there still.
      if (how === 'ended') end(one, error)
      else if (!isInUse(one)) void one.link.close()
      tellChanged()
    },
    patienceMs,
    log,
    now,
  })
  const lists = createLists({ joined: membership.joined, caller, patienceMs, log })

  const isInUse = (one: Joined): boolean => [...calls.values()].some((call) => call.one === one)

  function end(one: Joined, error: OpenMcpError): void {
    for (const call of calls.values()) if (call.one === one) call.failed(error)
    void one.link.close()
  }

  function tellChanged(): void {
    if (!hasInitialized) return
    for (const family of FAMILIES) events.unsolicited(JSON.stringify({ jsonrpc: '2.0', method: `notifications/${family}/list_changed` }))
  }

  /** What a server has missed that came later than the client's own words. */
  function greet(one: Joined): void {
    const body = { jsonrpc: '2.0', method: 'notifications/initialized' }
    sendTo(one, caller, { kind: 'notification', method: body.method, body }, {}, NO_REPLY)
    const ask = askOf(one, caller, {})
    if (logLevel && hasFamily(one, 'logging')) void ask('logging/setLevel', logLevel).catch(() => {})
    for (const joined of subscribed) {
      const split = splitUri(joined)
      if (split?.scheme === schemeOf(one.member.name)) void ask('resources/subscribe', { uri: split.uri }).catch(() => {})
    }
  }

  function noteSubscription(method: string, uri: unknown): void {
    if (typeof uri !== 'string') return
    if (method === 'resources/subscribe' && subscribed.size < MOST_SUBSCRIPTIONS) subscribed.add(uri)
    if (method === 'resources/unsubscribe') subscribed.delete(uri)
  }

  async function initialize(message: RequestMessage, headers: ForwardedHeaders): Promise<JsonObject> {
    const params = paramsOf(message) ?? {}
    await membership.begin(params, headers)
    const joined = membership.joined()
    return {
      protocolVersion: lowestVersion(
        params['protocolVersion'],
        joined.map(({ result }) => result['protocolVersion']),
      ),
      capabilities: joinedCapabilities(joined.map(({ result }) => result['capabilities'])),
      serverInfo: server,
      ...joinedInstructions(joined.map(({ member, result }) => [member.name, result['instructions']])),
    }
  }

  /** What `called` means at which server, where it is a name. */
  async function named(called: unknown, { list, what }: { list: string; what: string }, headers: ForwardedHeaders): Promise<{ one: Joined; name: string }> {
    const found = typeof called === 'string' ? await lists.named(list, called, headers) : undefined
    if (found) return found
    throw new OpenMcpError('unknown_name', `Unknown ${what}: ${String(called).slice(0, SHOWN_CHARS)}`)
  }

  function ofUri(uri: unknown): { one: Joined; uri: string } {
    const split = typeof uri === 'string' ? splitUri(uri) : undefined
    const one = split && membership.joined().find(({ member }) => schemeOf(member.name) === split.scheme)
    if (!split || !one) throw new OpenMcpError('unknown_name', 'Unknown resource')
    return { one, uri: split.uri }
  }

  /** Sends a request on as it is, but for what names another thing there than here. */
  function pass(one: Joined, message: RequestMessage, params: JsonObject, headers: ForwardedHeaders, reply: Reply): void {
    const { id } = message
    const over = (): boolean => {
      if (calls.get(id) !== call) return false
      calls.delete(id)
      done()
      if (!membership.joined().includes(one) && !isInUse(one)) void one.link.close()
      return true
    }
    const done = one.member.begin()
    const failed = (error: OpenMcpError): void => void (over() && reply.failed(error, id))
    const call: Call = { one, token: metaOf(message)?.['progressToken'], failed, done }
    calls.set(id, call)
    const body = { ...message.body, params: { ...paramsOf(message), ...params } }
    sendTo(one, caller, { ...message, body }, headers, {
      message: (text) => fromServers.heard(one.member, one.link, text, reply.message),
      answer: (_id, text, errorCode) => void (over() && reply.answer(id, errorCode === undefined ? withJoinedUris(text, one.member.name) : text, errorCode)),
      failed: (error) => failed(error.code === 'unknown_name' ? unknownHere(message) : error),
      withdrawn: () => void (over() && reply.withdrawn(id)),
    })
  }

  async function request(message: RequestMessage, headers: ForwardedHeaders, reply: Reply): Promise<JsonObject | undefined> {
    const { method } = message
    const params = paramsOf(message) ?? {}
    if (metaOf(message)?.[META_VERSION] !== undefined || method === 'server/discover') throw unsupported(message)
    if (method === 'initialize') return initialize(message, headers)
    if (method === 'ping') return {}
    if (LISTS.has(method)) {
      // Who may be reached by now, joins; the client hears of it.
      if (params['cursor'] === undefined) membership.look()
      return lists.page(method, params['cursor'], headers)
    }
    const byName = BY_NAME.get(method)
    if (byName) {
      const { one, name } = await named(params['name'], byName, headers)
      pass(one, message, { name }, headers, reply)
      return undefined
    }
    const byUri = BY_URI.get(method)
    if (byUri !== undefined) {
      const { one, uri } = ofUri(params[byUri])
      noteSubscription(method, params[byUri])
      pass(one, message, { [byUri]: uri }, headers, reply)
      return undefined
    }
    if (method === 'completion/complete') return complete(message, params['ref'], headers, reply)
    if (method === 'logging/setLevel') {
      logLevel = params
      const having = membership.joined().filter((one) => hasFamily(one, 'logging'))
      await Promise.allSettled(having.map((one) => askOf(one, caller, headers)(method, params)))
      return {}
    }
    throw new OpenMcpError('not_found', `${method.slice(0, SHOWN_CHARS)} is not for several servers as one`)
  }

  async function complete(message: RequestMessage, ref: unknown, headers: ForwardedHeaders, reply: Reply): Promise<undefined> {
    if (!isObject(ref)) throw new OpenMcpError('unknown_name', 'Unknown ref')
    if (ref['type'] === 'ref/resource') {
      const { one, uri } = ofUri(ref['uri'])
      pass(one, message, { ref: { ...ref, uri } }, headers, reply)
      return undefined
    }
    const { one, name } = await named(ref['name'], { list: 'prompts/list', what: 'prompt' }, headers)
    pass(one, message, { ref: { ...ref, name } }, headers, reply)
    return undefined
  }

  function notification(message: NotificationMessage, headers: ForwardedHeaders): void {
    const { method } = message
    const params = paramsOf(message) ?? {}
    const tell = (to: readonly Pick<Joined, 'member' | 'link'>[]): void => {
      for (const one of to) sendTo(one, caller, message, headers, NO_REPLY)
    }
    if (method === 'notifications/cancelled') {
      const call = isId(params['requestId']) ? calls.get(params['requestId']) : undefined
      return tell(call ? [call.one] : [])
    }
    if (method === 'notifications/progress') {
      const question = fromServers.askedWith(params['progressToken'])
      return tell(question ? [question] : [])
    }
    if (method === 'notifications/initialized') hasInitialized = true
    tell(membership.joined())
  }

  function deliver(message: Message, headers: ForwardedHeaders, reply: Reply): void {
    if (message.kind === 'notification') return notification(message, headers)
    if (message.kind === 'response') {
      const question = fromServers.answered(message.id)
      if (!question) return
      const { member, id } = question
      return sendTo(question, caller, { ...message, id, body: { ...withOwnTask(message.body, member.name), id } }, headers, NO_REPLY)
    }
    request(message, headers, reply).then(
      (result) => result && reply.answer(message.id, JSON.stringify({ jsonrpc: '2.0', id: message.id, result }), undefined),
      (thrown: unknown) => reply.failed(toOpenMcpError(thrown), message.id),
    )
  }

  return {
    kind: 'messages',
    send(post, headers, reply) {
      for (const message of post.messages) deliver(message, headers, reply)
    },
    look: membership.look,
    lookAtJoined: membership.lookAtJoined,
    async close() {
      for (const { done } of calls.values()) done()
      calls.clear()
      await membership.close()
    },
  }
}

function hasFamily({ result }: Joined, family: string): boolean {
  return isObject(result['capabilities']) && family in result['capabilities']
}

/** By the name that the client knows. */
function unknownHere(message: RequestMessage): OpenMcpError {
  const name = paramsOf(message)?.['name']
  return new OpenMcpError('unknown_name', `Unknown tool: ${typeof name === 'string' ? name.slice(0, SHOWN_CHARS) : ''}`)
}
