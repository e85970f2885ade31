// The second word of a command (`trust add`): what it is called, how many words follow it, and which options are about it.
import { OpenMcpError } from '../errors.ts'
import type { Reading } from './target-options.ts'

export interface Subcommand {
  /** How it is typed. */
  readonly how: string
  /** How many words may follow. */
  readonly least: number
  readonly most: number
  /** Those of its command's options that it takes. */
  readonly options: readonly string[]
}

const EVERYWHERE = ['debug', 'help']

/** The subcommand and the words behind it. Notes what is there and would be ignored. */
export function subcommandOf<Name extends string>(
  command: string,
  all: Readonly<Record<Name, Subcommand>>,
  { args, mistakes }: Pick<Reading, 'args' | 'mistakes'>,
): { name: Name; words: readonly string[] } {
  const [typed, ...words] = args.words
  const names = Object.keys(all) as Name[] // a literal of ours: it has these keys and no others
  const name = names.find((each) => each === typed)
  if (name === undefined) {
    const what = typed === undefined ? `openmcp ${command} does not say what to do` : `openmcp ${command} has no '${typed}'`
    throw new OpenMcpError('usage', what, { hint: `there is ${names.join(', ')}` })
  }
  const { how, least, most, options } = all[name]
  if (words.length < least) mistakes.add(new OpenMcpError('usage', `openmcp ${command} ${name} lacks a word`, { hint: how }))
  if (words.length > most) mistakes.add(new OpenMcpError('usage', `openmcp ${command} ${name}: one word too many: '${words[most] ?? ''}'`, { hint: how }))
  for (const [option, uses] of args.given) {
    if (![...EVERYWHERE, ...options].includes(option)) {
      mistakes.add(new OpenMcpError('usage', `openmcp ${command} ${name} takes no ${uses[0]?.as ?? option}`, { hint: how }))
    }
  }
  return { name, words }
}
