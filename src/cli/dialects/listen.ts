// Reads a command line with the grammar of a peer. Nothing is decided here but which word belongs to what.
import { schemeOf } from '../../protocol/target.ts'
import { RUN_OPTIONS } from '../option-table.ts'
import type { Dialect, Meaning, Speech, Use } from './dialect.ts'

/** Ours by what is typed, and whether each takes a value. `--help` and `--version` belong to whoever is asked. */
const OURS: ReadonlyMap<string, boolean> = new Map(
  [...RUN_OPTIONS].flatMap(([name, { short, value }]) => {
    const takesValue = value !== undefined
    return [[`--${name}`, takesValue] as const, ...(short === undefined ? [] : [[`-${short}`, takesValue] as const])]
  }),
)

interface Heard {
  uses: (Use & { meaning: Meaning })[]
  ours: string[][]
  words: string[]
  unknown: string[]
  lacking: string[]
  isTheirs: boolean
}

export function listen(argv: readonly string[], { options, mixed = false }: Pick<Dialect, 'options' | 'mixed'>): Speech {
  const heard: Heard = { uses: [], ours: [], words: [], unknown: [], lacking: [], isTheirs: false }
  let at = 0
  while (at < argv.length) {
    const word = argv[at] ?? ''
    if (word === '--') return { ...heard, words: [...heard.words, ...argv.slice(at + 1)], terminated: true }
    if (isOption(word)) at += hearOption(argv.slice(at), options, heard)
    else if (mixed || (heard.words.length === 0 && schemeOf(word) !== undefined)) {
      heard.words.push(word)
      at += 1
    } else return { ...heard, words: [...heard.words, ...argv.slice(at)], terminated: false }
  }
  return { ...heard, terminated: false }
}

/** How many words the option takes up, with its own. */
function hearOption([word = '', ...behind]: readonly string[], options: Dialect['options'], heard: Heard): number {
  const { as, inline } = partsOf(word, options)
  const meaning = options.get(as)
  const end = behind.findIndex((each) => each === '--' || isOption(each))
  const next = end === -1 ? behind : behind.slice(0, end)
  if (!meaning) return hearOurs(as, { word, inline, next }, heard)
  const given = inline === undefined ? [] : [inline]
  const count = Math.min(next.length, meaning.takes([...given, ...next]) - given.length)
  const values = [...given, ...next.slice(0, Math.max(0, count))]
  if (values.length < meaning.least || (inline !== undefined && meaning.isFlag)) heard.lacking.push(as)
  heard.uses.push({ as, values, value: values[0] ?? '', meaning })
  heard.isTheirs ||= !OURS.has(as) || meaning.isTheirs?.(values) === true
  return 1 + Math.max(0, count)
}

function hearOurs(as: string, { word, inline, next }: { word: string; inline: string | undefined; next: readonly string[] }, heard: Heard): number {
  const takesValue = OURS.get(as)
  if (takesValue === undefined) {
    heard.unknown.push(as)
    return 1
  }
  const value = takesValue && inline === undefined ? next.slice(0, 1) : []
  heard.ours.push([word, ...value])
  return 1 + value.length
}

/** `--port=8000` and `-p8000` hold their value; so does `-p=8000`. */
function partsOf(word: string, options: Dialect['options']): { as: string; inline: string | undefined } {
  const [, long, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? []
  if (long !== undefined && value !== undefined) return { as: long, inline: value }
  const short = word.slice(0, 2)
  const takesValue = options.get(short)?.least === 1 || OURS.get(short) === true
  if (word.startsWith('--') || word.length === 2 || !takesValue) return { as: word, inline: undefined }
  return { as: short, inline: word.slice(2).replace(/^=/, '') }
}

function isOption(word: string): boolean {
  return /^-./s.test(word) && word !== '--'
}
