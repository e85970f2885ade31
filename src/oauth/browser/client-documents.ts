// Clients whose id is the URL of a document about them (OAuth Client ID Metadata Document): fetched like everything a stranger names,
// and kept for a while, as HTTP says.
import { OpenMcpError } from '../../errors.ts'
import type { GuardedFetch } from '../../identity/shapes.ts'
import type { Log } from '../../observe/log.ts'
import { jsonIn } from '../../protocol/json.ts'
import { isObject } from '../../protocol/message.ts'
import { clientMetadataOf, isNoClient, type ClientMetadata } from './client-metadata.ts'
import { isPlainHost } from './redirect-uri.ts'

export interface ClientDocuments {
  /** Undefined when the id is no such URL, or what is there does not describe this client. */
  find(id: string): Promise<ClientMetadata | undefined>
  /** Whether the id is such a URL; nothing is fetched. */
  isUrl(id: string): boolean
}

export interface ClientDocumentOptions {
  fetch: GuardedFetch
  /** Whether a document may be on this machine, by http too: for those who write a client. */
  trustLoopback: boolean
  now: () => number
  log: Log
}

interface Kept {
  readonly client: ClientMetadata | undefined
  readonly freshUntilMs: number
  readonly fetchedAtMs: number
}

const MOST_CHARACTERS = 512
const MOST_KEPT = 200
const LEAST_FRESH_SECONDS = 60
const MOST_FRESH_SECONDS = 24 * 3600
const FRESH_SECONDS = 300
/** After a failure nobody can have us ask again and again. */
const FAILED_SECONDS = 10
/** A host that is away does not end the logins of its clients (RFC 5861 §4). */
const STALE_MS = 24 * 3600_000

export function createClientDocuments({ fetch, trustLoopback, now, log }: ClientDocumentOptions): ClientDocuments {
  const kept = new Map<string, Kept>()
  const underWay = new Map<string, Promise<Kept>>()

  function remember(id: string, found: Kept): Kept {
    kept.delete(id)
    const [oldest] = kept.keys()
    if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest)
    kept.set(id, found)
    return found
  }

  async function look(id: string, url: URL): Promise<Kept> {
    const before = kept.get(id)
    const nowMs = now()
    try {
      const { status, contentType, cacheControl, body } = await fetch(url)
      const client = status === 200 && isJsonType(contentType) ? describedBy(body, id) : undefined
      if (!client) log.debug('a client metadata document describes no client', { id, status })
      return { client, fetchedAtMs: nowMs, freshUntilMs: nowMs + (client ? freshSeconds(cacheControl) : FAILED_SECONDS) * 1000 }
    } catch (thrown) {
      if (!(thrown instanceof OpenMcpError)) throw thrown
      log.debug('a client metadata document could not be fetched', { id, why: thrown.message })
      const still = before && nowMs - before.fetchedAtMs < STALE_MS ? before : undefined
      return { client: still?.client, fetchedAtMs: still?.fetchedAtMs ?? nowMs, freshUntilMs: nowMs + FAILED_SECONDS * 1000 }
    }
  }

  return {
    async find(id) {
      const url = documentUrl(id, trustLoopback)
      if (!url) return undefined
      const known = kept.get(id)
      if (known && known.freshUntilMs > now()) return known.client
      let looking = underWay.get(id)
      if (!looking) {
        looking = look(id, url).finally(() => underWay.delete(id))
        underWay.set(id, looking)
      }
      return remember(id, await looking).client
    },
    isUrl: (id) => documentUrl(id, trustLoopback) !== undefined,
  }
}

/** One spelling for one client: what a parser would change is another id. */
function documentUrl(id: string, trustLoopback: boolean): URL | undefined {
  const url = id.length <= MOST_CHARACTERS ? URL.parse(id) : null
  if (!url || url.href !== id || url.pathname === '/' || url.hash !== '' || url.username !== '' || url.password !== '') return undefined
  // It is shown as the one who vouches.
  if (!isPlainHost(url.hostname)) return undefined
  return url.protocol === 'https:' || (url.protocol === 'http:' && trustLoopback) ? url : undefined
}

function isJsonType(contentType: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType)
}

function describedBy(body: Buffer, id: string): ClientMetadata | undefined {
  const document = jsonIn(body.toString('utf8'))
  // Whoever can prove itself must not be taken for somebody who cannot.
  if (!isObject(document) || document['client_id'] !== id || ![undefined, 'none'].includes(textOf(document['token_endpoint_auth_method']))) return undefined
  if ('client_secret' in document) return undefined
  const metadata = clientMetadataOf(document)
  return isNoClient(metadata) ? undefined : metadata
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : typeof value === 'string' ? value : 'no text'
}

/** RFC 9111 §5.2, within bounds of ours. */
function freshSeconds(cacheControl: string): number {
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])/i.test(cacheControl)) return LEAST_FRESH_SECONDS
  const [, given] = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(cacheControl) ?? []
  return given === undefined ? FRESH_SECONDS : Math.min(Math.max(Number(given), LEAST_FRESH_SECONDS), MOST_FRESH_SECONDS)
}
