// Rules of trust as they are written by people and kept in the store.
import { OpenMcpError } from '../errors.ts'
import type { Store } from '../store/shapes.ts'
import { MAX_GLOB_CHARACTERS, parseIdentityPattern } from './patterns.ts'
import { isScope, SCOPES } from './scopes.ts'
import type { TrustRule } from './shapes.ts'

const MAX_GLOBS = 256
const MEMBERS = ['id', 'scopes', 'tools', 'servers', 'until']
const IDENTITIES = "a DID, ISSUER|SUBJECT, one of them ending with ':*' or '|*', did:web:*.DOMAIN, or any"
/** A day, or a moment with its zone: a time without one means another moment on another machine. */
const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/

/** `{ id, scopes?, tools?, servers?, until? }`, where until is a day or a moment of ISO 8601. Refuses with every mistake at once. */
export function parseTrustRule(value: unknown): TrustRule {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mistaken(['a rule of trust is an object with an id'])
  const { id, scopes, tools, servers, until, ...others } = Object.fromEntries(Object.entries(value))
  const mistakes = [
    ...Object.keys(others).map((name) => `${JSON.stringify(name.slice(0, 64))} is not a member of a rule of trust, which has ${MEMBERS.join(', ')}`),
    ...idMistakes(id),
    ...scopesMistakes(scopes),
    ...globsMistakes('tools', tools),
    ...globsMistakes('servers', servers),
    ...untilMistakes(until),
  ]
  if (mistakes.length > 0 || typeof id !== 'string') throw mistaken(mistakes)
  return {
    id,
    ...(isTexts(scopes) && { scopes: [...new Set(scopes)] }),
    ...(isTexts(tools) && { tools: [...new Set(tools)] }),
    ...(isTexts(servers) && { servers: [...new Set(servers)] }),
    ...(typeof until === 'string' && { untilMs: Date.parse(until) }),
  }
}

/** In place of the rule that there may be for the same id. */
export async function addTrust(store: Store, rule: TrustRule): Promise<void> {
  const { id, scopes, tools, servers, untilMs } = rule
  const until = untilMs === undefined ? undefined : new Date(untilMs).toISOString()
  await store.put('trust', { key: id, value: JSON.stringify({ id, scopes, tools, servers, until }), expiresAtMs: untilMs })
}

/** False when there was no rule for this id. */
export function removeTrust(store: Store, id: string): Promise<boolean> {
  return store.remove('trust', id)
}

/** A row that cannot be read is a rule that allows nothing: without it a wider rule would count for that identity. */
export async function listTrust(store: Store, onUnreadable: (id: string) => void = () => {}): Promise<TrustRule[]> {
  const rows = await store.list('trust')
  return rows.map(({ key, value }) => {
    try {
      const rule = parseTrustRule(JSON.parse(value))
      if (rule.id === key) return rule
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError) && !(thrown instanceof OpenMcpError)) throw thrown
    }
    onUnreadable(key)
    return { id: key, scopes: [], tools: [], servers: [] }
  })
}

function mistaken(mistakes: readonly string[]): OpenMcpError {
  return new OpenMcpError('usage', mistakes.join('; '), { hint: "like did:web:agent.example.com, with scopes mcp:tools, tools 'get_*', until 2027-01-31" })
}

function idMistakes(id: unknown): string[] {
  if (typeof id === 'string' && parseIdentityPattern(id)) return []
  return [id === '*' ? 'id: write any for every identity that can be proved' : `id: must be ${IDENTITIES}`]
}

function scopesMistakes(scopes: unknown): string[] {
  if (scopes === undefined) return []
  if (!isTexts(scopes)) return ['scopes: must be a list of texts']
  return scopes.filter((scope) => !isScope(scope)).map((scope) => `scopes: ${JSON.stringify(scope.slice(0, 64))} is none of ${SCOPES.join(', ')}`)
}

function globsMistakes(member: 'tools' | 'servers', globs: unknown): string[] {
  if (globs === undefined) return []
  if (!isTexts(globs)) return [`${member}: must be a list of texts`]
  if (globs.length > MAX_GLOBS) return [`${member}: at most ${MAX_GLOBS} patterns`]
  const areFit = globs.every((glob) => glob !== '' && glob.length <= MAX_GLOB_CHARACTERS)
  return areFit ? [] : [`${member}: a pattern has 1 to ${MAX_GLOB_CHARACTERS} characters`]
}

function untilMistakes(until: unknown): string[] {
  if (until === undefined || (typeof until === 'string' && MOMENT.test(until) && Number.isFinite(Date.parse(until)))) return []
  return ['until: must be a day (2027-01-31) or a moment with its zone (2027-01-31T12:00:00Z)']
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
