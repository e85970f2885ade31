// What a server lists, all pages of it, as it was when it last said so.
import type { Log } from '../observe/log.ts'
import type { ForwardedHeaders } from '../protocol/exchange.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'

export type ListKind = 'tools' | 'prompts' | 'resources' | 'resourceTemplates'

export interface Lists {
  /** The same array until something changes. Of two of one name the first is meant, and what has none is nothing. */
  all(kind: ListKind, headers: ForwardedHeaders): Promise<readonly JsonObject[]>
  /** The one of this name. For one that is not known the list is read anew, if it was not a moment ago. */
  named(kind: ListKind, name: string, headers: ForwardedHeaders): Promise<JsonObject | undefined>
  /** The server said that these are others now. */
  changed(kind: string): void
}

export interface ListsOptions {
  /** What of it there is. */
  capabilities: JsonObject
  /** Whether the server says when a list changes. Else each is read anew after a moment, or when the server said that it may be another. */
  tells: boolean
  ask(method: string, params: JsonObject, headers: ForwardedHeaders): Promise<JsonObject>
  log: Log
  now: () => number
}

/** How soon after a look another is worth its price. */
const LOOK_AGAIN_MS = 10_000
/** However long a server says that it will stay as it is. */
const KEPT_AT_MOST_MS = 3_600_000
/** More would be a server that never comes to an end. */
const MOST_PAGES = 1000
const MOST_ITEMS = 20_000
/** Of JSON. Each caller's session has its own, and documents are made of it. */
const MOST_CHARS = 16 * 1024 * 1024

/** By which each is asked for. */
export const LIST_METHODS: Readonly<Record<ListKind, string>> = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  resourceTemplates: 'resources/templates/list',
}
const NAMED_BY: Readonly<Record<ListKind, string>> = { tools: 'name', prompts: 'name', resources: 'uri', resourceTemplates: 'uriTemplate' }

interface Listed {
  readonly items: readonly JsonObject[]
  readonly byName: ReadonlyMap<string, JsonObject>
  readonly keptMs: number
}

interface Kept {
  readonly listed: Promise<Listed>
  untilMs: number
}

export function createLists({ capabilities, tells, ask, log, now }: ListsOptions): Lists {
  const known = new Map<ListKind, Kept>()
  /** When a list was read anew for a name that was not in it. */
  const missedMs = new Map<ListKind, number>()

  function look(kind: ListKind, headers: ForwardedHeaders): Promise<Listed> {
    const kept = known.get(kind)
    if (kept && kept.untilMs > now()) return kept.listed
    const fresh: Kept = { listed: read(kind, headers), untilMs: Infinity }
    known.set(kind, fresh)
    fresh.listed.then(
      ({ keptMs }) => (fresh.untilMs = now() + keptMs),
      // What failed is asked anew.
      () => known.get(kind) === fresh && known.delete(kind),
    )
    return fresh.listed
  }

  async function read(kind: ListKind, headers: ForwardedHeaders): Promise<Listed> {
    const byName = new Map<string, JsonObject>()
    let keptMs = tells ? Infinity : LOOK_AGAIN_MS
    const cursors = new Set<unknown>()
    let cursor: unknown
    let room = MOST_CHARS
    do {
      if (cursors.has(cursor) || cursors.size >= MOST_PAGES || room < 0) {
        log.warn('a list of a server has no end; only its beginning is shown', { method: LIST_METHODS[kind] })
        break
      }
      cursors.add(cursor)
      const page = await ask(LIST_METHODS[kind], cursor === undefined ? {} : { cursor }, headers)
      const { ttlMs, nextCursor } = page
      const items: unknown = page[kind]
      for (const item of Array.isArray(items) ? items.filter(isObject) : []) {
        const name = item[NAMED_BY[kind]]
        if (typeof name !== 'string' || byName.has(name)) continue
        room = byName.size < MOST_ITEMS ? room - JSON.stringify(item).length : -1
        if (room < 0) break
        byName.set(name, item)
      }
      if (!tells && typeof ttlMs === 'number') keptMs = Math.min(Math.max(ttlMs, LOOK_AGAIN_MS), KEPT_AT_MOST_MS)
      cursor = nextCursor
      if (typeof cursor === 'string') room -= cursor.length
    } while (typeof cursor === 'string' || room < 0)
    return { items: [...byName.values()], byName, keptMs }
  }

  const isOffered = (kind: ListKind): boolean => (kind === 'resourceTemplates' ? 'resources' : kind) in capabilities

  return {
    async all(kind, headers) {
      return isOffered(kind) ? (await look(kind, headers)).items : []
    },
    async named(kind, name, headers) {
      if (!isOffered(kind)) return undefined
      const found = (await look(kind, headers)).byName.get(name)
      if (found || now() - (missedMs.get(kind) ?? -Infinity) < LOOK_AGAIN_MS) return found
      missedMs.set(kind, now())
      known.delete(kind)
      return (await look(kind, headers)).byName.get(name)
    },
    changed(kind) {
      if (kind === 'tools' || kind === 'prompts' || kind === 'resources') known.delete(kind)
      if (kind === 'resources') known.delete('resourceTemplates')
    },
  }
}
