// All of a configuration: text in, checked sections out, and everything that is wrong with it at once.
import { isObject } from '../protocol/message.ts'
import { NEEDS, fill, type Filling } from './fill.ts'
import { secretsIn } from './masked.ts'
import { LIMITS, LISTEN } from './listen-section.ts'
import { RETRY } from './retry.ts'
import { SECURITY, TRUST } from './security-section.ts'
import { SERVERS, type ServerEntry } from './server-entry.ts'
import { createAt, pathOf, type At, type Finding, type Step } from './at.ts'
import { about, object, text, yesOrNo, type Members, type Shape } from './shape.ts'
import { readSource } from './source.ts'

const SECTIONS = {
  $schema: about('Where an editor finds what may stand here (openmcp config schema).', text({ to: 2048 })),
  // One that is wrong is told, and the others are looked at further.
  mcpServers: about('The servers, by name.', { ...SERVERS, read: SERVERS.readRight }),
  aggregate: about('Whether all of them are one at the root as well, with joined names.', yesOrNo()),
  listen: about('Where they are served. -p goes before it.', LISTEN),
  security: about('How callers are asked who they are. Only with --security.', SECURITY),
  trust: about('Whose word counts. Only with --security.', TRUST),
  limits: about('How much of everything.', LIMITS),
  retry: about('For every server that says nothing else.', RETRY),
  store: about('Where trust, keys and revocations are kept: file:PATH.', text({ to: 4096 })),
  name: about(
    'What the server at the root is called.',
    text({ to: 64, pattern: /^[A-Za-z0-9][A-Za-z0-9._-]*$/, says: 'must be up to 64 letters, digits, dots, dashes and underscores' }),
  ),
  // Known by name, so that nobody takes silence for work done.
  policy: notBuilt(),
  audit: notBuilt(),
  observe: notBuilt(),
}

export const CONFIG = object(SECTIONS)

type OrUndefined<T> = { [K in keyof T]: T[K] | undefined }
type Given = Members<typeof SECTIONS>

export interface ReadConfig extends Partial<OrUndefined<Omit<Given, 'mcpServers'>>> {
  /** Those that are switched on and right, by name, in the order of the file. */
  readonly servers: ReadonlyMap<string, NonNullable<ServerEntry>>
  /** Whether there is a word about who may call. */
  readonly isSecured: boolean
  /** In the order of the file. With one of them what there is besides is to be looked at, and not to be used. */
  readonly mistakes: readonly Told[]
  readonly warnings: readonly Told[]
  /** What no word of ours may hold. */
  readonly secrets: readonly string[]
  /** With everything filled in; undefined when it is no JSON. */
  readonly value: unknown
  /** Of what else is found to be wrong with a member. */
  place(steps: readonly Step[]): Place
}

export interface Place {
  readonly path: string
  /** From 1. */
  readonly line: number
}

type Told = Place & Pick<Finding, 'steps' | 'words' | 'hint' | 'notBuilt'>

/** Never fails: what is wrong is among `mistakes`. */
export function readConfig(given: string, filling: Filling): ReadConfig {
  const [mistakes, warnings]: [Finding[], Finding[]] = [[], []]
  const secrets: string[] = []
  const told = { mistake: (found: Finding) => void mistakes.push(found), warning: (found: Finding) => void warnings.push(found) }
  const source = readSource(given, createAt(told))
  const value = source && fillIn(source.value, createAt(told), filling, (each) => void secrets.push(each))
  // What could not be filled in is no text to be judged.
  const unfilled = new Set(mistakes.map(({ path }) => path))
  const at = createAt({ ...told, mistake: (found) => void (unfilled.has(found.path) || mistakes.push(found)) })
  const { mcpServers, ...sections } = source ? CONFIG.readRight(value, at) : {}
  const lineOf = (steps: readonly Step[]): number => source?.lineOf(steps) ?? 1
  return {
    ...sections,
    servers: new Map([...(mcpServers ?? [])].flatMap(([name, { entry }]) => (entry ? [[name, entry] as const] : []))),
    isSecured: isObject(value) && ('trust' in value || 'security' in value),
    mistakes: inLines(mistakes, lineOf),
    warnings: inLines(warnings, lineOf),
    secrets: [...secrets, ...secretsIn(value)],
    value,
    place: (steps) => ({ path: pathOf(steps), line: lineOf(steps) }),
  }
}

/** Without looking at what is to be filled in: for one who writes a file, and has not what it is run with. */
export function readAsWritten(given: string): Pick<ReadConfig, 'mistakes' | 'value'> {
  const unread = (): never => {
    throw new Error('no file is read here')
  }
  const { mistakes, value } = readConfig(given, { env: {}, readText: unread })
  // What it will be is not known here, and so is nothing that is wrong with it.
  const unfilled = new Set(mistakes.flatMap(({ path, words }) => (words.startsWith(NEEDS) ? [path] : [])))
  return { mistakes: mistakes.filter(({ path }) => !unfilled.has(path)), value }
}

/** Of a server that is switched off nothing has to be there to be filled in. */
function fillIn(value: unknown, at: At, filling: Filling, secret: (value: string) => void): unknown {
  if (!isObject(value)) return value
  const { mcpServers, ...others } = value
  const rest = fill(others, at, filling, secret)
  if (!isObject(mcpServers) || !isObject(rest)) return value
  const here = at.member('mcpServers')
  const entries = Object.entries(mcpServers).map(([name, entry]) => [name, isOff(entry) ? entry : fill(entry, here.member(name), filling, secret)])
  return { ...rest, mcpServers: Object.fromEntries(entries) as unknown }
}

/** Whether a server is written down and switched off. */
export function isOff(entry: unknown): boolean {
  return isObject(entry) && (entry['enabled'] === false || entry['disabled'] === true)
}

/** As many as a person reads. */
const MOST_TOLD = 100

function inLines(found: readonly Finding[], lineOf: (steps: readonly Step[]) => number): Told[] {
  const told = found.slice(0, MOST_TOLD).map((each): Told => ({ ...each, line: each.line ?? lineOf(each.steps) }))
  const more = found.length - told.length
  const inOrder = told.toSorted((a, b) => a.line - b.line)
  return more === 0 ? inOrder : [...inOrder, { path: '', steps: [], line: 1, words: `and ${more} more` }]
}

function notBuilt(): Shape<never> {
  return { read: (_value, at) => at.mistake('is not built yet; openmcp refuses it rather than run without it', { notBuilt: true }), schema: { not: {} } }
}
