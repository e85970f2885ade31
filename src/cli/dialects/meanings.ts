// The ways in which options of peers become options of ours.
import { OpenMcpError } from '../../errors.ts'
import type { Draft, Meaning, Use } from './dialect.ts'

type Means = Meaning['means']

/** An option without a value. */
export function flag(means: Means): Meaning {
  return { takes: () => 0, least: 0, isFlag: true, means }
}

/** An option with one. */
export function one(means: Means, isTheirs?: (value: string) => boolean): Meaning {
  return { takes: () => 1, least: 1, means, ...(isTheirs && { isTheirs: ([value = '']) => isTheirs(value) }) }
}

/** One word in our form (`K=V`), and two in that of the Python and Rust proxies (`K V`). */
export function pair(isOurForm: (word: string) => boolean, means: Means): Meaning {
  const takes = ([first = '']: readonly string[]): number => (isOurForm(first) ? 1 : 2)
  return { takes, least: 1, isTheirs: (values) => values.length === 2, means }
}

/** The same under another name. */
export function renamed(option: string): Meaning {
  return one(({ value }, draft) => put(draft, option, value))
}

/** What is so here without being asked for. */
export function always(): Meaning {
  return flag(() => {})
}

/** What only all options together mean is kept for the end. Of a switch the last use counts, and of two values none. */
export function kept(name: string): Means {
  return (use, draft) => {
    const before = draft.said.get(name)
    if (before && use.values.length > 0 && before.value !== use.value) refuse(draft, `${use.as} is given more than once`, `keep one ${use.as}`)
    draft.said.set(name, use)
  }
}

/** A part of where to listen. */
export function place(part: 'host' | 'port'): Meaning {
  return one(({ as: typed, value }, draft) => {
    const before = draft[part]
    if (before !== undefined && before !== value) refuse(draft, `${typed} ${value} and ${before} are two ${part}s to listen on`, 'keep one of them')
    draft[part] = value
  })
}

/** What the peer does and openmcp does not, with no harm done: told, and left out. */
export function leftOut(why: string): Means {
  return (use, draft) => leaveOut(draft, use, why)
}

export function leaveOut({ warnings }: Draft, { as: typed }: Pick<Use, 'as'>, why: string): void {
  warnings.push(`${typed} is left out: ${why}`)
}

/** What cannot be left out: whoever typed it relies on it. */
export function refuse({ mistakes }: Draft, what: string, hint: string): void {
  mistakes.add(new OpenMcpError('usage', what, { hint }))
}

export function refused(why: string, hint: string): Means {
  return ({ as: typed }, draft) => refuse(draft, `${typed}: ${why}`, hint)
}

/** An option of ours with its value, which may begin with a dash. */
export function put({ options }: Draft, option: string, value?: string): void {
  if (value === undefined) options.push(option)
  else if (value.startsWith('-') && option.startsWith('--')) options.push(`${option}=${value}`)
  else options.push(option, value)
}

const ANY_PAGE = 'every web page would be let in, and none is: --allow-origin ORIGIN names those that may call'

/** One origin of those that may call. What stands for all of them is not handed on. */
export function allowOrigin(origin: string, use: Use, draft: Draft): void {
  if (origin === '*') leaveOut(draft, { as: `${use.as} *` }, ANY_PAGE)
  else put(draft, '--allow-origin', origin)
}

export function allowNone(use: Use, draft: Draft): void {
  leaveOut(draft, use, ANY_PAGE)
}

const LEVELS = new Map([
  ['trace', 'debug'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warning', 'warn'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['critical', 'error'],
  ['none', 'error'],
])

/** The level that is meant, whatever its letters; one that nobody knows is left to be refused as ours. */
export function logLevel(): Meaning {
  return one(kept('log-level'), (value) => !['error', 'warn', 'info', 'debug'].includes(value.toLowerCase()) && LEVELS.has(value.toLowerCase()))
}

/** --debug goes before --log-level with all of them. */
export function putLogLevel(draft: Draft): void {
  const { said } = draft
  const [debug, level] = [said.get('debug'), said.get('log-level')]
  if (debug && !debug.as.startsWith('--no-')) put(draft, '--debug')
  else if (level) put(draft, '--log-level', LEVELS.get(level.value.toLowerCase()) ?? level.value)
}

/** A whole number of milliseconds, as seconds. */
export function secondsOf({ as: typed, value }: Use, draft: Draft): string | undefined {
  if (/^\d{1,12}$/.test(value)) return String(Number(value) / 1000)
  refuse(draft, `${typed}: '${value}' is no number of milliseconds`, `${typed} 60000`)
  return undefined
}
