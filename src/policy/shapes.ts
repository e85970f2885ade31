// Whose identity is accepted, and for what: nobody is, until someone says so.

export interface TrustRule {
  /**
   * An identity as it is proved (`did:…`, `issuer|subject`), a pattern with one `*` at the start of the domain of a did:web or
   * did:webvh (`did:web:*.example.com`) or at the end (`did:key:*`, `https://issuer.example|*`), or `any`.
   */
  readonly id: string
  /** Of a did:peer:4 that was named by its long form: that, by which it is found. It is no part of what is allowed. */
  readonly long?: string | undefined
  /** What its tokens may hold at most. Undefined: `mcp`, which is everything. An empty list: nothing. */
  readonly scopes?: readonly string[] | undefined
  /** Globs over tool names (`*` any characters, `?` one). Undefined: all tools. An empty list: none. */
  readonly tools?: readonly string[] | undefined
  /** Globs over names of servers; the one at the root has the name of `--name`. Undefined: all servers. An empty list: none. */
  readonly servers?: readonly string[] | undefined
  /** From then on the rule is not there. */
  readonly untilMs?: number | undefined
}

/** What an identity, together with everybody who acts for it, may do. */
export interface Standing {
  readonly scopes: readonly string[]
  /** False: every tool may be used, so that lists need not be read. */
  readonly restricted: boolean
  /** The one function behind lists and calls. */
  mayUse(tool: string): boolean
  /** The one function behind every way in: for whom this is false, there is no server of this name. */
  mayReach(server: string): boolean
}

export interface Trust {
  /**
   * Of several rules the most specific one counts: exact before pattern, longer pattern before shorter, `any` last; of equal ones
   * the configured one. Several identities (one that acts for another) may what each of them may. Undefined: one of them is not
   * trusted, not any more, or deactivated.
   */
  standingOf(identities: readonly string[]): Standing | undefined
  /** Whether there is a rule at all. */
  readonly hasRules: boolean
  /** Reads the stored rules again; on `store_failed` what was known stays. */
  reload(): Promise<void>
  /** These instead of what the operator configured before. What is stored counts as it was read last. */
  configure(rules: readonly TrustRule[]): void
}
