// Tools that a server's operator has switched off: for every caller they do not exist, whatever else the caller may use.
import { globMatcher } from '../policy/patterns.ts'
import type { Gate } from '../protocol/gate.ts'
import { createGate } from './gate.ts'

export interface ToolRules {
  /** Globs. Undefined: all but those that are blocked. Empty: none. */
  allow?: readonly string[]
  /** Goes before what is allowed. */
  block?: readonly string[]
}

/** What passes both the gate for callers and these rules. */
export function createToolsGate(gate: Gate, { allow, block = [] }: ToolRules): Gate {
  const allowed = allow?.map(globMatcher)
  const blocked = block.map(globMatcher)
  const mayUse = (tool: string): boolean => !blocked.some((fits) => fits(tool)) && (allowed?.some((fits) => fits(tool)) ?? true)
  const rules = createGate({ standingOf: () => ({ scopes: ['mcp'], restricted: true, mayUse }) })
  return {
    refusalOf: (caller, post) => gate.refusalOf(caller, post) ?? rules.refusalOf(caller, post),
    readsAnswers: () => true,
    filtered: (caller, post, reply) => rules.filtered(caller, post, gate.filtered(caller, post, reply)),
  }
}
