// How much of everything: from the command line, else from the file, else as openmcp has it.
import { limitRules, type LimitRule } from '../config/limit-table.ts'
import { DEFAULT_LIMITS, type Limits } from '../protocol/limits.ts'
import { oneOf, type Reading } from './target-options.ts'
import { parseBytes, parseCount, parseSeconds } from './values.ts'

export function limitsOf(reading: Reading, configured: Partial<Limits> = {}): Limits {
  const limits = { ...DEFAULT_LIMITS, ...configured }
  for (const [member, rule] of limitRules()) limits[rule.limit] = oneOf(reading, optionOf(member), parserOf(rule)) ?? limits[rule.limit]
  return limits
}

/** `maxBody` is `--max-body`. */
function optionOf(member: string): string {
  return member.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function parserOf({ unit, from, to }: LimitRule): (text: string, as: string) => number {
  if (unit === 'bytes') return (text, as) => parseBytes(text, as, { from, to })
  if (unit === 'count') return (text, as) => parseCount(text, as, { from, to })
  return (text, as) => parseSeconds(text, as, { from })
}
