// The revisions of MCP, and which era a message belongs to.
import { OpenMcpError } from '../errors.ts'
import { isObject, type JsonObject, type Message, type Post } from './message.ts'

/** From this revision on there are no sessions: every request carries what it needs in `_meta`. */
const FIRST_MODERN = '2026-07-28'
/** From this revision on an event stream begins with an event that has an id and no data, so that it can be resumed. */
const FIRST_PRIMED = '2025-11-25'

export const META_VERSION = 'io.modelcontextprotocol/protocolVersion'
export const META_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
export const META_LOG_LEVEL = 'io.modelcontextprotocol/logLevel'
export const META_SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId'

/** The modern revisions we know; others are the upstream's to accept or refuse. */
export const MODERN_VERSIONS: ReadonlySet<string> = new Set([FIRST_MODERN])

/** Revisions of the legacy era. Their `MCP-Protocol-Version` is taken without having been agreed on. */
export const LEGACY_VERSIONS: ReadonlySet<string> = new Set(['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'])

/** What a client is told whose revision is none of them. */
export const LAST_LEGACY_VERSION = '2025-11-25'

export type Era = 'legacy' | 'modern'

export function isModernVersion(version: string | undefined): boolean {
  return version !== undefined && /^\d{4}-\d\d-\d\d$/.test(version) && version >= FIRST_MODERN
}

export function isPrimedVersion(version: string | undefined): boolean {
  return version !== undefined && version >= FIRST_PRIMED
}

export function paramsOf(message: Message): JsonObject | undefined {
  const params = message.body['params']
  return isObject(params) ? params : undefined
}

export function metaOf(message: Message): JsonObject | undefined {
  const meta = paramsOf(message)?.['_meta']
  return isObject(meta) ? meta : undefined
}

/** The version header and the mirrored headers of one request, as they came. */
export interface MirroredHeaders {
  version: string | undefined
  method: string | undefined
  name: string | undefined
}

/**
 * Modern when the body claims a version in `_meta` (the body decides; a header alone may be a proxy's), or, for what carries
 * no claim, when the header names a modern revision.
 */
export function eraOf(post: Post, versionHeader: string | undefined): Era {
  for (const message of post.messages) if (metaOf(message)?.[META_VERSION] !== undefined) return 'modern'
  return isModernVersion(versionHeader) ? 'modern' : 'legacy'
}

/**
 * Refuses a modern post whose mirrored headers contradict its body (-32020), and, where `complete` is asked for because we
 * are the HTTP server (the upstream is a pipe), also one that lacks a header or a required `_meta` member (-32602).
 * 2026-07-28 basic/transports/streamable-http, "Standard headers".
 */
export function checkModernPost(post: Post, headers: MirroredHeaders, complete: boolean): void {
  const [message] = post.messages
  if (post.batch || message === undefined) throw new OpenMcpError('invalid_request', 'batches ended with the 2025-03-26 revision')
  if (message.kind === 'response') throw new OpenMcpError('invalid_request', 'a 2026-07-28 client posts requests and notifications, no answers')
  if (complete && message.kind === 'request') checkEnvelope(message)
  const claimed = metaOf(message)?.[META_VERSION]
  mirror('MCP-Protocol-Version', headers.version, typeof claimed === 'string' ? claimed : undefined, complete && message.kind === 'request')
  mirror(
    'Mcp-Method',
    headers.method === undefined ? undefined : decodeMirrored(headers.method, 'Mcp-Method'),
    message.method,
    complete && message.kind === 'request',
  )
  const name = mirroredNameOf(message)
  if (name === undefined) return
  mirror('Mcp-Name', headers.name === undefined ? undefined : decodeMirrored(headers.name, 'Mcp-Name'), name, complete && message.kind === 'request')
}

function checkEnvelope(message: Message): void {
  const meta = metaOf(message)
  const missing = [META_VERSION, META_CAPABILITIES].filter((key) => meta?.[key] === undefined)
  if (missing.length > 0) throw new OpenMcpError('invalid_envelope', `the request lacks ${missing.join(' and ')} in params._meta`, { data: { missing } })
  if (typeof meta?.[META_VERSION] !== 'string') throw new OpenMcpError('invalid_envelope', `${META_VERSION} must be a string`)
  if (!isObject(meta[META_CAPABILITIES])) throw new OpenMcpError('invalid_envelope', `${META_CAPABILITIES} must be an object`)
}

function mirror(name: string, header: string | undefined, body: string | undefined, required: boolean): void {
  if (header === undefined) {
    if (required && body !== undefined) throw new OpenMcpError('header_mismatch', `the ${name} header is missing`)
    return
  }
  if (body !== undefined && header !== body) throw new OpenMcpError('header_mismatch', `the ${name} header does not say what the body says`)
}

/** Which member of `params` the `Mcp-Name` header mirrors. */
const NAME_SOURCE = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

/** The value that `Mcp-Name` mirrors for this message, if it has one. */
export function mirroredNameOf(message: Message): string | undefined {
  const member = message.kind === 'response' ? undefined : NAME_SOURCE.get(message.method)
  const value = member === undefined ? undefined : paramsOf(message)?.[member]
  return typeof value === 'string' ? value : undefined
}

const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/

/** What a mirrored header says; refuses a Base64 form that is none (-32020). */
export function decodeMirrored(value: string, header: string): string {
  if (!value.startsWith('=?base64?') || !value.endsWith('?=')) return value
  const match = SENTINEL.exec(value)
  const encoded = match?.[1]
  const bytes = Buffer.from(encoded ?? '', 'base64')
  if (encoded === undefined || bytes.toString('base64') !== encoded) throw new OpenMcpError('header_mismatch', `the ${header} header is not valid Base64`)
  return bytes.toString()
}

/** A header value that can stand for any text: as it is when it is plain ASCII, in the Base64 sentinel form otherwise. */
export function encodeMirrored(value: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?base64?')
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}
