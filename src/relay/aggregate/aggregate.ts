// Several servers as one: what lists hold is put together under joined names, and each call goes to the server that it names.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { Caller } from '../../protocol/caller.ts'
import type { ForwardedHeaders, Link, LinkEvents, MessageUpstream, Reply, Text } from '../../protocol/exchange.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isId, isObject, type JsonObject, type JsonRpcId, type Message, type NotificationMessage, type RequestMessage } from '../../protocol/message.ts'
import { paramsOf } from '../../protocol/revision.ts'
import { askOf, listOf } from './ask.ts'
import { joinedCapabilities, joinedInstructions, lowestVersion } from './merge.ts'
import { joinedName, joinedUri, schemeOf, splitUri } from './names.ts'
import { withJoinedUris } from './uris.ts'

export interface Member {
  readonly name: string
  messages(): MessageUpstream | Promise<MessageUpstream>
  /** Tools that are switched off here are in no list of it, and not called. */
  mayUse(tool: string): boolean
}

export interface AggregateOptions {
  /** Those that there are now. A session keeps those that it began with. */
  members(): readonly Member[]
  server: { name: string; version: string }
  log: Log
}

interface Joined {
  readonly member: Member
  readonly link: Link
  readonly result: JsonObject
}

/** The lists, what each is called in its answer, and what its entries are called by. */
const LISTS = new Map([
  ['tools/list', { family: 'tools', key: 'tools', by: 'name' }],
  ['prompts/list', { family: 'prompts', key: 'prompts', by: 'name' }],
  ['resources/list', { family: 'resources', key: 'resources', by: 'uri' }],
  ['resources/templates/list', { family: 'resources', key: 'resourceTemplates', by: 'uriTemplate' }],
])
const BY_NAME = new Map([
  ['tools/call', 'tools/list'],
  ['prompts/get', 'prompts/list'],
])
const BY_URI = new Set(['resources/read', 'resources/subscribe', 'resources/unsubscribe'])

/** Sessions alone: what has none asks each server at its own door. */
export function createAggregate({ members, server, log }: AggregateOptions): MessageUpstream {
  return {
    kind: 'messages',
    open: (events, caller) => openLink(members(), { events, caller, server, log }),
    stateless() {
      throw new OpenMcpError('unavailable_option', 'several servers as one need a session', { hint: 'initialize first, or ask at /servers/NAME/mcp' })
    },
  }
}

function openLink(
  members: readonly Member[],
  { events, caller, server, log }: { events: LinkEvents; caller: Caller } & Pick<AggregateOptions, 'server' | 'log'>,
): Link {
  let joined: Joined[] = []
  let isClosed = false
  /** By joined name, for each kind of list: what it is at which server. Learned when lists are asked for. */
  const names = new Map<string, Map<string, { one: Joined; name: string }>>()
  /** Whose each call in flight is, and whose each question of a server. */
  const calls = new Map<JsonRpcId, Joined>()
  const questions = new Map<JsonRpcId, { link: Link; id: JsonRpcId }>()
  let lastQuestion = 0

  async function initialize(message: RequestMessage, headers: ForwardedHeaders): Promise<JsonObject> {
    const found = await Promise.all(members.map((member) => join(member, message, headers)))
    joined = found.filter((one) => one !== undefined)
    if (isClosed) for (const { link } of joined) void link.close()
    if (joined.length === 0) throw new OpenMcpError('upstream_unreachable', 'none of the servers answers', { hint: 'GET /status says why' })
    const asked = paramsOf(message)?.['protocolVersion']
    return {
      protocolVersion: lowestVersion(
        asked,
        joined.map(({ result }) => result['protocolVersion']),
      ),
      capabilities: joinedCapabilities(joined.map(({ result }) => result['capabilities'])),
      serverInfo: server,
      ...joinedInstructions(joined.map(({ member, result }) => [member.name, result['instructions']])),
    }
  }

  /** One that does not come along leaves the others as they are. */
  async function join(member: Member, message: RequestMessage, headers: ForwardedHeaders): Promise<Joined | undefined> {
    let link: Link | undefined
    try {
      link = (await member.messages()).open(
        eventsOf(member, () => link),
        caller,
      )
      const result = await askOf(link, headers)('initialize', paramsOf(message) ?? {})
      return { member, link, result }
    } catch (thrown) {
      log.warn(`the server ${member.name} is left out of a session: ${toOpenMcpError(thrown).message}`)
      void link?.close()
      return undefined
    }
  }

  function eventsOf(member: Member, link: () => Link | undefined): LinkEvents {
    return {
      unsolicited: (text) => fromServer(member, link(), text, events.unsolicited),
      ended(error) {
        // One that never came along is told by its answer.
        if (!joined.some((one) => one.member === member)) return
        joined = joined.filter((one) => one.member !== member)
        if (joined.length === 0) return events.ended(error)
        log.warn(`the server ${member.name} has left a session: ${error.message}`)
        for (const { family } of LISTS.values()) events.unsolicited(JSON.stringify({ jsonrpc: '2.0', method: `notifications/${family}/list_changed` }))
      },
    }
  }

  /** A message of a server to the client: its questions get ids of ours, for two servers may ask under the same. */
  function fromServer(member: Member, link: Link | undefined, text: Text, to: (text: Text) => void): void {
    const message = jsonIn(typeof text === 'string' ? text : Buffer.concat(text).toString())
    if (!isObject(message) || !link) return
    const params = isObject(message['params']) ? message['params'] : {}
    if (isId(message['id'])) {
      const id = `${member.name}:${++lastQuestion}`
      questions.set(id, { link, id: message['id'] })
      return to(JSON.stringify({ ...message, id }))
    }
    if (message['method'] === 'notifications/resources/updated' && typeof params['uri'] === 'string') {
      return to(JSON.stringify({ ...message, params: { ...params, uri: joinedUri(member.name, params['uri']) } }))
    }
    if (message['method'] === 'notifications/message') {
      const logger = typeof params['logger'] === 'string' ? `${member.name}/${params['logger']}` : member.name
      return to(JSON.stringify({ ...message, params: { ...params, logger } }))
    }
    if (message['method'] === 'notifications/cancelled') {
      const ours = [...questions].find(([, asked]) => asked.link === link && asked.id === params['requestId'])?.[0]
      if (ours === undefined) return
      questions.delete(ours)
      return to(JSON.stringify({ ...message, params: { ...params, requestId: ours } }))
    }
    to(text)
  }

  async function list(method: string, headers: ForwardedHeaders): Promise<JsonObject> {
    const how = LISTS.get(method)
    if (!how) throw new OpenMcpError('internal', 'no list')
    const having = joined.filter(({ result }) => isObject(result['capabilities']) && how.family in result['capabilities'])
    const lists = await Promise.all(
      having.map(async (one) => {
        const items = await listOf(askOf(one.link, headers), method, how.key).catch((thrown: unknown) => {
          log.warn(`the server ${one.member.name} is left out of a list: ${toOpenMcpError(thrown).message}`)
          return []
        })
        return items.map((item) => ({ one, item }))
      }),
    )
    const known = new Map<string, { one: Joined; name: string }>()
    const entries: JsonObject[] = []
    for (const { one, item } of lists.flat()) {
      const name = item[how.by]
      if (typeof name !== 'string' || (method === 'tools/list' && !one.member.mayUse(name))) continue
      const called = how.by === 'name' ? joinedName(one.member.name, name) : joinedUri(one.member.name, name)
      // Of two that are called the same the first is meant, whatever the second says of itself.
      if (known.has(called)) log.warn('two entries of a list have the same name; the second is left out', { name: called })
      else entries.push({ ...item, [how.by]: called })
      if (!known.has(called)) known.set(called, { one, name })
    }
    names.set(method, known)
    return { [how.key]: entries }
  }

  async function named(message: RequestMessage, listed: string, headers: ForwardedHeaders): Promise<{ one: Joined; name: string }> {
    const called = paramsOf(message)?.['name']
    const look = (): { one: Joined; name: string } | undefined => (typeof called === 'string' ? names.get(listed)?.get(called) : undefined)
    // What was not listed may have come since.
    if (!look()) await list(listed, headers)
    const found = look()
    if (found && joined.includes(found.one)) return found
    throw new OpenMcpError('unknown_name', `Unknown ${listed === 'tools/list' ? 'tool' : 'prompt'}: ${String(called).slice(0, 128)}`)
  }

  function ofUri(uri: unknown): { one: Joined; uri: string } {
    const split = typeof uri === 'string' ? splitUri(uri) : undefined
    const one = split && joined.find(({ member }) => schemeOf(member.name) === split.scheme)
    if (!split || !one) throw new OpenMcpError('unknown_name', 'Unknown resource')
    return { one, uri: split.uri }
  }

  /** Sends a request on as it is, but for what names another thing there than here. */
  function pass(one: Joined, message: RequestMessage, params: JsonObject, headers: ForwardedHeaders, reply: Reply): void {
    calls.set(message.id, one)
    const over = (): boolean => calls.delete(message.id)
    const body = { ...message.body, params: { ...paramsOf(message), ...params } }
    one.link.send({ messages: [{ ...message, body }], batch: false }, headers, {
      message: (text) => fromServer(one.member, one.link, text, reply.message),
      answer(id, text, errorCode) {
        over()
        reply.answer(id, errorCode === undefined ? withJoinedUris(text, one.member.name) : text, errorCode)
      },
      failed(error, id) {
        over()
        reply.failed(error, id ?? message.id)
      },
      withdrawn(id) {
        over()
        reply.withdrawn(id)
      },
    })
  }

  async function request(message: RequestMessage, headers: ForwardedHeaders, reply: Reply): Promise<JsonObject | undefined> {
    const { method } = message
    const params = paramsOf(message) ?? {}
    const listed = BY_NAME.get(method)
    if (method === 'initialize') return initialize(message, headers)
    if (method === 'ping') return {}
    if (LISTS.has(method)) return list(method, headers)
    if (listed !== undefined) {
      const { one, name } = await named(message, listed, headers)
      pass(one, message, { name }, headers, reply)
      return undefined
    }
    if (BY_URI.has(method)) {
      const { one, uri } = ofUri(params['uri'])
      pass(one, message, { uri }, headers, reply)
      return undefined
    }
    if (method === 'completion/complete') return complete(message, headers, reply)
    if (method === 'logging/setLevel') {
      await Promise.allSettled(joined.map(({ link }) => askOf(link, headers)(method, params)))
      return {}
    }
    throw new OpenMcpError('not_found', `${method} is not for several servers as one`)
  }

  async function complete(message: RequestMessage, headers: ForwardedHeaders, reply: Reply): Promise<undefined> {
    const ref = paramsOf(message)?.['ref']
    if (isObject(ref) && ref['type'] === 'ref/resource') {
      const { one, uri } = ofUri(ref['uri'])
      pass(one, message, { ref: { ...ref, uri } }, headers, reply)
      return undefined
    }
    const naming: RequestMessage = { ...message, body: { ...message.body, params: { name: isObject(ref) ? ref['name'] : undefined } } }
    const { one, name } = await named(naming, 'prompts/list', headers)
    pass(one, message, { ref: { ...(isObject(ref) && ref), name } }, headers, reply)
    return undefined
  }

  function notification(message: NotificationMessage, headers: ForwardedHeaders): void {
    const id = paramsOf(message)?.['requestId']
    const to = message.method === 'notifications/cancelled' ? [isId(id) ? calls.get(id) : undefined] : joined
    for (const one of to) one?.link.send({ messages: [message], batch: false }, headers, NOBODY)
  }

  function deliver(message: Message, headers: ForwardedHeaders, reply: Reply): void {
    if (message.kind === 'notification') return notification(message, headers)
    if (message.kind === 'response') {
      const asked = questions.get(message.id)
      questions.delete(message.id)
      return asked?.link.send({ messages: [{ ...message, id: asked.id, body: { ...message.body, id: asked.id } }], batch: false }, headers, NOBODY)
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
    async close() {
      isClosed = true
      await Promise.all(joined.map(({ link }) => link.close()))
    },
  }
}

const NOBODY: Reply = { message: () => {}, answer: () => {}, failed: () => {}, withdrawn: () => {} }
