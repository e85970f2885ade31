// Where our options end and the words of another program begin.
import { parseArgs } from 'node:util'
import { OpenMcpError } from '../errors.ts'
import { schemeOf } from '../protocol/target.ts'
import { nearestOption } from './nearest.ts'
import type { OptionRule, OptionTable } from './option-table.ts'

/** One use of an option, by the name that was typed (`-p` or `--publish`). */
export interface Given {
  as: string
  value: string
}

export interface Arguments {
  /** Our options by their long name. One without a value has the value ''. */
  given: ReadonlyMap<string, readonly Given[]>
  /** COMMAND ARG…, untouched; or one upstream. */
  words: readonly string[]
  /** What the words are. */
  kind: 'none' | 'command' | 'upstream'
  /** Refusals of single options: told together with what their values turn out to be. */
  mistakes: readonly OpenMcpError[]
}

interface Token {
  kind: 'option' | 'positional' | 'option-terminator'
  index: number
  name?: string
  rawName?: string
  value?: string | undefined
  inlineValue?: boolean | undefined
}

/**
 * Our options end at the first word that is neither one of them nor the value of one, or at `--`. An upstream is no program,
 * so behind one (and only there) our options may go on.
 */
export function readArguments(args: readonly string[], table: OptionTable, isUpstream = hasScheme): Arguments {
  const first = scan(args, table)
  const [word, ...behind] = first.rest
  if (word === undefined) return { ...strictly(first.options, table), words: [], kind: 'none' }
  if (first.terminated || !isUpstream(word)) return { ...strictly(first.options, table), words: first.rest, kind: 'command' }
  const second = scan(behind, table)
  const { given, mistakes } = strictly([...first.options, ...second.options], table)
  return { given, mistakes: [...mistakes, ...second.rest.slice(0, 1).map(secondWord)], words: [word], kind: 'upstream' }
}

/** For commands that start no program: options may stand before, between and behind the words. */
export function readWords(args: readonly string[], table: OptionTable): Arguments {
  const { tokens } = parseArgs({ args: [...args], options: parseArgsOptions(table), strict: false, allowPositionals: true, tokens: true })
  const options = tokens.filter((token) => token.kind === 'option')
  const words = tokens.flatMap((token) => (token.kind === 'positional' ? token.value : []))
  return { ...strictly(options, table), words, kind: 'none' }
}

function hasScheme(word: string): boolean {
  return schemeOf(word) !== undefined
}

function scan(args: readonly string[], table: OptionTable): { options: Token[]; rest: readonly string[]; terminated: boolean } {
  const { tokens } = parseArgs({ args: [...args], options: parseArgsOptions(table), strict: false, allowPositionals: true, tokens: true })
  const end = tokens.findIndex((token) => token.kind !== 'option')
  if (end === -1) return { options: tokens, rest: [], terminated: false }
  const stop = tokens[end]
  const terminated = stop?.kind === 'option-terminator'
  return { options: tokens.slice(0, end), rest: args.slice((stop?.index ?? 0) + (terminated ? 1 : 0)), terminated }
}

function parseArgsOptions(table: OptionTable): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  return Object.fromEntries(
    [...table].map(([name, { short, value }]) => [name, { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) }]),
  )
}

/** The strict second pass. parseArgs has one too, but that stops at the first mistake and puts values into its messages. */
function strictly(tokens: readonly Token[], table: OptionTable): Pick<Arguments, 'given' | 'mistakes'> {
  const given = new Map<string, Given[]>()
  const mistakes: OpenMcpError[] = []
  for (const token of tokens) {
    const { name = '', rawName: as = '' } = token
    const rule = table.get(name)
    const before = given.get(name) ?? []
    const mistake = rule === undefined ? unknown(as, table) : mistakeOf(token, as, rule, before)
    if (mistake === undefined) given.set(name, [...before, { as, value: valueOf(token) }])
    else mistakes.push(mistake)
  }
  return { given, mistakes }
}

function mistakeOf(token: Token, as: string, rule: OptionRule, before: readonly Given[]): OpenMcpError | undefined {
  if (rule.notBuilt === true)
    return new OpenMcpError('unavailable_option', `${as} is not built yet; openmcp refuses it rather than run without it`, {
      hint: 'openmcp --help lists what works',
    })
  if (rule.value === undefined) return token.value === undefined ? undefined : new OpenMcpError('usage', `${as} takes no value`)
  if (token.value === undefined || (token.value === '' && token.inlineValue === true))
    return new OpenMcpError('usage', `${as} lacks its value`, { hint: `${as} ${rule.value}` })
  if (token.inlineValue !== true && /^-./.test(token.value)) {
    return new OpenMcpError('usage', `${as} lacks its value: what follows looks like an option`, {
      hint: `--${token.name}=VALUE takes a value that begins with a dash`,
    })
  }
  if (before.length > 0 && rule.repeats !== true) return new OpenMcpError('usage', `${as} is given more than once`, { hint: `keep one ${as} ${rule.value}` })
  return undefined
}

/** `-p=8000` is what `--publish=8000` is; parseArgs leaves the sign in. */
function valueOf({ value = '', rawName = '', inlineValue }: Token): string {
  return inlineValue === true && !rawName.startsWith('--') && value.startsWith('=') ? value.slice(1) : value
}

function unknown(as: string, table: OptionTable): OpenMcpError {
  const nearest = nearestOption(as, table)
  const hint = nearest === undefined ? "openmcp run --help lists the options; those of COMMAND go behind it, or behind '--'" : `did you mean ${nearest}`
  return new OpenMcpError('usage', `unknown option ${as}`, { hint })
}

function secondWord(word: string): OpenMcpError {
  return new OpenMcpError('usage', `one word too many behind the upstream: '${word}'`, { hint: 'give an upstream or a COMMAND' })
}
