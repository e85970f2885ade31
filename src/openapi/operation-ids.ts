// What operations are called: generated clients make functions of it, and models are told it as the name of a tool.
import { createHash } from 'node:crypto'

/** What the interfaces of models take. */
const USABLE = /^[A-Za-z0-9_-]{1,64}$/
const MOST_CHARS = 64
/** So many that nobody finds two names that share one. */
const HASH_CHARS = 16
/** A name that looks like an id with a hash is hashed as well: or a tool could be called what another's id will be. */
const HASHED = /_[0-9a-f]{16}$/

export interface ToBeCalled {
  readonly name: string
  /** Of each its own. */
  readonly path: string
}

/**
 * An id for each, in their order: its name where that can be one, else as much of it as can be read, and a hash of it. It depends on the
 * name alone, except that of those that would share one each gets a hash of its path.
 */
export function operationIdsOf(operations: readonly ToBeCalled[]): string[] {
  const plain = operations.map(({ name }) => (USABLE.test(name) && !HASHED.test(name) ? name : hashed(name, name)))
  const counts = new Map<string, number>()
  for (const id of plain) counts.set(id, (counts.get(id) ?? 0) + 1)
  return operations.map(({ path }, index) => {
    const id = plain[index] ?? ''
    return counts.get(id) === 1 ? id : hashed(id, path)
  })
}

/** As FastAPI makes it of mcpo's operations: filters of Open WebUI hold such ids. */
export function idAsMcpo(name: string): string {
  return `tool_${name.replaceAll(/\W/g, '_')}_post`
}

function hashed(shown: string, what: string): string {
  const hash = createHash('sha256').update(what).digest('hex').slice(0, HASH_CHARS)
  return `${shown.replaceAll(/[^A-Za-z0-9_-]+/g, '_').slice(0, MOST_CHARS - HASH_CHARS - 1)}_${hash}`
}
