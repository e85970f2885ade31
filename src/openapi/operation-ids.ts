// What operations are called: generated clients make functions of it, and models are told it as the name of a tool.
import { createHash } from 'node:crypto'

/** What the interfaces of models take. */
const USABLE = /^[A-Za-z0-9_-]{1,64}$/
const MOST_CHARS = 64
const HASH_CHARS = 8

/**
 * An id for each of these names, in their order: the name itself where it can be one, else as much of it as can be read, and a hash. It
 * depends on the name alone, except that of names that would share one each gets its hash.
 */
export function operationIdsOf(names: readonly string[]): string[] {
  const plain = names.map((name) => (USABLE.test(name) ? name : hashed(name)))
  const counts = new Map<string, number>()
  for (const id of plain) counts.set(id, (counts.get(id) ?? 0) + 1)
  return plain.map((id, index) => (counts.get(id) === 1 ? id : hashed(`${names[index]}\n${id}`)))
}

function hashed(name: string): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS)
  const shown = name.replaceAll(/[^A-Za-z0-9_-]+/g, '_').slice(0, MOST_CHARS - HASH_CHARS - 1)
  return `${shown}_${hash}`
}
