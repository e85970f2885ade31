// What several servers said of themselves, said once.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { LEGACY_VERSIONS } from '../../protocol/revision.ts'

/**
 * Servers come and go, also those that alone have prompts or resources: so what can be empty is always there, and can change. Tasks are
 * there when one of the servers has them.
 */
export function joinedCapabilities(each: readonly unknown[]): JsonObject {
  const known = each.filter(isObject)
  const tasks = known.map((capabilities) => capabilities['tasks']).filter(isObject)
  return {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
    logging: {},
    completions: {},
    ...(tasks.length > 0 && { tasks: Object.assign({}, ...tasks) }),
  }
}

const NEWEST = [...LEGACY_VERSIONS].toSorted().at(-1) ?? ''

/** What all of them have answered to what was asked. Revisions are named by days, so that the older one is the lesser text. */
export function lowestVersion(asked: unknown, answered: readonly unknown[]): string {
  const versions = answered.filter((version) => typeof version === 'string')
  const own = typeof asked === 'string' && LEGACY_VERSIONS.has(asked) ? asked : NEWEST
  return versions.reduce((lowest, version) => (version < lowest ? version : lowest), own)
}

export function joinedInstructions(each: readonly (readonly [name: string, instructions: unknown])[]): { instructions?: string } {
  const said = each.flatMap(([name, instructions]) => (typeof instructions === 'string' && instructions !== '' ? [`${name}:\n${instructions}`] : []))
  return said.length === 0 ? {} : { instructions: said.join('\n\n') }
}
