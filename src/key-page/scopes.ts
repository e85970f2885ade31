// What a scope lets somebody do, in plain words.
const WORDS: ReadonlyMap<string, string> = new Map([
  ['mcp', 'everything that you may use'],
  ['mcp:tools', 'tools'],
  ['mcp:resources', 'resources'],
  ['mcp:prompts', 'prompts'],
  ['introspect', 'questions about the keys and tokens of others'],
])

/** Scopes that nobody has told us about are shown as they are. */
export function wordsOfScopes(scopes: readonly string[]): string {
  return scopes.map((scope) => WORDS.get(scope) ?? scope).join(', ')
}
