// One command line, from its first word to its exit code.
import { EXIT_CODE, OpenMcpError, toOpenMcpError } from '../errors.ts'
import { readArguments, readWords, type Arguments } from './arguments.ts'
import { COMMANDS_NOT_BUILT, WORDY, isCommand, isPeerCommand } from './commands.ts'
import type { Io } from './io.ts'
import { RUN_OPTIONS, TEST_OPTIONS } from './option-table.ts'
import type { RunOptions } from './run-options.ts'
import { print, tellFailure } from './terminal.ts'

/** Serves until it is told to stop; its number is the exit code. */
export type Run = (typed: RunOptions, io: Io) => Promise<number>

/** What a command needs of other files, loaded when it is called: a start should not wait for what it does not use. */
interface Loaders {
  loadRun: () => Promise<Run>
}

const LOADERS: Loaders = { loadRun: async () => (await import('./run.ts')).run }

/** Does what was typed, tells in words what fails, and returns the exit code. Throws nothing. */
export async function main(io: Io, loaders: Loaders = LOADERS): Promise<number> {
  let typed = typedIn(io.argv)
  try {
    const meant = await meantBy(typed, io)
    typed = typedIn(meant.argv)
    return await done(typed, meant, loaders)
  } catch (thrown) {
    tellFailure(io, thrown, { debug: typed.args.given.has('debug') })
    return EXIT_CODE[toOpenMcpError(thrown).code]
  }
}

/** The same in our words, where its first word says that it is in those of another proxy. */
async function meantBy({ command, args }: Typed, io: Io): Promise<Io> {
  const [first = '', second = ''] = io.argv
  const word = first === 'run' ? second : first
  const isTheirs = isPeerCommand(first) || word === '--as' || word.startsWith('--as=') || asksAsPeer(command, args, io.argv)
  // Of mcpo -h is the host.
  const isAsked = args.given.get('help')?.some(({ as }) => as === '--help') === true
  return isTheirs && !isAsked ? (await import('./dialects/speak.ts')).named(io) : io
}

/** `openmcp test --endpoint URL` and `openmcp config add NAME --url URL`, of which ours have understood nothing. */
function asksAsPeer(command: string, { mistakes }: Arguments, argv: readonly string[]): boolean {
  const mark = new Map([
    ['test', /^--endpoint(?:=|$)/],
    ['config', /^--(?:(?:from-)?url|search)(?:=|$)/],
  ]).get(command)
  return mark !== undefined && mistakes.length > 0 && argv.some((word) => mark.test(word))
}

interface Typed {
  command: string
  args: Arguments
}

/** The command and its arguments. Without a command it is `run`: people's hands know that from other proxies. */
function typedIn(argv: readonly string[]): Typed {
  const [word = '', ...behind] = argv
  if (word === 'test') return { command: word, args: readArguments(behind, TEST_OPTIONS, isUpstreamWord) }
  const table = WORDY.get(word)
  if (table) return { command: word, args: readWords(behind, table) }
  if (isCommand(word) || isPeerCommand(word)) return { command: word, args: readArguments(behind, RUN_OPTIONS) }
  return { command: '', args: readArguments(argv, RUN_OPTIONS) }
}

async function done({ command, args }: Typed, io: Io, { loadRun }: Loaders): Promise<number> {
  if (COMMANDS_NOT_BUILT.includes(command)) {
    throw new OpenMcpError('unavailable_option', `'openmcp ${command}' is not built yet`, { hint: 'openmcp --help lists what works' })
  }
  if (args.given.has('help')) return (await import('./help/help.ts')).tellTopic(isPeerCommand(command) || args.given.has('as') ? 'dialects' : command, io)
  if (command === 'help') return (await import('./help/help.ts')).help(args, io)
  if (args.given.has('version')) {
    const { readVersion } = await import('./version.ts')
    await print(io, `openmcp ${readVersion()}\n`)
    return 0
  }
  if (command === 'test') return (await import('./test.ts')).test(args, io)
  if (command === 'config') return (await import('./config/config.ts')).config(args, io)
  if (command === 'notification-demo') return (await import('./notification-demo.ts')).notificationDemo(args, io)
  if (command === 'id') return (await import('./id.ts')).id(args, io)
  if (command === 'key') return (await import('./key.ts')).key(args, io)
  if (command === 'login') return (await import('./login.ts')).login(args, io)
  if (command === 'reset') return (await import('./reset.ts')).reset(args, io)
  if (command === 'token') return (await import('./token.ts')).token(args, io)
  if (command === 'trust') return (await import('./trust.ts')).trust(args, io)
  if (command === '') refuseLateCommand(io.argv, args)
  const { typed, meant } = await understood(args, io)
  return (await loadRun())(typed, meant)
}

/** What `run` is to do. What it does not understand may be in the words of another proxy; what it understands is never looked at. */
async function understood(args: Arguments, io: Io): Promise<{ typed: RunOptions; meant: Io }> {
  try {
    return { typed: await readRun(args, io), meant: io }
  } catch (mistake) {
    const meant = (await import('./dialects/speak.ts')).recognised(io)
    if (!meant) throw mistake
    return { typed: await readRun(typedIn(meant.argv).args, meant), meant }
  }
}

async function readRun(args: Arguments, io: Io): Promise<RunOptions> {
  if (args.given.has('as')) throw new OpenMcpError('usage', '--as says in whose words the rest is, and goes first', { hint: 'openmcp --as mcp-proxy ...' })
  const { runOptions } = await import('./run-options.ts')
  const { machineOf } = await import('./machine.ts')
  const readConfig = args.given.has('config') ? (await import('./config-file.ts')).parseConfig : undefined
  return runOptions(args, machineOf(io), readConfig)
}

/** `openmcp -p 8000 test`: our command in the wrong place, or a program of that name? */
function refuseLateCommand(argv: readonly string[], { words, kind, given }: Arguments): void {
  const [word = ''] = words
  // With mcp-connect these may stand before its commands. Anything else is ours, and so what follows is a program.
  const isLatePeer = isPeerCommand(word) && [...given.keys()].every((name) => name === 'debug' || name === 'log-level')
  if (kind !== 'command' || !(isCommand(word) || isLatePeer) || argv.at(-words.length - 1) === '--') return
  throw new OpenMcpError('usage', `'${word}' is a command of openmcp, and goes first`, {
    hint: `openmcp ${word} [OPTIONS] ..., or '-- ${word}' for a program of that name`,
  })
}

/** A word that can only be an upstream: it has a scheme, or it is host:port and perhaps a path. */
function isUpstreamWord(word: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/|did:)/i.test(word) || /^(?:\[[\da-f:.]+\]|[^\s:/\\]+):\d+(?:[/?].*)?$/i.test(word)
}
