// `openmcp trust`: whose identities are accepted. It acts on the store; a proxy that runs on the same store follows.
import { OpenMcpError } from '../errors.ts'
import { isVid } from '../identity/vid.ts'
import { isOpenToAll, parseIdentityPattern } from '../policy/patterns.ts'
import { addTrust, listTrust, removeTrust } from '../policy/rules.ts'
import type { TrustRule } from '../policy/shapes.ts'
import { openStore } from '../store/open-store.ts'
import type { Store } from '../store/shapes.ts'
import { forgetVid, knownFormOf, knowVid } from '../tsp/known-vids.ts'
import type { Arguments } from './arguments.ts'
import { sharedStoreUrl } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { subcommandOf, type Subcommand } from './subcommand.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { print, say, warn } from './terminal.ts'
import { identityOf, readTrustRule } from '../config/trust-rule.ts'
import { parseUntil } from './values.ts'

const SUBCOMMANDS = {
  add: {
    how: "openmcp trust add ID [--scope 'mcp:tools mcp:prompts'] [--tools 'search_*,echo'] [--server 'git*'] [--until 30d]",
    least: 1,
    most: 1,
    options: ['store', 'scope', 'tools', 'server', 'until'],
  },
  list: { how: 'openmcp trust list [--json]', least: 0, most: 0, options: ['store', 'json'] },
  remove: { how: 'openmcp trust remove ID', least: 1, most: 1, options: ['store'] },
} satisfies Record<string, Subcommand>

export async function trust(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { name, words } = subcommandOf('trust', SUBCOMMANDS, reading)
  const [id = ''] = words
  const url = sharedStoreUrl(reading)
  if (name === 'add') {
    const rule = ruleOf(id, reading)
    reading.mistakes.throwIfAny()
    const isFound = await withStore(url, reading, async (store) => {
      if ((await deactivatedIn(store)).has(rule.id)) throw staysOut(rule.id)
      // First: whoever hears of the rule reads what is known then.
      const isKnown = await knowLongForm(store, rule)
      await addTrust(store, rule)
      return isKnown
    })
    if (!isFound) say(io, `${rule.id} is a short form, and is found once it has shown its long one: 'openmcp trust add' takes that too`)
    if (isOpenToAll(rule.id)) warn(io, `whoever asks can make an identity that '${rule.id}' stands for, so nobody is kept out`)
    say(io, `trusted: ${shownRule(rule)}`)
    return 0
  }
  if (name === 'remove') {
    const known = reading.mistakes.attempt(() => identityOf(id)) ?? id
    reading.mistakes.throwIfAny()
    const [isRemoved, left] = await withStore(url, reading, async (store) => {
      const removed = await removeTrust(store, known)
      if (isVid(known)) await forgetVid(store, known)
      return [removed, await listTrust(store)]
    })
    if (!isRemoved) throw new OpenMcpError('not_found', `there is no rule for ${known} in this store`, { hint: 'openmcp trust list' })
    const wider = left.find(({ id: other }) => covers(other, known))
    if (!wider) say(io, `no longer trusted: ${known}`)
    // The rule may have been there to allow less than the wider one does.
    else warn(io, `the rule for ${known} is gone, and it is trusted still, by the one that says ${shownRule(wider)}`)
    return 0
  }
  reading.mistakes.throwIfAny()
  const [rules, deactivated] = await withStore(url, reading, async (store) => [
    await listTrust(store, (unreadable) => warn(io, `the rule for ${unreadable} cannot be read: it allows nothing`)),
    await deactivatedIn(store),
  ])
  const listed = rules.map((rule) => ({ rule, isOut: deactivated.has(rule.id) }))
  const json = listed.map(({ rule, isOut }) => ({ ...toJson(rule), ...(isOut && { deactivated: true }) }))
  if (args.given.has('json')) await print(io, `${JSON.stringify(json, null, 2)}\n`)
  else if (rules.length === 0) say(io, 'nobody is trusted yet: openmcp trust add ID')
  else await print(io, listed.map(({ rule, isOut }) => `${shownRule(rule)}${isOut ? ' but deactivated' : ''}\n`).join(''))
  return 0
}

/** The long form of a did:peer:4 is known for as long as the rule is there. False: it was not said, now or before. */
async function knowLongForm(store: Store, { id, long, untilMs }: TrustRule): Promise<boolean> {
  if (!isVid(id) || !id.startsWith('did:peer:4')) return true
  const shown = isVid(long) ? long : await knownFormOf(store, id)
  if (shown !== undefined) await knowVid(store, shown, untilMs)
  return shown !== undefined
}

/** Whom `openmcp id deactivate` shut out of this store, and no rule lets in again. */
async function deactivatedIn(store: Store): Promise<ReadonlySet<string>> {
  return new Set((await store.list('deactivated')).map(({ key }) => key))
}

/** To write a rule that counts for nothing would be to say that somebody is trusted who is not. */
function staysOut(id: string): OpenMcpError {
  return new OpenMcpError('identity_invalid', `${id} was deactivated in this store, and stays out whatever a rule says`, {
    hint: 'its holder makes another identity: openmcp id create NAME',
  })
}

/** An empty text is no word: `--scope ''` allows nothing. */
function ruleOf(id: string, reading: Reading): TrustRule {
  const scopes = oneOf(reading, 'scope', (text) => text.split(/\s+/).filter((scope) => scope !== ''))
  const tools = oneOf(reading, 'tools', (text) =>
    text
      .split(',')
      .map((glob) => glob.trim())
      .filter((glob) => glob !== ''),
  )
  const typed = allOf(reading, 'server')
  const servers = typed.length > 0 ? typed.map(({ value }) => value.trim()).filter((glob) => glob !== '') : undefined
  const until = oneOf(reading, 'until', (text, as) => parseUntil(text, as, reading.machine.now()))
  const rule = reading.mistakes.attempt(() =>
    readTrustRule({ id, ...(scopes && { scopes }), ...(tools && { tools }), ...(servers && { servers }), ...(until !== undefined && { until }) }),
  )
  return rule ?? { id, scopes: [], tools: [], servers: [] }
}

async function withStore<T>(url: string, { machine }: Pick<Reading, 'machine'>, act: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(url, { now: machine.now })
  try {
    return await act(store)
  } finally {
    await store.close()
  }
}

function covers(rule: string, identity: string): boolean {
  const pattern = parseIdentityPattern(rule)
  return pattern?.kind === 'any' || (pattern?.kind === 'pattern' && pattern.matches(identity))
}

function shownRule({ id, scopes, tools, servers, untilMs }: TrustRule): string {
  const parts = [
    scopes === undefined ? 'scope mcp' : `scopes ${scopes.join(' ') || 'none'}`,
    tools === undefined ? 'all tools' : `tools ${tools.join(',') || 'none'}`,
    ...(servers === undefined ? [] : [`servers ${servers.join(',') || 'none'}`]),
    ...(untilMs === undefined ? [] : [`until ${new Date(untilMs).toISOString()}`]),
  ]
  return `${id} (${parts.join(', ')})`
}

function toJson({ id, scopes, tools, servers, untilMs }: TrustRule): object {
  return { id, scopes, tools, servers, until: untilMs === undefined ? undefined : new Date(untilMs).toISOString() }
}
