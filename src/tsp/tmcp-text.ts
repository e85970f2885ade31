// TMCP's carriage in text: a TSP message is base64url, and what is sealed in it is one line about HTTP and then the body as it is.
//
//   {"http":"POST","id":7,"headers":{…}}⏎BODY            a request; `id` is its name among those of its sender's session
//   {"http":200,"re":7,"part":1,"headers":{…}}⏎BODY      the answer to it, or where that is a stream of events its beginning
//   {"http":"event","re":7,"part":2,…}⏎DATA              one event: `event`, and where it has them `id` and `retry`
//   {"http":"forgotten","session":S,"n":k,"why":W}⏎      to message k of S, which is no session here; said outside of every session
//
// The parts of an answer are numbered, so that none is missing between two, or comes twice. Answers are many at once, and wait for slow
// readers each in its own connection: in the one order of their session they do not arrive.
import type { CarriedPiece, CarriedRequest } from '../protocol/carried.ts'
import { jsonIn } from '../protocol/json.ts'
import { isObject } from '../protocol/message.ts'
import { MOST_MESSAGE_BYTES } from './envelope.ts'

/** The longest text of a TSP message. */
export const MOST_TEXT_CHARACTERS = Math.ceil((MOST_MESSAGE_BYTES * 4) / 3)

/** The names that go under the seal, either way: what MCP says in headers, and tracing. */
const HEADERS = /^(?:accept|allow|baggage|cache-control|content-encoding|content-type|last-event-id|mcp-[\w-]{1,64}|retry-after|traceparent|tracestate)$/
const HEADER_VALUE = /^[\x20-\x7e]{0,16384}$/
const MOST_HEAD_BYTES = 64 * 1024
const METHODS: ReadonlySet<unknown> = new Set<CarriedRequest['method']>(['POST', 'GET', 'DELETE'])
const LINE_BREAK = 10

/** Undefined for what is not base64url, all of it; padding is passed over. */
export function messageIn(text: string): Buffer | undefined {
  const bare = text.trimEnd().replace(/={1,2}$/, '')
  return bare.length > 0 && bare.length <= MOST_TEXT_CHARACTERS && /^[\w-]*$/.test(bare) ? Buffer.from(bare, 'base64url') : undefined
}

export function requestText(id: number, { method, headers, body }: CarriedRequest): readonly Buffer[] {
  return [headLine({ http: method, id, headers: only(headers) }), body]
}

export function requestIn(bytes: Buffer): { id: number; request: CarriedRequest } | undefined {
  const { head, body } = parted(bytes)
  if (!head || !isMethod(head['http']) || !isNumber(head['id'])) return undefined
  const headers = headersIn(head['headers'])
  return headers && { id: head['id'], request: { method: head['http'], headers, body } }
}

/** Which part of the answer to which request. */
export interface Place {
  readonly re: number
  readonly part: number
}

export function pieceText({ re, part }: Place, piece: CarriedPiece): readonly Buffer[] {
  if (piece.kind === 'head') return [headLine({ http: piece.status, re, part, headers: only(piece.headers) }), piece.body]
  const { event, id, retryMs } = piece
  return [headLine({ http: 'event', re, part, event, ...(id !== undefined && { id }), ...(retryMs !== undefined && { retry: retryMs }) }), piece.body]
}

/** Undefined for what is not that part of the answer to that request. */
export function pieceIn(bytes: Buffer, { re, part }: Place): CarriedPiece | undefined {
  const { head, body } = parted(bytes)
  if (!head || head['re'] !== re || head['part'] !== part) return undefined
  const { http: status, event, id, retry: retryMs } = head
  if (isNumber(status)) {
    const headers = headersIn(head['headers'])
    return headers && status >= 200 && status <= 599 ? { kind: 'head', status, headers, body } : undefined
  }
  if (status !== 'event' || !isWord(event) || !(id === undefined || isWord(id)) || !(retryMs === undefined || isNumber(retryMs))) return undefined
  return { kind: 'event', event, id, retryMs, body }
}

/** A message that names a session which is not there. */
export interface Forgotten {
  readonly session: string
  readonly n: number
  /** A code of errors.ts. */
  readonly why: string
}

/** In words of its own: a `close` would end a session of the same two over another carriage, for whoever brings it there. */
export function forgottenText({ session, n, why }: Forgotten): Buffer {
  return headLine({ http: 'forgotten', session, n, why })
}

/** Why; undefined where it is not said of that message. */
export function forgottenIn(bytes: Buffer, { session, n }: Omit<Forgotten, 'why'>): string | undefined {
  const { head } = parted(bytes)
  return head?.['http'] === 'forgotten' && head['session'] === session && head['n'] === n && isWord(head['why']) ? head['why'] : undefined
}

function headLine(head: object): Buffer {
  return Buffer.from(`${JSON.stringify(head)}\n`)
}

/** The body is a part of the bytes, and not looked at. */
function parted(bytes: Buffer): { head: Record<string, unknown> | undefined; body: Buffer } {
  const at = bytes.subarray(0, MOST_HEAD_BYTES).indexOf(LINE_BREAK)
  const head = at < 0 ? undefined : jsonIn(bytes.toString('utf8', 0, at))
  return { head: isObject(head) ? head : undefined, body: bytes.subarray(at + 1) }
}

/** What could not be read there is left out here. */
function only(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => HEADERS.test(name) && HEADER_VALUE.test(value)))
}

/** Undefined where one is not as headers are. Names that are none of ours are passed over. */
function headersIn(stated: unknown): Record<string, string> | undefined {
  if (!isObject(stated)) return undefined
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(stated)) {
    if (typeof value !== 'string' || !HEADER_VALUE.test(value)) return undefined
    if (HEADERS.test(name)) headers[name] = value
  }
  return headers
}

function isMethod(value: unknown): value is CarriedRequest['method'] {
  return METHODS.has(value)
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** What may stand on one line of an event. */
function isWord(value: unknown): value is string {
  return typeof value === 'string' && HEADER_VALUE.test(value)
}
