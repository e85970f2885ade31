// `openmcp test`: connect to any MCP server, say what it is, time it.
import { OpenMcpError } from '../errors.ts'
import { createLog } from '../observe/log.ts'
import { DEFAULT_LIMITS } from '../protocol/limits.ts'
import { fetchOver } from '../upstream/fetch-over.ts'
import type { CommandTarget, RemoteTarget, SocketTarget, VidTarget } from '../openmcp.ts'
import type { Arguments } from './arguments.ts'
import type { Found } from './inspect/found.ts'
import { inspectCommand } from './inspect/command.ts'
import { inspectRemote } from './inspect/remote.ts'
import { inspectSocket } from './inspect/socket.ts'
import type { Io } from './io.ts'
import { machineOf, type Machine } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { TEST_OPTIONS } from './option-table.ts'
import { proofOf } from './proof-options.ts'
import { upstreamOf } from './publish.ts'
import { commandTarget, oneOf, refuseUseless, remoteTarget, type Reading } from './target-options.ts'
import type { Proof } from './upstream-login.ts'
import { parseSeconds } from './values.ts'
import { clean, print, warn } from './terminal.ts'
import { vidTarget } from './vid-target.ts'
import { wayOf } from './way-options.ts'

const DEFAULT_SECONDS = 30
const NOTHING = { port: false, security: false, proof: false }

/** Prints what the server is on stdout. Throws, in words, when there is none to be reached in time. */
export async function test(args: Arguments, io: Io, now: () => number = () => performance.now()): Promise<number> {
  const machine = machineOf(io)
  const { target, proof, seconds, warnings } = testOptions(args, machine)
  for (const warning of warnings) warn(io, warning)
  await print(io, shown(await find({ target, proof, seconds }, machine, io, now)))
  return 0
}

/** What a server is. Fails, in words, when there is none to be reached in time. */
export function find({ target, proof, seconds }: Omit<TestOptions, 'warnings'>, machine: Machine, io: Io, now: () => number): Promise<Found> {
  return withDeadline(seconds, (signal) => {
    if (target.kind === 'command')
      return inspectCommand(target, { fetch: globalThis.fetch, signal, now, onStderr: (line) => void io.stderr.write(`${clean(line)}\n`) })
    if (target.kind === 'socket') return inspectSocket(target, { fetch: globalThis.fetch, signal, now })
    // It loads what a proxy takes.
    if (target.kind === 'vid') return import('./inspect/vid.ts').then(({ inspectVid }) => inspectVid(target, seconds, { fetch: globalThis.fetch, signal, now }))
    return fetchFor(target, proof, machine, io).then((fetch) => inspectRemote(target, { fetch, signal, now }))
  })
}

interface TestOptions {
  target: CommandTarget | RemoteTarget | SocketTarget | VidTarget
  proof?: Proof | undefined
  seconds: number
  warnings: readonly string[]
}

export function testOptions(args: Arguments, machine: Machine): TestOptions {
  const reading: Reading = { args, machine, mistakes: createMistakes(args.mistakes), warnings: [] }
  const { mistakes, warnings } = reading
  const [word = ''] = args.words
  if (args.kind === 'none' && args.mistakes.length === 0) {
    mistakes.add(new OpenMcpError('usage', 'nothing to test: there is neither an upstream nor a COMMAND', { hint: 'openmcp test http://127.0.0.1:8000/mcp' }))
  }
  const { urls = [], vid } = args.kind === 'upstream' ? (mistakes.attempt(() => upstreamOf(word)) ?? {}) : {}
  const there = { ...NOTHING, command: args.kind === 'command', upstream: args.kind === 'upstream', tsp: vid !== undefined }
  if (args.kind !== 'none') refuseUseless(reading, TEST_OPTIONS, there)
  const target = args.kind === 'command' ? commandTarget(reading) : vid ? vidTarget(reading, vid, false) : remoteTarget(reading, urls, {}, wayOf(reading, urls))
  const proof = proofOf(reading, target)
  const seconds = oneOf(reading, 'timeout', (text, as) => parseSeconds(text, as, { from: 0.1 })) ?? DEFAULT_SECONDS
  mistakes.throwIfAny()
  return { target, proof, seconds, warnings }
}

/** With what proves us, such as what a person's login has left, where the server asks for it. */
async function fetchFor(target: RemoteTarget, proof: Proof | undefined, machine: Machine, { stderr }: Io): Promise<typeof globalThis.fetch> {
  const fetch = fetchOver(target.way, DEFAULT_LIMITS)
  if (!proof) return fetch
  const [{ credentialOf }, { fetchWith }] = await Promise.all([import('./upstream-login.ts'), import('../login/credential-fetch.ts')])
  const log = createLog({ level: 'warn', format: 'text', write: (line) => void stderr.write(line), now: machine.now })
  return fetchWith(await credentialOf(proof, log), fetch)
}

async function withDeadline<T>(seconds: number, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const ending = new AbortController()
  const late = new OpenMcpError('timeout', `no answer within ${seconds} s`, { hint: '--timeout SECONDS waits longer' })
  const timer = setTimeout(() => ending.abort(late), seconds * 1000)
  try {
    return await act(ending.signal)
  } catch (error) {
    // What an aborted step threw on its own account is about the abort.
    throw ending.signal.aborted && !(error instanceof OpenMcpError) ? late : error
  } finally {
    clearTimeout(timer)
  }
}

function shown(found: Found): string {
  const { server, counts, times } = found
  const lines = [
    ['server', `${server.name} ${server.version}`],
    ['transport', found.transport],
    ['protocol', found.protocol],
    ['revisions', found.revisions.join(', ')],
    ['capabilities', capabilitiesOf(found)],
    ['tools', countOf(counts.tools)],
    ['resources', countOf(counts.resources)],
    ['resource templates', countOf(counts.resourceTemplates)],
    ['prompts', countOf(counts.prompts)],
    ['times', `connect ${ms(times.connectMs)}, initialize ${ms(times.initializeMs)}, list ${ms(times.listMs)}`],
  ]
  // A server says who it is: its words are cut and cleaned like any stranger's.
  return lines.map(([label = '', text = '']) => `${label}: ${clean(text).slice(0, 500)}\n`).join('')
}

function capabilitiesOf({ capabilities }: Found): string {
  const names = Object.entries(capabilities).map(([name, value]) => {
    const parts = Object.entries(typeof value === 'object' && value !== null ? value : {}).flatMap(([part, on]) => (on === false ? [] : part))
    return parts.length === 0 ? name : `${name} (${parts.join(', ')})`
  })
  return names.length === 0 ? 'none' : names.toSorted().join(', ')
}

function countOf(count: number | undefined): string {
  return count === undefined ? 'none' : String(count)
}

function ms(milliseconds: number): string {
  return `${Math.round(milliseconds)} ms`
}
