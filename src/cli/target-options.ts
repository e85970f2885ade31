// What `run` and `test` connect to, with its environment or its headers.
import { OpenMcpError } from '../errors.ts'
import type { CommandTarget, RemoteTarget, SocketTarget } from '../openmcp.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import { childEnvironment, isSet } from '../upstream/child-environment.ts'
import { isSocket } from '../protocol/target.ts'
import type { Way } from '../upstream/way.ts'
import type { Arguments, Given } from './arguments.ts'
import { isEnvName, parseEnvFile } from './env-file.ts'
import { namesSecret, parseHeader, parseHeaderFile } from './headers.ts'
import { textOf, type Machine } from './machine.ts'
import type { Mistakes } from './mistakes.ts'
import type { OptionRule, OptionTable } from './option-table.ts'
import { refuseMixture, severalSockets } from './several-sockets.ts'
import { parseChoice } from './values.ts'

export interface Reading {
  args: Arguments
  machine: Machine
  mistakes: Mistakes
  warnings: string[]
}

/** Every use of an option, in the order typed. */
export function allOf({ args }: Pick<Reading, 'args'>, name: string): readonly Given[] {
  return args.given.get(name) ?? []
}

/** The value of an option that is given at most once; undefined when it is not given, or wrong (which is noted). */
export function oneOf<T>(reading: Pick<Reading, 'args' | 'mistakes'>, name: string, read: (text: string, as: string) => T): T | undefined {
  const [given] = allOf(reading, name)
  return given === undefined ? undefined : reading.mistakes.attempt(() => read(given.value, given.as))
}

/** COMMAND with its arguments, environment and directory. */
export function commandTarget(reading: Reading): CommandTarget {
  const { args, machine, mistakes } = reading
  const [command = '', ...rest] = args.words
  if (command === '') mistakes.add(new OpenMcpError('usage', 'COMMAND is empty'))
  transportOf(reading, ['auto', 'stdio'], 'a COMMAND speaks stdio')
  const cwd = oneOf(reading, 'cwd', (path, as) => {
    if (machine.isDirectory(path)) return machine.resolve(path)
    throw new OpenMcpError('usage', `${as}: there is no directory ${path}`)
  })
  return { kind: 'command', command, args: rest, env: environmentOf(reading), ...(cwd !== undefined && { cwd }) }
}

/** A remote server with the headers it is sent. */
export function remoteTarget(
  reading: Reading,
  urls: readonly URL[],
  several: Pick<RemoteTarget, 'others' | 'fallbacks' | 'retry'>,
  way: Way | undefined,
): RemoteTarget | SocketTarget {
  const [url] = urls
  const socket = url && isSocket(url) ? url : undefined
  const fit = socket ? ['auto', socket.protocol === 'tcp:' ? 'tcp' : 'ws'] : ['auto', 'http', 'sse']
  const transport = transportOf(reading, fit, socket ? `the upstream is ${socket.protocol}//` : 'an upstream speaks http or sse')
  const headers = { ...headersOf(reading), ...(socket?.protocol !== 'tcp:' && tokenOf(reading)) }
  const hasHeaders = Object.keys(headers).length > 0
  if (url?.protocol === 'tcp:' && hasHeaders) {
    reading.mistakes.add(new OpenMcpError('usage', 'headers are for HTTP and WebSockets, and the upstream is tcp://'))
  }
  warnOfUrl(url, hasHeaders, reading)
  reading.mistakes.attempt(() => refuseMixture(urls, several))
  if (socket && several.retry) {
    reading.mistakes.add(new OpenMcpError('usage', `--retry-… are for http(s):// upstreams, and this is ${socket.protocol}//`, { hint: 'drop them' }))
  }
  const how = way && { way }
  if (socket) return { kind: 'socket', url: socket, headers, ...severalSockets(several), ...how }
  return { kind: 'remote', urls, transport: transport === 'http' || transport === 'sse' ? transport : 'auto', headers, ...several, ...how }
}

/** What options can speak about. */
export type There = Readonly<Record<Exclude<Needed, 'program'>, boolean>> & {
  /** COMMAND, or one that has a name. Without this: COMMAND. */
  readonly program?: boolean
}
type Needed = NonNullable<OptionRule['needs']>

/** Notes every option that speaks about something that is not there: it would do nothing, and its user expects something. */
export function refuseUseless({ args, mistakes }: Reading, table: OptionTable, there: There): void {
  for (const [name, uses] of args.given) {
    const needs = table.get(name)?.needs
    const isThere = needs === undefined || (needs === 'program' ? (there.program ?? there.command) : there[needs])
    if (!isThere) mistakes.add(useless(uses[0]?.as ?? name, needs, there))
  }
}

function useless(as: string, needs: Needed, { command, upstream }: There): OpenMcpError {
  if (needs === 'security') return new OpenMcpError('usage', `${as} is for --security, and nobody is asked who they are here`, { hint: 'add --security' })
  if (needs === 'proof') return new OpenMcpError('usage', `${as} is for --security or --id, and there is neither`, { hint: `drop ${as}, or add --security` })
  if (needs === 'tsp') return new OpenMcpError('usage', `${as} is for --tsp or for an upstream named by a DID, and there is neither`, { hint: `drop ${as}` })
  if (needs === 'openapi') return new OpenMcpError('usage', `${as} is for tools as plain HTTP, and there are none`, { hint: 'add --openapi, and -p PORT' })
  if (needs === 'port') return new OpenMcpError('usage', `${as} is for a port, and openmcp serves its own stdio here`, { hint: 'add -p PORT' })
  if (needs === 'command' || needs === 'program') {
    const hint = upstream ? `drop ${as}` : `drop ${as}: a server of --config FILE has 'env', 'passEnv' and 'cwd' of its own`
    return new OpenMcpError('usage', `${as} is for a COMMAND, and there is ${upstream ? 'an upstream instead' : 'none'}`, { hint })
  }
  if (!command) return new OpenMcpError('usage', `${as} is for an upstream, and there is none`, { hint: `drop ${as}: a server of --config FILE has its own` })
  return new OpenMcpError('usage', `${as} is for an upstream, and there is a COMMAND instead`, {
    hint: as === '--id' ? `drop ${as}: it proves who we are to a server behind a URL` : 'give a COMMAND its settings with -e NAME=VALUE or --env-file FILE',
  })
}

const TRANSPORT_ALIASES = new Map([
  ['streamable-http', 'http'],
  ['streamablehttp', 'http'],
  ['websocket', 'ws'],
])

function transportOf(reading: Reading, fit: readonly string[], why: string): string | undefined {
  return oneOf(reading, 'transport', (text, as) => {
    const transport = parseChoice(TRANSPORT_ALIASES.get(text.toLowerCase()) ?? text, as, ['auto', 'http', 'sse', 'stdio', 'tcp', 'ws'])
    if (fit.includes(transport)) return transport
    if (transport === 'tcp' || transport === 'ws')
      throw new OpenMcpError('usage', `${as} ${transport} does not fit: ${why}`, { hint: `write ${transport}://HOST:PORT` })
    throw new OpenMcpError('usage', `${as} ${transport} does not fit: ${why}`, { hint: `drop ${as}` })
  })
}

function environmentOf(reading: Reading): Record<string, string> {
  const { machine, mistakes, warnings } = reading
  const set: [string, string][] = []
  for (const { as, value: file } of allOf(reading, 'env-file')) {
    set.push(...(mistakes.attempt(() => parseEnvFile(textOf(machine, as, file), file)) ?? []))
  }
  for (const { as, value } of allOf(reading, 'env')) {
    const setting = mistakes.attempt(() => parseSetting(value, as))
    if (setting === undefined) continue
    set.push(setting)
    if (namesSecret(setting[0]) && setting[1] !== '')
      warnings.push(`${as} ${setting[0]}: other programs of this machine can read a command line; --env-file and --pass-env keep a secret off it`)
  }
  return childEnvironment({ env: machine.env, platform: machine.platform, pass: passedOf(reading), set })
}

/** The variables of ours that every program of the command line gets. */
export function passedOf(reading: Reading): string[] {
  const { machine, mistakes, warnings } = reading
  const pass = allOf(reading, 'pass-env').flatMap(({ as, value }) => mistakes.attempt(() => parsePassed(value, as)) ?? [])
  const unset = pass.filter((name) => !isSet(name, machine.env, machine.platform))
  const words = unset.map((name) => `--pass-env ${name}: it is not set here, so the child does not get it`)
  warnings.push(...words.filter((each) => !warnings.includes(each)))
  return pass
}

function parseSetting(text: string, as: string): [string, string] {
  const equals = text.indexOf('=')
  const name = text.slice(0, Math.max(equals, 0))
  if (equals !== -1 && isEnvName(name)) return [name, text.slice(equals + 1)]
  // The text is not repeated: it may be a secret whose name was forgotten.
  throw new OpenMcpError('usage', `${as} takes NAME=VALUE`, { hint: '--pass-env NAME hands on a variable of yours' })
}

function parsePassed(text: string, as: string): string {
  if (isEnvName(text)) return text
  throw new OpenMcpError('usage', `${as} takes the name of a variable, and no value`, { hint: '-e NAME=VALUE sets one' })
}

const HEADER_VARIABLE = 'OPENMCP_HEADER'
const TOKEN_VARIABLE = 'API_ACCESS_TOKEN'

/** Undefined: nobody has said who we are by a header. */
export function saysWho({ machine }: Pick<Reading, 'machine'>, headers: Readonly<Record<string, string>>): string | undefined {
  if (!('authorization' in headers)) return undefined
  return (machine.env[TOKEN_VARIABLE] ?? '') === '' ? 'a header authorization' : TOKEN_VARIABLE
}

function headersOf(reading: Reading): Record<string, string> {
  const { machine, mistakes, warnings } = reading
  const headers = new Map<string, string>()
  const add = (as: string, [name, value]: readonly [string, string]) => {
    if (headers.has(name)) mistakes.add(new OpenMcpError('usage', `${as}: ${name} is given more than once`))
    headers.set(name, value)
  }
  for (const { as, value: file } of allOf(reading, 'header-file')) {
    for (const header of mistakes.attempt(() => parseHeaderFile(textOf(machine, as, file), file)) ?? []) add(as, header)
  }
  for (const [index, { as, value }] of allOf(reading, 'header').entries()) {
    const header = mistakes.attempt(() => parseHeader(value, `${as} (number ${index + 1})`))
    if (header === undefined) continue
    add(as, header)
    const [, variable] = /\$\{(\w+)\}/.exec(header[1]) ?? []
    if (variable !== undefined) mistakes.add(unfilled(as, header[0], variable))
    if (namesSecret(header[0])) warnings.push(`${as} ${header[0]}: other programs of this machine can read a command line; --header-file keeps a secret off it`)
  }
  // For clients that start us with a command line and variables, and have no other place for a secret.
  const inEnv = machine.env[HEADER_VARIABLE] ?? ''
  const readEnv = () => (inEnv.includes('\n') ? parseHeaderFile(inEnv, HEADER_VARIABLE) : [parseHeader(inEnv, HEADER_VARIABLE)])
  if (inEnv !== '') for (const header of mistakes.attempt(readEnv) ?? []) add(HEADER_VARIABLE, header)
  return Object.fromEntries(headers)
}

/** As mcp-proxy has it: for the upstream that is typed, in the place of whatever else says who we are by a header. */
function tokenOf({ machine, mistakes, warnings }: Reading): { authorization?: string } {
  const token = machine.env[TOKEN_VARIABLE] ?? ''
  if (token === '') return {}
  if (!/^[\x21-\x7e]{1,8192}$/.test(token)) {
    mistakes.add(new OpenMcpError('usage', `${TOKEN_VARIABLE} holds what is no token`, { hint: "the token alone, without 'Bearer'" }))
  }
  warnings.push(`${TOKEN_VARIABLE} is set: it goes to the upstream as its header authorization, before any other`)
  return { authorization: `Bearer ${token}` }
}

/** It would be sent as it stands, and whoever typed it means what is in the environment. */
function unfilled(as: string, name: string, variable: string): OpenMcpError {
  return new OpenMcpError('usage', `${as}: ${name} holds \${${variable}}, and nothing is filled in on a command line`, {
    hint: 'OPENMCP_HEADER and --header-file keep a value off it; --as mcp-remote, first, fills in what --header holds',
  })
}

/** What is unwise about where a server is, and what it is sent there. */
export function warnOfUrl(url: URL | undefined, hasHeaders: boolean, { warnings }: Pick<Reading, 'warnings'>): void {
  if (url === undefined) return
  if (url.protocol === 'tcp:' && !isLoopbackHost(url.hostname))
    warnings.push(`what is said to ${url.host} goes unencrypted, to whoever answers there: the upstream is tcp://`)
  const secret = [...url.searchParams.keys()].find(namesSecret)
  if (secret !== undefined)
    warnings.push(`the upstream's URL carries '${secret}': URLs end up in logs and command lines; a header keeps a secret out of them, like --header-file`)
  if (hasHeaders && ['http:', 'ws:'].includes(url.protocol) && !isLoopbackHost(url.hostname))
    warnings.push(`headers go to ${url.host} unencrypted: the upstream is ${url.protocol}//`)
}
