// JSON-RPC messages as MCP uses them: parsed once, checked once, and what was checked is what is sent.
import { isUtf8 } from 'node:buffer'

import { OpenMcpError } from '../errors.ts'

export type JsonRpcId = string | number
export type JsonObject = { [member: string]: unknown }

interface Base {
  /** The parsed object. It is ours: members may be replaced before it is serialised. */
  readonly body: JsonObject
}
export interface RequestMessage extends Base {
  readonly kind: 'request'
  readonly id: JsonRpcId
  readonly method: string
}
export interface NotificationMessage extends Base {
  readonly kind: 'notification'
  readonly method: string
}
export interface ResponseMessage extends Base {
  readonly kind: 'response'
  readonly id: JsonRpcId
}
export type Message = RequestMessage | NotificationMessage | ResponseMessage

/** What one HTTP body or one line held: one message, or a batch (only the 2025-03-26 revision has batches). */
export interface Post {
  readonly messages: readonly Message[]
  readonly batch: boolean
  /** The bytes it was read from, where they are large and say nothing else than what was checked. */
  readonly faithful?: Buffer
}

/** What one says who only wants to listen. */
export const NO_MESSAGES: Post = { messages: [], batch: false }

/** One message, posted by itself. */
export function alone(message: Message): Post {
  return { messages: [message], batch: false }
}

/** The most messages in one batch: what the official SDKs accept. */
const MAX_BATCH = 100

/**
 * Bytes → checked messages. Refuses what is not UTF-8 or not JSON (`parse`), what is not JSON-RPC 2.0 as MCP uses it, nests
 * deeper than `maxDepth`, or holds a number that a re-serialisation would change (`invalid_request`).
 */
export function parsePost(bytes: Buffer, maxDepth: number): Post {
  const { value, text, members } = carriable(bytes, maxDepth)
  const faithful = bytes.length > WORTH_COUNTING_BYTES && countKeys(text) === members ? { faithful: bytes } : {}
  if (!Array.isArray(value)) return { messages: [toMessage(value)], batch: false, ...faithful }
  if (value.length === 0) throw new OpenMcpError('invalid_request', 'the batch is empty')
  if (value.length > MAX_BATCH) throw new OpenMcpError('invalid_request', `the batch has more than ${MAX_BATCH} messages`)
  return { messages: value.map(toMessage), batch: true, ...faithful }
}

/** Bytes → the value that they say, under the same conditions. */
export function parseValue(bytes: Buffer, maxDepth: number): unknown {
  return carriable(bytes, maxDepth).value
}

function carriable(bytes: Buffer, maxDepth: number): { value: unknown; text: string; members: number } {
  if (!isUtf8(bytes)) throw new OpenMcpError('parse', 'the message is not valid UTF-8')
  const text = bytes.toString()
  const value = parseJson(text)
  return { value, text, members: checkCarriable(value, text, maxDepth) }
}

/** The ids of its requests, in their order. */
export function requestIdsOf(post: Post): JsonRpcId[] {
  const ids: JsonRpcId[] = []
  for (const message of post.messages) if (message.kind === 'request') ids.push(message.id)
  return ids
}

/** The text of what was checked: one line, no raw line breaks. */
export function textOf(post: Post): string {
  const [first] = post.messages
  if (!post.batch && first) return JSON.stringify(first.body)
  return JSON.stringify(post.messages.map((message) => message.body))
}

/**
 * What goes to an upstream that takes any JSON text: the serialisation of what was checked, or, for a large message, its
 * own bytes when no name in them occurs twice, for then nothing in them was overlooked.
 */
export function bodyOf(post: Post): string | Buffer {
  return post.faithful ?? textOf(post)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OpenMcpError('parse', 'the message is not valid JSON', { cause })
  }
}

/** One parsed value as a message, or a refusal that echoes its id where it has one. */
function toMessage(value: unknown): Message {
  if (!isObject(value)) throw new OpenMcpError('invalid_request', 'a message must be a JSON object')
  const { id, method } = value
  if (value['jsonrpc'] !== '2.0') throw invalid('"jsonrpc" must be "2.0"', id)
  if (method === undefined) return toResponse(value)
  if (typeof method !== 'string') throw invalid('"method" must be a string', id)
  if (id === undefined) return { kind: 'notification', method, body: value }
  if (!isId(id)) throw invalid('"id" must be a string or an integer of at most 53 bits', id)
  return { kind: 'request', id, method, body: value }
}

function toResponse(value: JsonObject): ResponseMessage {
  const { id } = value
  if (value['result'] === undefined && value['error'] === undefined) throw invalid('the message has neither "method" nor "result" nor "error"', id)
  if (!isId(id)) throw invalid('the "id" of an answer must be a string or an integer of at most 53 bits', id)
  return { kind: 'response', id, body: value }
}

function invalid(message: string, id: unknown): OpenMcpError {
  return new InvalidMessage(message, isId(id) ? id : undefined)
}

/** A refusal that knows which request it answers. */
class InvalidMessage extends OpenMcpError {
  readonly id: JsonRpcId | undefined
  constructor(message: string, id: JsonRpcId | undefined) {
    super('invalid_request', message)
    this.id = id
  }
}

/** The id of the request that a refusal answers, where one could be read. */
export function idOfRefusal(error: unknown): JsonRpcId | undefined {
  return error instanceof InvalidMessage ? error.id : undefined
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isId(value: unknown): value is JsonRpcId {
  return typeof value === 'string' || (typeof value === 'number' && Number.isSafeInteger(value))
}

const WORTH_COUNTING_BYTES = 64 * 1024
/** A text of more quotes than this is serialised faster than looked through. */
const QUOTES_COUNTED = 10_000

/**
 * How many member names stand in a JSON text (known to be valid). Fewer members after parsing mean that one was written
 * twice. Undefined when there are too many to count.
 */
function countKeys(text: string): number | undefined {
  let keys = 0
  let quotes = 0
  for (let open = text.indexOf('"'); open >= 0; open = text.indexOf('"', open + 1)) {
    do {
      if (++quotes > QUOTES_COUNTED) return undefined
      open = text.indexOf('"', open + 1)
    } while (isEscaped(text, open))
    let next = open + 1
    while (WHITE.has(text.charCodeAt(next))) next++
    if (text[next] === ':') keys++
  }
  return keys
}

const WHITE = new Set([9, 10, 13, 32])

function isEscaped(text: string, quote: number): boolean {
  let slashes = 0
  while (text[quote - 1 - slashes] === '\\') slashes++
  return slashes % 2 === 1
}

/**
 * JSON.parse and JSON.stringify carry any nesting and any number badly: the second overflows the stack, the first rounds.
 * Both are refused here rather than changed on the way. Returns how many members all objects of the value have.
 */
function checkCarriable(root: unknown, text: string, maxDepth: number): number {
  let level = isHolder(root) ? [root] : []
  let members = 0
  let mayRound = typeof root === 'number'
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) throw new OpenMcpError('invalid_request', `the message nests deeper than ${maxDepth} levels`)
    const below: object[] = []
    for (const holder of level) {
      const held: unknown[] = Array.isArray(holder) ? holder : Object.values(holder)
      if (!Array.isArray(holder)) members += held.length
      for (const member of held) {
        if (isHolder(member)) below.push(member)
        else if (typeof member === 'number') mayRound ||= !Number.isFinite(member) || (Number.isInteger(member) && !Number.isSafeInteger(member))
      }
    }
    level = below
  }
  if (mayRound && hasRoundedNumber(text)) {
    throw new OpenMcpError('invalid_request', 'the message holds a number that JSON readers would round', { hint: 'send it as a string' })
  }
  return members
}

function isHolder(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

const INTEGER_OR_OTHER = /(-?\d+)(\.\d+)?([eE][+-]?\d+)?/g

/** Whether a number in the text would be sent as another one: looked for outside of the strings, which may be long. */
function hasRoundedNumber(text: string): boolean {
  for (let from = 0; from < text.length;) {
    const open = text.indexOf('"', from)
    const end = open < 0 ? text.length : open
    for (const [token, integer, fraction, exponent] of text.slice(from, end).matchAll(INTEGER_OR_OTHER)) {
      const value = Number(token)
      if (!Number.isFinite(value)) return true
      const isInteger = fraction === undefined && exponent === undefined && integer !== undefined
      if (isInteger && !Number.isSafeInteger(value) && BigInt(integer) !== integerOf(JSON.stringify(value))) return true
    }
    from = open < 0 ? text.length : closeOf(text, open) + 1
  }
  return false
}

/** The integer that a serialised number says: digits, or digits and an exponent from 1e21 on. */
function integerOf(serialised: string): bigint {
  const [digits = '', exponent = '0'] = serialised.split('e')
  const [whole = '', fraction = ''] = digits.split('.')
  return BigInt(whole + fraction) * 10n ** BigInt(Number(exponent) - fraction.length)
}

/** Where the string that opens here closes. */
function closeOf(text: string, open: number): number {
  let close = open
  do close = text.indexOf('"', close + 1)
  while (isEscaped(text, close))
  return close
}
