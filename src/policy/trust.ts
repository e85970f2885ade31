// Whose identity is accepted, answered on every request: what the operator configured and what the store holds, in memory.
import type { Log } from '../observe/log.ts'
import type { Store } from '../store/shapes.ts'
import { globMatcher, isOpenToAll, parseIdentityPattern } from './patterns.ts'
import { listTrust } from './rules.ts'
import { intersection } from './scopes.ts'
import type { Standing, Trust, TrustRule } from './shapes.ts'

export interface TrustOptions {
  store: Store
  configured: readonly TrustRule[]
  now: () => number
  log: Log
}

const MAX_REMEMBERED = 10_000
const EVERYTHING: readonly string[] = ['mcp']

/** Fails with `store_failed` when the store cannot be read: then nobody is trusted. */
export async function createTrust({ store, configured, now, log }: TrustOptions): Promise<Trust> {
  let ours = configured
  let stored: readonly TrustRule[] = []
  let known = await read()
  /** By identity, and by the list of several in JSON: two maps, because a name may look like a list. */
  const alone = new Map<string, Standing | undefined>()
  const chains = new Map<string, Standing | undefined>()
  /** The clock ends rules without a word from anybody: until then what is remembered is true. */
  let trueUntilMs = nextEnd(known.rules, now())
  const warned = new Set<string>()
  warnOf(known.rules)

  async function read(): Promise<{ rules: readonly Rule[]; deactivated: ReadonlySet<string> }> {
    const rules = await listTrust(store, (id) => log.warn('a stored rule of trust cannot be read and allows nothing', { id }))
    const deactivated = await store.list('deactivated')
    stored = rules
    return { rules: inOrder([...ours, ...stored]), deactivated: new Set(deactivated.map(({ key }) => key)) }
  }
  function warnOf(rules: readonly Rule[]): void {
    for (const { id } of rules) {
      if (warned.has(id) || !isOpenToAll(id)) continue
      warned.add(id)
      log.warn(id === 'any' ? 'any identity that can be proved is trusted' : `whoever asks can make an identity that '${id}' stands for, and is trusted`)
    }
  }
  function forget(): void {
    alone.clear()
    chains.clear()
    trueUntilMs = nextEnd(known.rules, now())
  }
  function recalled(memory: Map<string, Standing | undefined>, key: string, identities: readonly string[]): Standing | undefined {
    const remembered = memory.get(key)
    if (remembered || memory.has(key)) return remembered
    const standing = together(identities.map((identity) => (known.deactivated.has(identity) ? undefined : ruleFor(identity, known.rules, now()))))
    if (memory.size >= MAX_REMEMBERED) memory.clear()
    memory.set(key, standing)
    return standing
  }
  return {
    standingOf(identities) {
      if (now() >= trueUntilMs) forget()
      const [only] = identities
      return identities.length === 1 && only !== undefined ? recalled(alone, only, identities) : recalled(chains, JSON.stringify(identities), identities)
    },
    get hasRules() {
      return known.rules.some((rule) => isThere(rule, now()))
    },
    async reload() {
      known = await read()
      forget()
      warnOf(known.rules)
    },
    configure(rules) {
      ours = rules
      known = { ...known, rules: inOrder([...ours, ...stored]) }
      forget()
      warnOf(known.rules)
    },
  }
}

interface Rule {
  readonly kind: 'exact' | 'pattern' | 'any'
  readonly id: string
  readonly untilMs: number | undefined
  readonly scopes: readonly string[]
  readonly matches: (identity: string) => boolean
  /** Undefined: every tool. */
  readonly mayUse: ((tool: string) => boolean) | undefined
  /** Undefined: every server. */
  readonly mayReach: ((server: string) => boolean) | undefined
}

const RANK: Readonly<Record<Rule['kind'], number>> = { exact: 0, pattern: 1, any: 2 }

/** The most specific first. What was configured comes in before what is stored, and the order of equals is kept. */
function inOrder(rules: readonly TrustRule[]): Rule[] {
  return rules
    .flatMap((rule) => toRule(rule) ?? [])
    .toSorted((a, b) => RANK[a.kind] - RANK[b.kind] || b.id.length - a.id.length || (a.id < b.id ? -1 : Number(a.id > b.id)))
}

function toRule({ id, scopes = EVERYTHING, tools, servers, untilMs }: TrustRule): Rule | undefined {
  const pattern = parseIdentityPattern(id)
  if (!pattern) return undefined
  const matches = pattern.kind === 'pattern' ? pattern.matches : pattern.kind === 'exact' ? (identity: string) => identity === id : () => true
  return { kind: pattern.kind, id, untilMs, scopes, matches, mayUse: anyOf(tools), mayReach: anyOf(servers) }
}

/** Undefined: all. */
function anyOf(globs: readonly string[] | undefined): ((name: string) => boolean) | undefined {
  if (!globs || globs.includes('*')) return undefined
  const matchers = globs.map(globMatcher)
  return (name) => matchers.some((fits) => fits(name))
}

function isThere({ untilMs }: Rule, nowMs: number): boolean {
  return untilMs === undefined || untilMs > nowMs
}

function ruleFor(identity: string, rules: readonly Rule[], nowMs: number): Rule | undefined {
  return rules.find((rule) => isThere(rule, nowMs) && rule.matches(identity))
}

function nextEnd(rules: readonly Rule[], nowMs: number): number {
  return Math.min(...rules.flatMap(({ untilMs }) => (untilMs !== undefined && untilMs > nowMs ? [untilMs] : [])))
}

/** Several may what each of them may; nobody at all may nothing. */
function together(rules: readonly (Rule | undefined)[]): Standing | undefined {
  const [first, ...others] = rules
  if (!first) return undefined
  let { scopes } = first
  const tools = first.mayUse ? [first.mayUse] : []
  const servers = first.mayReach ? [first.mayReach] : []
  for (const rule of others) {
    if (!rule) return undefined
    scopes = intersection(scopes, rule.scopes)
    if (rule.mayUse) tools.push(rule.mayUse)
    if (rule.mayReach) servers.push(rule.mayReach)
  }
  return Object.freeze({
    scopes,
    restricted: tools.length > 0,
    mayUse: (tool: string) => tools.every((mayUse) => mayUse(tool)),
    mayReach: (server: string) => servers.every((mayReach) => mayReach(server)),
  })
}
