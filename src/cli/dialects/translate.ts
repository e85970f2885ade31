// What was typed in the words of another proxy, in ours.
import { OpenMcpError } from '../../errors.ts'
import type { Machine } from '../machine.ts'
import { createMistakes } from '../mistakes.ts'
import { DIALECT_NAMES, type Dialect, type DialectName, type Draft, type Speech, type Target, type Translation } from './dialect.ts'
import { listen } from './listen.ts'
import { MCP_CONNECT_WORDS } from './mcp-connect.ts'
import { MCP_PROXY } from './mcp-proxy.ts'
import { MCP_REMOTE } from './mcp-remote.ts'
import { MCPO } from './mcpo.ts'
import { SUPERGATEWAY } from './supergateway.ts'

const HELP = 'openmcp help dialects says what is understood'

/** Those that are told by their options. Of two that would mean the same, the first speaks. */
const BY_OPTIONS: readonly Dialect[] = [MCP_PROXY, SUPERGATEWAY, MCP_REMOTE, MCPO]

const BY_NAME: ReadonlyMap<string, Dialect> = new Map([...BY_OPTIONS.map((dialect) => [dialect.name, dialect] as const), ['rmcp-proxy', MCP_PROXY]])

/** `--as NAME` and what follows it. Throws all that is wrong in it. */
export function translateAs(name: string, argv: readonly string[], machine: Machine): Translation {
  if (!DIALECT_NAMES.some((each) => each === name)) {
    throw new OpenMcpError('usage', `--as: '${name}' is none of its choices`, { hint: `--as takes ${DIALECT_NAMES.join(', ')}` })
  }
  if (name === 'mcp-connect') return translateWord(argv, machine)
  const dialect = BY_NAME.get(name)
  if (!dialect) throw new OpenMcpError('internal', 'a dialect that has a name and no grammar')
  return translated(dialect, listen(argv, dialect), machine, { isNamed: true, command: ['run'] })
}

/** What begins with a word of mcp-connect. */
export function translateWord([word = '', ...behind]: readonly string[], machine: Machine): Translation {
  const known = MCP_CONNECT_WORDS.get(word)
  if (word === 'notification-demo') return { argv: [word, ...behind], env: {}, warnings: [] }
  if (!known) {
    throw new OpenMcpError('usage', `'${word}' is no command of mcp-connect`, { hint: `there is ${[...MCP_CONNECT_WORDS.keys()].join(', ')}; ${HELP}` })
  }
  const dialect: Dialect = { name: 'mcp-connect', mixed: true, ...known }
  return translated(dialect, listen(behind, dialect), machine, { isNamed: true, command: known.command })
}

/** Undefined: nobody speaks like that. Throws when it is clear who does, and something in it is wrong, or when it means two things. */
export function recognise(argv: readonly string[], machine: Machine): Translation | undefined {
  const heard = BY_OPTIONS.map((dialect) => ({ dialect, speech: listen(argv, dialect) })).filter((each) => isFluent(each, machine))
  // Whoever uses nothing but words of its own goes before one that is mixed with ours.
  const tried = heard.map(({ dialect, speech }) => ({ dialect, isNative: speech.ours.length === 0, ...attempt(dialect, speech, machine) }))
  const native = tried.filter(({ isNative }) => isNative)
  const meant = native.length > 0 ? native : tried
  const [first, ...others] = meant.flatMap(({ dialect, translation }) => (translation ? [{ dialect, translation }] : []))
  if (!first) {
    const [failed] = meant
    if (failed) throw failed.error
    return undefined
  }
  const isSame = (translation: Translation | undefined): boolean => sayingsOf(translation) === sayingsOf(first.translation)
  const different = others.find(({ translation }) => !isSame(translation))
  if (different) throw ambiguous(first.dialect.name, different.dialect.name)
  return tried.find(({ translation }) => isSame(translation))?.translation
}

/** One way in more is no other meaning: of mcpo and another that would mean the same, the other speaks, and serves no more than was asked for. */
function sayingsOf(translation: Translation | undefined): string {
  const { argv = [] } = translation ?? {}
  const end = argv.indexOf('--')
  const ours = end === -1 ? argv : argv.slice(0, end)
  // But then it is a way that only one of them has.
  if (ours.includes('--root-path')) return JSON.stringify(argv)
  const isOfIt = (index: number): boolean => /^--openapi(?:-form)?$/.test(ours[index] ?? '') || ours[index - 1] === '--openapi-form'
  return JSON.stringify(argv.filter((_word, index) => !isOfIt(index)))
}

function isFluent({ dialect, speech }: { dialect: Dialect; speech: Speech }, machine: Machine): boolean {
  if (speech.unknown.length > 0 || speech.lacking.length > 0 || dialect.isPossible?.(speech) === false) return false
  return speech.isTheirs || dialect.isMeant?.(speech, machine) === true
}

function attempt(dialect: Dialect, speech: Speech, machine: Machine): { translation?: Translation; error?: unknown } {
  try {
    return { translation: translated(dialect, speech, machine, { isNamed: false, command: ['run'] }) }
  } catch (error) {
    return { error }
  }
}

function ambiguous(one: DialectName, other: DialectName): OpenMcpError {
  return new OpenMcpError('usage', `this means one thing to ${one} and another to ${other}`, {
    hint: `--as ${one} or --as ${other}, first; ${HELP}`,
  })
}

function translated(dialect: Dialect, speech: Speech, machine: Machine, how: { isNamed: boolean; command: readonly string[] }): Translation {
  const draft: Draft = {
    machine,
    isNamed: how.isNamed,
    options: [],
    env: {},
    warnings: [],
    mistakes: createMistakes([...speech.unknown.map((as) => unknown(as, dialect)), ...speech.lacking.map(lacking)]),
    said: new Map(),
    host: undefined,
    port: undefined,
  }
  for (const use of speech.uses) use.meaning.means(use, draft)
  const target = dialect.finish(speech, draft)
  draft.mistakes.throwIfAny()
  const argv = [...how.command, ...placeOf(draft, target), ...speech.ours.flat(), ...draft.options, ...wordsOf(draft, target)]
  return { argv, env: draft.env, warnings: draft.warnings }
}

function placeOf({ host, port }: Draft, target: Target): string[] {
  if (port === undefined) return []
  const bracketed = host?.includes(':') === true && !host.startsWith('[') ? `[${host}]` : host
  const bind = bracketed === undefined ? port : `${bracketed}:${port}`
  return ['-p', target.kind === 'upstream' ? `${bind}:${target.upstream}` : bind]
}

function wordsOf({ port }: Draft, target: Target): readonly string[] {
  if (target.kind === 'command') return ['--', ...target.words]
  return target.kind === 'upstream' && port === undefined ? [target.upstream] : []
}

function unknown(as: string, { name }: Dialect): OpenMcpError {
  return new OpenMcpError('usage', `${as} is an option neither of ${name} nor of openmcp`, { hint: HELP })
}

function lacking(as: string): OpenMcpError {
  return new OpenMcpError('usage', `${as} lacks its value`, { hint: HELP })
}
