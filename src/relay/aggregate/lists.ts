// Lists of several servers as one: drained, put together under joined names, and given out by pages.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import type { Log } from '../../observe/log.ts'
import type { Caller } from '../../protocol/caller.ts'
import type { ForwardedHeaders } from '../../protocol/exchange.ts'
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { askOf, listOf } from './ask.ts'
import { within, type Joined } from './member.ts'
import { joinedName, joinedUri, serverPart, serverPartOf } from './names.ts'

interface ListKind {
  /** The capability that a server has it by. */
  readonly family: string
  /** What it is called in its answer, and what its entries are called by. */
  readonly key: string
  readonly by: string
}

export const LISTS: ReadonlyMap<string, ListKind> = new Map([
  ['tools/list', { family: 'tools', key: 'tools', by: 'name' }],
  ['prompts/list', { family: 'prompts', key: 'prompts', by: 'name' }],
  ['resources/list', { family: 'resources', key: 'resources', by: 'uri' }],
  ['resources/templates/list', { family: 'resources', key: 'resourceTemplates', by: 'uriTemplate' }],
  ['tasks/list', { family: 'tasks', key: 'tasks', by: 'taskId' }],
])

export interface Lists {
  /** A page of what all of them have now, or of what they had when the first page was given. Refuses a cursor that is not one of ours. */
  page(method: string, cursor: unknown, headers: ForwardedHeaders): Promise<JsonObject>
  /** What a joined name means, and at which server. Asked there when it is not known yet: it may have come since the last list. */
  named(method: string, called: string, headers: ForwardedHeaders): Promise<{ one: Joined; name: string } | undefined>
}

export interface ListsOptions {
  joined(): readonly Joined[]
  caller: Caller
  /** How long a server may take for its list. */
  patienceMs: number
  log: Log
}

const PAGE = 1000

export function createLists({ joined, caller, patienceMs, log }: ListsOptions): Lists {
  /** By joined name, for each kind of list. */
  const names = new Map<string, Map<string, { one: Joined; name: string }>>()
  /** What is left of the last list of each kind that had more than a page. */
  const left = new Map<string, { id: number; entries: readonly JsonObject[] }>()
  let lastId = 0

  async function entriesOf(one: Joined, method: string, { key }: ListKind, headers: ForwardedHeaders): Promise<readonly JsonObject[]> {
    const { name } = one.member
    const isCut = (): void => log.warn(`a list of the server ${name} has no end; only its beginning is shown`, { method })
    try {
      return await within(patienceMs, listOf(askOf(one, caller, headers), method, key, isCut))
    } catch (thrown) {
      log.warn(`the server ${name} is left out of a list: ${toOpenMcpError(thrown).message}`, { method })
      return []
    }
  }

  /** What is called the same as another is left out: the first is meant, whatever the second says of itself. */
  async function drained(method: string, kind: ListKind, headers: ForwardedHeaders, among: readonly Joined[]): Promise<JsonObject[]> {
    const having = among.filter(({ result }) => isObject(result['capabilities']) && kind.family in result['capabilities'])
    const lists = await Promise.all(having.map(async (one) => ({ one, items: await entriesOf(one, method, kind, headers) })))
    const known = new Map<string, { one: Joined; name: string }>()
    const entries: JsonObject[] = []
    for (const { one, items } of lists) {
      for (const item of items) {
        const name = item[kind.by]
        if (typeof name !== 'string') continue
        const called = kind.by === 'name' ? joinedName(one.member.name, name) : joinedUri(one.member.name, name)
        if (known.has(called)) {
          log.warn('two entries of a list have the same name; the second is left out', { name: called })
          continue
        }
        known.set(called, { one, name })
        entries.push({ ...item, [kind.by]: called })
      }
    }
    const before = names.get(method) ?? new Map<string, { one: Joined; name: string }>()
    const others = [...before].filter(([, { one }]) => !having.includes(one))
    names.set(method, new Map([...others, ...known]))
    return entries
  }

  function pageOf(key: string, id: number, entries: readonly JsonObject[], from: number): JsonObject {
    const to = from + PAGE
    return { [key]: entries.slice(from, to), ...(to < entries.length && { nextCursor: `${id}.${to}` }) }
  }

  return {
    async page(method, cursor, headers) {
      const kind = LISTS.get(method)
      if (!kind) throw new OpenMcpError('internal', 'no list')
      if (cursor !== undefined) {
        const [, id = '', from = ''] = /^(\d{1,9})\.(\d{1,9})$/.exec(typeof cursor === 'string' ? cursor : '') ?? []
        const snapshot = left.get(method)
        if (snapshot?.id !== Number(id) || id === '') throw new OpenMcpError('unknown_name', 'Unknown cursor', { hint: 'begin the list anew' })
        return pageOf(kind.key, snapshot.id, snapshot.entries, Number(from))
      }
      const entries = await drained(method, kind, headers, joined())
      left.delete(method)
      const id = ++lastId
      if (entries.length > PAGE) left.set(method, { id, entries })
      return pageOf(kind.key, id, entries, 0)
    },
    async named(method, called, headers) {
      const kind = LISTS.get(method)
      const still = (): { one: Joined; name: string } | undefined => {
        const found = names.get(method)?.get(called)
        return found && joined().includes(found.one) ? found : undefined
      }
      const found = still()
      if (found || !kind) return found
      const part = serverPartOf(called)
      const whose = joined().filter(({ member }) => serverPart(member.name) === part)
      if (whose.length > 0) await drained(method, kind, headers, whose)
      return still()
    },
  }
}
