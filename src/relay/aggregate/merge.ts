// What several servers said of themselves, said once.
import { isObject, type JsonObject } from '../../protocol/message.ts'

const FAMILIES = ['tools', 'prompts', 'resources']

/** What one of them can do, they can together; that a list changes is always possible, because one of them may come or go. */
export function joinedCapabilities(each: readonly unknown[]): JsonObject {
  const known = each.filter(isObject)
  const joined: JsonObject = {}
  for (const family of FAMILIES) {
    const having = known.map((capabilities) => capabilities[family]).filter(isObject)
    if (having.length > 0) joined[family] = { listChanged: true, ...(having.some((one) => one['subscribe'] === true) && { subscribe: true }) }
  }
  for (const family of ['logging', 'completions']) if (known.some((capabilities) => isObject(capabilities[family]))) joined[family] = {}
  return joined
}

/** Revisions are named by days, so that the older one is the lesser text. */
export function lowestVersion(asked: unknown, answered: readonly unknown[]): unknown {
  const versions = answered.filter((version) => typeof version === 'string')
  if (typeof asked === 'string' && versions.every((version) => version === asked)) return asked
  return versions.reduce((lowest, version) => (version < lowest ? version : lowest), versions[0] ?? '')
}

export function joinedInstructions(each: readonly (readonly [name: string, instructions: unknown])[]): { instructions?: string } {
  const said = each.flatMap(([name, instructions]) => (typeof instructions === 'string' && instructions !== '' ? [`${name}:\n${instructions}`] : []))
  return said.length === 0 ? {} : { instructions: said.join('\n\n') }
}
