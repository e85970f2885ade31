// `openmcp test`: connect to any MCP server, say what it is, time it.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { UpstreamCredential } from '../login/credential.ts'
import { createLog } from '../observe/log.ts'
import { DEFAULT_LIMITS } from '../protocol/limits.ts'
import { fetchOver } from '../upstream/fetch-over.ts'
import { fetchFollowing } from '../upstream/redirects.ts'
import type { CommandTarget, RemoteTarget, SocketTarget, VidTarget } from '../openmcp.ts'
import type { Arguments } from './arguments.ts'
import type { Asks } from './inspect/asks.ts'
import type { Found, Watch } from './inspect/found.ts'
import { inspectCommand } from './inspect/command.ts'
import { inspectRemote } from './inspect/remote.ts'
import { asJson, failureAsJson, shown, shownAsks } from './inspect/shown.ts'
import { inspectSocket } from './inspect/socket.ts'
import type { Io } from './io.ts'
import { machineOf, type Machine } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { TEST_OPTIONS } from './option-table.ts'
import { askedByHttp, proofOf } from './proof-options.ts'
import { upstreamOf } from './publish.ts'
import { commandTarget, oneOf, refuseUseless, remoteTarget, type Reading } from './target-options.ts'
import { credentialOf, issuerFetch, type Proof } from './upstream-login.ts'
import { parseSeconds } from './values.ts'
import { clean, print, warn } from './terminal.ts'
import { vidTarget } from './vid-target.ts'
import { wayOf } from './way-options.ts'

const DEFAULT_SECONDS = 30
const NOTHING = { port: false, openapi: false, security: false, proof: false }

/** Prints what the server is on stdout, or how it wants to be asked. Throws, in words, when there is none to be reached in time. */
export async function test(args: Arguments, io: Io, now: () => number = () => performance.now()): Promise<number> {
  const machine = machineOf(io)
  const { target, proof, seconds, warnings } = testOptions(args, machine)
  const isJson = args.given.has('json')
  for (const warning of warnings) warn(io, warning)
  try {
    const found = await find({ target, proof, seconds }, machine, io, now)
    await print(io, isJson ? asJson(found) : shown(found))
    return 0
  } catch (thrown) {
    const failure = toOpenMcpError(thrown)
    const { asks, told } = await refusalOf(target, failure)
    if (isJson) await print(io, failureAsJson(told, asks))
    else if (asks) await print(io, shownAsks(asks))
    throw told === failure ? thrown : told
  }
}

/** What a server that refused us says of how it wants to be asked; with that the failure says what to try. */
async function refusalOf(target: TestOptions['target'], failure: OpenMcpError): Promise<{ asks?: Asks | undefined; told: OpenMcpError }> {
  const asked = askedByHttp(target)
  const url = isRefusal(failure) && asked.kind === 'remote' ? asked.urls[0] : undefined
  if (!url) return { told: failure }
  const { whatIsAsked, refusedHow } = await import('./inspect/asks.ts')
  const asks = await whatIsAsked(url, issuerFetch(asked.kind === 'remote' ? asked.way : undefined))
  return { asks, told: asks && failure.code === 'upstream_refused' ? refusedHow(failure, url, asks) : failure }
}

function isRefusal({ code }: OpenMcpError): boolean {
  return code === 'upstream_refused' || code === 'login_failed'
}

/** What a server is. Fails, in words, when there is none to be reached in time. */
export function find({ target, proof, seconds }: Omit<TestOptions, 'warnings'>, machine: Machine, io: Io, now: () => number): Promise<Found> {
  return withDeadline(seconds, (signal) => {
    if (target.kind === 'command')
      return inspectCommand(target, { fetch: globalThis.fetch, signal, now, onStderr: (line) => void io.stderr.write(`${clean(line)}\n`) })
    if (target.kind === 'socket') return credentialFor(proof, machine, io).then((credential) => inspectSocket(target, credential, { signal, now }))
    // It loads what a proxy takes.
    if (target.kind === 'vid') return import('./inspect/vid.ts').then(({ inspectVid }) => inspectVid(target, seconds, { fetch: globalThis.fetch, signal, now }))
    return inspectByHttp(target, proof, { signal, now }, machine, io)
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
async function inspectByHttp(target: RemoteTarget, proof: Proof | undefined, watch: Pick<Watch, 'signal' | 'now'>, machine: Machine, io: Io): Promise<Found> {
  let wasAsked = false
  const bare = fetchOver(target.way, DEFAULT_LIMITS)
  const noting: typeof bare = async (input, init) => {
    const response = await bare(input, init)
    wasAsked ||= response.status === 401
    return response
  }
  const credential = await credentialFor(proof, machine, io)
  const fetch = fetchFollowing(credential ? (await import('../login/credential-fetch.ts')).fetchWith(credential, noting) : noting)
  const found = await inspectRemote(target, { fetch, ...watch })
  return { ...found, authentication: wasAsked ? 'given' : SAYS_WHO.some((name) => name in target.headers) ? 'header' : 'none' }
}

const SAYS_WHO = ['authorization', 'x-api-key']

async function credentialFor(proof: Proof | undefined, { now }: Machine, { stderr }: Io): Promise<UpstreamCredential | undefined> {
  if (!proof) return undefined
  const log = createLog({ level: 'warn', format: 'text', write: (line) => void stderr.write(line), now })
  return credentialOf(proof, log)
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
