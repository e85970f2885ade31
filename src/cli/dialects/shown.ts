// A command line of ours as a person may read it, and anybody who sees the log.
import { schemeOf, shownTarget } from '../../protocol/target.ts'
import { namesSecret } from '../headers.ts'
import { RUN_OPTIONS } from '../option-table.ts'

const HIDDEN = '…'
const MOST_PASSED = 4

/** Without secrets: values of headers and variables are hidden, what a COMMAND is given, and of URLs the user and the query. */
export function shownCommand(argv: readonly string[], env: Readonly<Record<string, string>>): string {
  const [command = '', ...behind] = argv
  if (command !== 'run' && command !== 'test') return shownOther(argv)
  const shown = Object.keys(env).map((name) => `${name}=${HIDDEN}`)
  shown.push('openmcp', command)
  let passed = 0
  let at = 0
  while (at < behind.length) {
    const word = behind[at] ?? ''
    if (word === '--') return joined([...shown, '--', ...shownWords(behind.slice(at + 1))])
    const option = optionOf(word)
    if (!option) return joined([...shown, ...(schemeOf(word) === undefined ? shownWords(behind.slice(at)) : [shownTarget(word), ...behind.slice(at + 1)])])
    const value = option.takesValue ? (option.inline ?? behind[at + 1] ?? '') : undefined
    at += value === undefined || option.inline !== undefined ? 1 : 2
    if (option.name === 'pass-env') passed += 1
    if (option.name === 'pass-env' && passed > MOST_PASSED) {
      if (passed === MOST_PASSED + 1) shown.push(option.as, HIDDEN)
      continue
    }
    shown.push(option.as, ...(value === undefined ? [] : [shownValue(option.name, value)]))
  }
  return joined(shown)
}

/** Words of another command, which has options of its own. */
function shownOther(argv: readonly string[]): string {
  return joined(['openmcp', ...argv.map((word, at) => (argv[at - 1] === '-H' ? shownValue('header', word) : shownTarget(word)))])
}

function optionOf(word: string): { as: string; name: string; inline: string | undefined; takesValue: boolean } | undefined {
  if (!word.startsWith('-')) return undefined
  const [, as = word, inline] = /^(--[^=]+)=(.*)$/s.exec(word) ?? []
  const found = [...RUN_OPTIONS].find(([name, { short }]) => as === `--${name}` || (short !== undefined && as === `-${short}`))
  // Of an option that is not ours nothing is known: what is in it is hidden with it.
  return { as, name: found?.[0] ?? as.slice(2), inline, takesValue: found?.[1].value !== undefined || inline !== undefined }
}

function shownValue(option: string, value: string): string {
  if (option === 'header') return `${/^[^:=]*/.exec(value)?.[0] ?? ''}: ${HIDDEN}`
  if (option === 'env' || option === 'named-server') return `${value.slice(0, Math.max(0, value.indexOf('=')))}=${HIDDEN}`
  if (option === 'publish') return shownPublish(value)
  if (option === 'endpoints') return value.split(',').map(shownTarget).join(',')
  if (option === 'fallback' || option === 'public-url') return shownTarget(value)
  return namesSecret(option) && !option.endsWith('-file') ? HIDDEN : value
}

function shownPublish(value: string): string {
  const [, bind = '', upstream] = /^((?:\[[^\]]*\]:|[^:/]*:)?\d+:)(.+)$/s.exec(value) ?? []
  return upstream === undefined ? shownTarget(value) : `${bind}${shownTarget(upstream)}`
}

/** COMMAND has words of its own, and any of them may be a secret. */
function shownWords([command = '', ...args]: readonly string[]): string[] {
  return args.length === 0 ? [command] : [command, HIDDEN]
}

function joined(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./…[\]-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}
