// Patterns of strangers' schemas, matched in linear time (RE2): no text and no pattern makes it wait, and what is kept of them is bounded.
import { RE2JS } from 're2js'

import { spend, type Work } from './work.ts'

/** Characters of a step, times the parts of the pattern that looks at them. */
const MATCHES_A_STEP = 10
/** A longer pattern is not worth what it costs to read. */
const MOST_PATTERN_CHARS = 2000
/** A state costs as much memory as so many parts, and to read a part as much as so many steps. */
const PARTS_A_STATE = 20
/** Of all patterns that are kept, some tens of megabytes. */
const MOST_WEIGHT = 5_000_000

/** Its automaton has as many parts, and may look at each of them for each character. */
export interface Pattern {
  readonly program: RE2JS
  readonly parts: number
}

/** Undefined for what cannot be matched in linear time (what stands before and behind, what was found earlier), or is no pattern. */
export function patternOf(work: Work, text: string): Pattern | undefined {
  if (text.length > MOST_PATTERN_CHARS) return undefined
  if (kept.has(text)) return kept.get(text)
  const pattern = compiled(text)
  const cost = text.length * 4 + (pattern?.parts ?? 0) * PARTS_A_STATE
  weigh(cost)
  kept.set(text, pattern)
  spend(work, cost)
  return pattern
}

export function matches(work: Work, { program, parts }: Pattern, text: string): boolean {
  spend(work, (text.length * parts) / MATCHES_A_STEP)
  weigh(text.length * (parts + PARTS_A_STATE))
  return program.test(text)
}

const kept = new Map<string, Pattern | undefined>()
let weight = 0

/** An automaton remembers states that it was in, each with those of its parts that were reached: so it grows with what it looks at. */
function weigh(more: number): void {
  weight += more
  if (weight <= MOST_WEIGHT) return
  kept.clear()
  weight = 0
}

function compiled(text: string): Pattern | undefined {
  try {
    const program = RE2JS.compile(RE2JS.translateRegExp(text))
    return { program, parts: program.programSize() }
  } catch {
    return undefined
  }
}
