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

/** Whether there is a tool, by these rules. */
export function toolsBy({ allow, block = [] }: ToolRules): (tool: string) => boolean {
  const allowed = allow?.map(globMatcher)
  const blocked = block.map(globMatcher)
  return (tool) => !blocked.some((fits) => fits(tool)) && (allowed?.some((fits) => fits(tool)) ?? true)
}

/** What passes both the gate for callers and these rules. */
export function createToolsGate(gate: Gate, tools: ToolRules): Gate {
  const mayUse = toolsBy(tools)
  const rules = createGate({ standingOf: () => ({ scopes: ['mcp'], restricted: true, mayUse, mayReach: () => true }) })
  return {
    refusalOf: (caller, post) => gate.refusalOf(caller, post) ?? rules.refusalOf(caller, post),
    readsAnswers: () => true,
    filtered: (caller, post, reply) => rules.filtered(caller, post, gate.filtered(caller, post, reply)),
  }
}
