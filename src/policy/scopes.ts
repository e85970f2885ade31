// What a token may hold. `mcp` is everything a client does; the three below it are parts. To ask about tokens is no part of it.

/** What opens a way in. */
export const MCP_SCOPES = ['mcp', 'mcp:tools', 'mcp:resources', 'mcp:prompts'] as const
export const SCOPES = [...MCP_SCOPES, 'introspect'] as const

const ALL_OF_MCP = 'mcp'
const PARTS_OF_MCP: ReadonlySet<string> = new Set(['mcp:tools', 'mcp:resources', 'mcp:prompts'])

export function isScope(scope: string): boolean {
  return SCOPES.some((known) => known === scope)
}

/** Whether what is held is enough for one scope. */
export function covers(held: readonly string[], needed: string): boolean {
  return held.includes(needed) || (PARTS_OF_MCP.has(needed) && held.includes(ALL_OF_MCP))
}

/** What was asked for, each scope once; undefined when it is more than is held. */
export function narrowed(held: readonly string[], asked: readonly string[]): readonly string[] | undefined {
  return asked.every((scope) => covers(held, scope)) ? plain(asked) : undefined
}

/** The most that both cover. */
export function intersection(a: readonly string[], b: readonly string[]): readonly string[] {
  return plain([...a.filter((scope) => covers(b, scope)), ...b.filter((scope) => covers(a, scope))])
}

/** Each scope once, and no part beside the whole. */
function plain(scopes: readonly string[]): readonly string[] {
  const once = [...new Set(scopes)]
  return once.includes(ALL_OF_MCP) ? once.filter((scope) => !PARTS_OF_MCP.has(scope)) : once
}
