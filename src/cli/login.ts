// `openmcp login TARGET`: a person logs in, in a browser here or anywhere, and openmcp keeps what that gives it for TARGET.
import { OpenMcpError } from '../errors.ts'
import type { ClientChoice } from '../login/client.ts'
import type { LoginAsked } from '../login/before-login.ts'
import { logIn } from '../login/log-in.ts'
import { everyLogin } from '../login/every-login.ts'
import { createLogins, type KeptLogin } from '../login/logins.ts'
import type { Login } from '../login/login.ts'
import { shownUrl } from '../login/shown-url.ts'
import type { Way } from '../upstream/way.ts'
import type { Arguments } from './arguments.ts'
import { clientSecretOf, parseClientId, parseResource } from './client-options.ts'
import { loginsDirectory } from './home.ts'
import type { Io } from './io.ts'
import { loginAtAnotherDevice, personAt } from './login-person.ts'
import { loginTarget } from './login-target.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { print, say, warn } from './terminal.ts'
import { issuerFetch } from './upstream-login.ts'
import { parseChoice, parseScope, parseSeconds } from './values.ts'

const DEFAULT_SECONDS = 300
const HOW = 'openmcp login https://mcp.example.com/mcp'

/** Nothing goes to stdout but the list of --list: no token is ever printed. */
export async function login(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { now } = reading.machine
  const where = { directory: loginsDirectory(reading.machine), now }
  if (args.given.has('list')) return list(reading, where, io)
  const { way, seconds, mayOpen, isElsewhere, ...asked } = await loginOptions(reading)
  for (const warning of reading.warnings) warn(io, warning)
  const ending = new AbortController()
  const late = new OpenMcpError('timeout', `nobody logged in within ${seconds} s`, { hint: '--timeout SECONDS waits longer' })
  const timer = setTimeout(() => ending.abort(late), seconds * 1000)
  try {
    const options = { ...asked, fetch: issuerFetch(way), now, signal: ending.signal }
    const made = isElsewhere ? await loginAtAnotherDevice(options, io) : await logIn({ ...options, person: personAt(io, mayOpen) })
    await createLogins(where).save(made)
    say(io, `logged in at ${made.issuer} for ${shownUrl(asked.resource)}${lifeOf(made)}`)
    return 0
  } finally {
    clearTimeout(timer)
  }
}

interface LoginOptions extends Pick<LoginAsked, 'resource' | 'issuer' | 'client' | 'scope' | 'indicator' | 'isPkceTrusted' | 'bound'> {
  way: Way | undefined
  seconds: number
  mayOpen: boolean
  /** The person has a browser at another device alone. */
  isElsewhere: boolean
}

/** What is typed goes before what a file says. */
async function loginOptions(reading: Reading): Promise<LoginOptions> {
  const { mistakes } = reading
  const target = await loginTarget(reading)
  const { issuer, scope, resource, clientId: id, clientSecret: secret, grant, trustPkce = false } = target?.oauth ?? {}
  const typed = clientOf(reading)
  const options = {
    client: typed.id === undefined && typed.metadataUrl === undefined ? { id, secret } : typed,
    scope: oneOf(reading, 'scope', parseScope) ?? scope,
    indicator: oneOf(reading, 'resource', parseResource) ?? resource,
    bound: oneOf(reading, 'dpop', (text, as) => parseChoice(text, as, ['optional', 'required'])) === 'required',
    seconds: oneOf(reading, 'timeout', (text, as) => parseSeconds(text, as, { from: 0.1 })) ?? DEFAULT_SECONDS,
    mayOpen: allOf(reading, 'no-browser').length === 0,
    isPkceTrusted: trustPkce || allOf(reading, 'trust-pkce').length > 0,
    isElsewhere: allOf(reading, 'device').length > 0 || grant === 'device',
  }
  mistakes.throwIfAny()
  if (!target) throw new OpenMcpError('internal', 'a target that is neither there nor a mistake')
  return { resource: target.resource, way: target.way, issuer: issuer === undefined ? undefined : new URL(issuer), ...options }
}

function clientOf(reading: Reading): ClientChoice {
  const { mistakes } = reading
  const id = oneOf(reading, 'client-id', parseClientId)
  const metadataUrl = oneOf(reading, 'client-metadata-url', parseMetadataUrl)
  const isNamed = allOf(reading, 'client-id').length > 0
  const typed = isNamed ? undefined : ['client-secret', 'client-secret-file'].flatMap((name) => allOf(reading, name))[0]
  if (typed) mistakes.add(new OpenMcpError('usage', `${typed.as} is for --client-id`, { hint: '--client-id ID' }))
  if (isNamed && allOf(reading, 'client-metadata-url').length > 0) {
    mistakes.add(new OpenMcpError('usage', '--client-id and --client-metadata-url both say who we are', { hint: 'drop one of them' }))
  }
  return { id, secret: isNamed || typed ? clientSecretOf(reading) : undefined, metadataUrl }
}

function parseMetadataUrl(text: string, as: string): URL {
  const url = text.length <= 2048 && URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.pathname !== '/' && url.hash === '' && url.username === '' && url.password === '') return url
  throw new OpenMcpError('usage', `${as} takes the https address of a client id metadata document, with a path`)
}

function lifeOf({ refreshToken, expiresAtMs }: Login): string {
  if (refreshToken !== undefined) return '; it is renewed by itself'
  return expiresAtMs === undefined ? '' : ` until ${new Date(expiresAtMs).toISOString()}`
}

async function list(reading: Reading, where: Parameters<typeof everyLogin>[0], io: Io): Promise<number> {
  const { args, mistakes } = reading
  const others = [...args.given.keys(), ...args.words].filter((each) => !['list', 'json', 'debug'].includes(each))
  if (others.length > 0) mistakes.add(new OpenMcpError('usage', 'openmcp login --list takes nothing else', { hint: 'openmcp login --list [--json]' }))
  mistakes.throwIfAny()
  const { kept, unreadable } = await everyLogin(where)
  for (const { error } of unreadable) warn(io, error.message)
  if (args.given.has('json')) await print(io, `${JSON.stringify(kept.map(shown), null, 2)}\n`)
  else if (kept.length === 0) say(io, `nobody is logged in anywhere: ${HOW}`)
  else await print(io, kept.map(lineOf).join(''))
  return 0
}

interface Shown {
  readonly address: string
  readonly issuer: string
  readonly until: string
  /** Whose it is, where it is not for all. */
  readonly server?: string
  readonly caller?: string
}

function shown({ login: { address, issuer, refreshToken, expiresAtMs, holder } }: KeptLogin): Shown {
  const end = expiresAtMs === undefined ? 'refused' : new Date(expiresAtMs).toISOString()
  const whose = holder && { server: holder.server, caller: holder.caller }
  return { address: shownUrl(new URL(address)), issuer, until: refreshToken === undefined ? end : 'renewed', ...whose }
}

function lineOf(one: KeptLogin): string {
  const { address, issuer, until, server, caller } = shown(one)
  return `${address} ${issuer} ${until}${server === undefined ? '' : ` of ${caller} at ${server}`}\n`
}
