// Configurations of other programs, as ours: what means the same is taken over, what has no place here is told by its path.
// Nothing is filled in, and nothing is run.
import { isObject, type JsonObject } from '../../protocol/message.ts'
import { readAsWritten } from '../config.ts'
import { DIALECTS } from './dialects.ts'
import type { Notes } from './notes.ts'
import { inOurWords } from './words.ts'

export interface Imported {
  readonly config: JsonObject
  /** What was left out, is meant otherwise, or is to be mended, by its path. */
  readonly notes: readonly string[]
}

/** Undefined: it is of no program that is known. */
export function importConfig(value: unknown): Imported | undefined {
  if (!isObject(value)) return undefined
  const dialect = DIALECTS.find(({ key, fits }) => isObject(value[key]) && (fits?.(value) ?? true))
  const servers = dialect && value[dialect.key]
  if (!dialect || !isObject(servers)) return undefined
  const told: string[] = []
  const notes: Notes = { leftOut: (path, words = 'is left out') => void told.push(`${path}: ${words}`) }
  const { [dialect.key]: _servers, ...others } = value
  const shared = dialect.shared?.(others, notes, servers) ?? { config: {}, left: others }
  const taken = Object.entries(servers).map(([name, entry]): [string, unknown] => {
    const at = `${dialect.key}.${name}`
    if (isObject(entry)) return [name, inOurWords(dialect.entry(entry, at, notes, others), at, notes)]
    notes.leftOut(at, 'is no object, and left as it is')
    return [name, entry]
  })
  for (const name of Object.keys(shared.left)) notes.leftOut(name)
  const { config, notes: mended } = withoutStrangers({ ...shared.config, mcpServers: Object.fromEntries(taken) })
  return { config, notes: [...told, ...mended] }
}

/** What nobody here knows is left out; what is known and wrong is told, and stays to be mended. */
function withoutStrangers(config: JsonObject): Imported {
  const { mistakes } = readAsWritten(JSON.stringify(config))
  const [unknown, wrong] = [mistakes.filter(isUnknown), mistakes.filter((mistake) => !isUnknown(mistake))]
  const kept = unknown.reduce<unknown>((rest, { steps }) => without(rest, steps), config)
  return {
    config: isObject(kept) ? kept : config,
    notes: [
      ...unknown.map(({ path }) => `${path}: is left out`),
      ...wrong.map(({ path, words, hint }) => `${path}: ${words}${hint === undefined ? '' : ` (${hint})`}`),
    ],
  }
}

function isUnknown({ words }: { words: string }): boolean {
  return words.startsWith('is not known')
}

function without(value: unknown, [step, ...behind]: readonly (string | number)[]): unknown {
  if (step === undefined || !isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => (name === step ? (behind.length === 0 ? [] : [[name, without(member, behind)]]) : [[name, member]])),
  )
}
