// Who may send what upstream, and what of an answer they may see: one function, `mayUse`, is behind tool lists and tool calls.
import { OpenMcpError } from '../errors.ts'
import { MCP_SCOPES, covers } from '../policy/scopes.ts'
import type { Standing } from '../policy/shapes.ts'
import type { Caller } from '../protocol/caller.ts'
import type { Text } from '../protocol/exchange.ts'
import type { Gate } from '../protocol/gate.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject, type JsonRpcId, type Message, type Post } from '../protocol/message.ts'
import { paramsOf } from '../protocol/revision.ts'
import { noSuchServer } from '../protocol/server-path.ts'
import { wholeOf } from '../protocol/text.ts'

export interface GateOptions {
  /** What this caller may do now. Undefined: nothing. Asked for every post, so it should be quick. */
  standingOf(caller: Caller): Standing | undefined
  /** Which server this is the gate of. Undefined: of none in particular. */
  server?: string | undefined
}

/** Where nobody is asked who they are, everything passes and nothing is read. */
export const OPEN_GATE: Gate = { refusalOf: () => undefined, readsAnswers: () => false, filtered: (_caller, _post, reply) => reply }

/**
 * For whom there is no such server, nothing is there. Else a post passes when the caller holds every scope it needs, and may use every tool it calls; of a batch one message that may not
 * pass holds back all. Lists of tools come back without those that may not be used.
 *
 * The gate keeps a caller in, not a server: what a server tells of its tools in prose (its instructions, a log line, the tools it
 * offers to a model by sampling, the answer of a tool) is not looked through.
 */
export function createGate({ standingOf, server }: GateOptions): Gate {
  const isHidden = ({ mayReach }: Standing): boolean => server !== undefined && !mayReach(server)
  return {
    refusalOf(caller, post) {
      const standing = standingOf(caller)
      if (!standing) return new OpenMcpError('unauthorized', 'this identity may not come in')
      if (isHidden(standing)) return noSuchServer()
      const refusal = scopeRefusal(caller, standing, post)
      if (refusal || !isLimited(caller, standing)) return refusal
      return twinRefusal(post) ?? (standing.restricted ? toolRefusal(standing, post) : undefined)
    },
    // Without standing there is nothing to be seen unread.
    readsAnswers: (caller, modernPost) => (standingOf(caller)?.restricted ?? true) || (modernPost !== undefined && listsIn(modernPost) !== undefined),
    filtered(caller, post, reply) {
      const restricted = standingOf(caller)?.restricted ?? true
      const lists = listsIn(post)
      if (!restricted && !lists) return reply
      // Asked again when the answer comes: a call may take long.
      const mayUse = (tool: string): boolean => {
        const standing = standingOf(caller)
        return standing !== undefined && !isHidden(standing) && standing.mayUse(tool)
      }
      return {
        message: reply.message,
        answer(id, text, errorCode) {
          const isList = lists?.has(id) ?? false
          const seen = isList || (restricted && mayHoldTools(text)) ? withoutDenied(text, mayUse, isList) : text
          if (seen === undefined) reply.failed(new OpenMcpError('upstream_broke', 'the list of tools that the server sent cannot be read'), id)
          else reply.answer(id, seen, errorCode)
        },
        failed: reply.failed,
        withdrawn: reply.withdrawn,
      }
    },
  }
}

const ALL = 'mcp'

/** The scope of methods whose name begins so. */
const SCOPE_OF_FAMILY: readonly (readonly [string, string])[] = [
  ['tools/', 'mcp:tools'],
  ['tasks/', 'mcp:tools'],
  ['resources/', 'mcp:resources'],
  ['prompts/', 'mcp:prompts'],
]
/** Methods that hold a connection together: any scope will do. */
const FOR_ANY_SCOPE = new Set(['initialize', 'ping', 'server/discover', 'subscriptions/listen', 'logging/setLevel'])

/** The scope that a message needs; undefined: any. */
function scopeFor(message: Message): string | undefined {
  if (message.kind === 'response') return undefined
  const { method } = message
  for (const [family, scope] of SCOPE_OF_FAMILY) if (method.startsWith(family)) return scope
  if (method === 'completion/complete') return 'mcp:prompts'
  return method.startsWith('notifications/') || FOR_ANY_SCOPE.has(method) ? undefined : ALL
}

/** What the credential holds and its identity still may. */
function holdsBoth(caller: Caller, standing: Standing, scope: string): boolean {
  return covers(caller.scopes, scope) && covers(standing.scopes, scope)
}

function isLimited(caller: Caller, standing: Standing): boolean {
  return standing.restricted || !holdsBoth(caller, standing, ALL)
}

function scopeRefusal(caller: Caller, standing: Standing, { messages }: Post): OpenMcpError | undefined {
  const holds = (scope: string): boolean => holdsBoth(caller, standing, scope)
  const maySend = (message: Message): boolean => {
    const scope = scopeFor(message)
    return scope === undefined ? MCP_SCOPES.some(holds) : holds(scope)
  }
  if (MCP_SCOPES.some(holds) && messages.every(maySend)) return undefined
  const scopes = [...new Set(messages.flatMap((message) => scopeFor(message) ?? []))]
  return new OpenMcpError('insufficient_scope', 'the credential is not for this', { data: { scopes: scopes.length === 0 ? [ALL] : scopes } })
}

/** The members by which it is decided what a message is. */
const OF_MESSAGE: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])
const OF_PARAMS: ReadonlySet<string> = new Set(['name'])

/**
 * Some readers match the names of members without regard to case, or to what cannot be seen at their end, and of two the last one
 * counts (MCP Go SDK, GHSA-wvj2-96wp-fq3f and GHSA-q382-vc8q-7jhj): to them `{"name":"a","Name":"b"}` is another call than to us.
 */
function twinRefusal({ messages }: Post): OpenMcpError | undefined {
  const isTwofold = messages.some((message) => hasTwin(message.body, OF_MESSAGE) || hasTwin(paramsOf(message) ?? {}, OF_PARAMS))
  return isTwofold ? new OpenMcpError('invalid_request', 'the message has members whose names can be taken for one another') : undefined
}

const UNSEEN = /[\p{C}\p{Z}]/gu

function hasTwin(members: object, names: ReadonlySet<string>): boolean {
  // Up and down: ſ is an s to those readers, too.
  return Object.keys(members).some((member) => !names.has(member) && names.has(member.replace(UNSEEN, '').toUpperCase().toLowerCase()))
}

const SHOWN_CHARS = 128

function toolRefusal({ mayUse }: Standing, { messages }: Post): OpenMcpError | undefined {
  for (const message of messages) {
    if (message.kind === 'response' || !message.method.startsWith('tools/') || message.method === 'tools/list') continue
    // A server that takes it for a call would call unasked. There is nobody to be answered, so it is refused as a whole.
    if (message.kind === 'notification') return new OpenMcpError('invalid_request', `${message.method.slice(0, SHOWN_CHARS)} is no notification`)
    // Every method of the family is taken to name a tool, whatever later revisions add: what names none is denied.
    const name = paramsOf(message)?.['name']
    if (typeof name !== 'string' || !mayUse(name)) {
      return new OpenMcpError('unknown_name', `Unknown tool: ${typeof name === 'string' ? name.slice(0, SHOWN_CHARS) : ''}`)
    }
  }
  return undefined
}

function listsIn({ messages }: Post): ReadonlySet<JsonRpcId> | undefined {
  let ids: Set<JsonRpcId> | undefined
  for (const message of messages) if (message.kind === 'request' && message.method === 'tools/list') (ids ??= new Set()).add(message.id)
  return ids
}

/**
 * Whether an answer to something else could be a list of tools: the result of a task that lists them, or an answer that a server
 * gave to the wrong one of two calls with equal ids.
 */
function mayHoldTools(text: Text): boolean {
  const whole = typeof text === 'string' ? text : Buffer.concat(text)
  // With an escape the name can be written in other ways.
  return whole.includes('"tools"') || whole.includes('\\u00')
}

/** The answer without the tools that may not be used. Undefined when that cannot be told. */
function withoutDenied(text: Text, mayUse: (tool: string) => boolean, isList: boolean): Text | undefined {
  const answer = jsonIn(wholeOf(text))
  if (!isObject(answer)) return undefined
  const { result } = answer
  if (result === undefined) return text
  if (!isObject(result)) return isList ? undefined : text
  const { tools } = result
  if (tools === undefined) return text
  if (!Array.isArray(tools)) return isList ? undefined : text
  result['tools'] = tools.filter((tool) => isObject(tool) && typeof tool['name'] === 'string' && mayUse(tool['name']))
  // Nobody may serve one caller's list to another (2026-07-28 caching, SEP-2549).
  if (result['cacheScope'] !== undefined) result['cacheScope'] = 'private'
  // What was checked is what is sent, also when nothing went out.
  return JSON.stringify(answer)
}
