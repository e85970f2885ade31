// `openmcp login TARGET`: a person logs in, in a browser here or anywhere, and openmcp keeps what that gives it for TARGET.
import { createInterface } from 'node:readline'
import { OpenMcpError } from '../errors.ts'
import type { ClientChoice } from '../login/client.ts'
import { logIn } from '../login/log-in.ts'
import { createLogins, type KeptLogin, type Logins } from '../login/logins.ts'
import type { Login } from '../login/login.ts'
import type { Invitation, Person } from '../login/wait-for-code.ts'
import { shownUrl } from '../login/shown-url.ts'
import { parseTarget } from '../protocol/target.ts'
import type { Way } from '../upstream/way.ts'
import type { Arguments } from './arguments.ts'
import { clientSecretOf, parseClientId } from './client-options.ts'
import { loginsDirectory } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { openBrowser } from './open-browser.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { print, say, warn } from './terminal.ts'
import { issuerFetch } from './upstream-login.ts'
import { parseChoice, parseScope, parseSeconds } from './values.ts'
import { wayOf } from './way-options.ts'

const DEFAULT_SECONDS = 300
const HOW = 'openmcp login https://mcp.example.com/mcp'

/** Nothing goes to stdout but the list of --list: no token is ever printed. */
export async function login(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { now } = reading.machine
  const logins = createLogins({ directory: loginsDirectory(reading.machine), now })
  if (args.given.has('list')) return list(reading, logins, io)
  const { resource, way, client, scope, bound, seconds, mayOpen } = loginOptions(reading)
  for (const warning of reading.warnings) warn(io, warning)
  const ending = new AbortController()
  const late = new OpenMcpError('timeout', `nobody logged in within ${seconds} s`, { hint: '--timeout SECONDS waits longer' })
  const timer = setTimeout(() => ending.abort(late), seconds * 1000)
  try {
    const person = personAt(io, mayOpen)
    const made = await logIn({ resource, client, scope, bound, person, fetch: issuerFetch(way), now, signal: ending.signal })
    await logins.save(made)
    say(io, `logged in at ${made.issuer} for ${shownUrl(resource)}${lifeOf(made)}`)
    return 0
  } finally {
    clearTimeout(timer)
  }
}

interface LoginOptions {
  resource: URL
  way: Way | undefined
  client: ClientChoice
  scope: string | undefined
  bound: boolean
  seconds: number
  mayOpen: boolean
}

function loginOptions(reading: Reading): LoginOptions {
  const { mistakes } = reading
  const resource = targetOf(reading)
  const way = wayOf(reading, resource ? [resource] : [])
  const client = clientOf(reading)
  const scope = oneOf(reading, 'scope', parseScope)
  const bound = oneOf(reading, 'dpop', (text, as) => parseChoice(text, as, ['optional', 'required'])) === 'required'
  const seconds = oneOf(reading, 'timeout', (text, as) => parseSeconds(text, as, { from: 0.1 })) ?? DEFAULT_SECONDS
  mistakes.throwIfAny()
  if (!resource) throw new OpenMcpError('internal', 'a target that is neither there nor a mistake')
  return { resource, way, client, scope, bound, seconds, mayOpen: allOf(reading, 'no-browser').length === 0 }
}

function targetOf({ args, mistakes }: Reading): URL | undefined {
  const [word, second] = args.words
  if (word === undefined) mistakes.add(new OpenMcpError('usage', 'openmcp login does not say where', { hint: HOW }))
  if (second !== undefined) mistakes.add(new OpenMcpError('usage', `openmcp login: one word too many: '${second}'`, { hint: HOW }))
  return word === undefined ? undefined : mistakes.attempt(() => parseTarget(word))?.[0]
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

/** The one at the terminal: is shown where to go, and may paste what the browser was sent to. */
function personAt(io: Io, mayOpen: boolean): Person {
  return {
    show(invitation) {
      invite(io, invitation)
      if (!mayOpen) return
      void openBrowser(invitation.url, io).then((opened) => opened && say(io, 'a browser was opened'))
    },
    onPasted(take) {
      // Left to itself a terminal cuts a line at 1024 characters on some systems, and addresses with a code are longer.
      const isTerminal = [io.stdin, io.stderr].every((stream) => 'isTTY' in stream && stream.isTTY === true)
      const lines = createInterface({ input: io.stdin, output: io.stderr, terminal: isTerminal, historySize: 0 })
      lines.on('line', take)
      lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      return () => {
        lines.close()
        io.stdin.pause()
      }
    },
    tellWrong: (why) => warn(io, `what was pasted is no answer to this login: ${why}`),
  }
}

function invite(io: Io, { url, issuer, redirectUri }: Invitation): void {
  say(io, `${issuer} wants a person to log in; open this address in a browser:`)
  // Written as it is, for it must be copied whole: an address of the parser's own making, with no secret in it.
  io.stderr.write(`${url.href}\n`)
  say(io, `in a browser elsewhere: paste the address that it is sent to in the end (${redirectUri}?...) here`)
}

function lifeOf({ refreshToken, expiresAtMs }: Login): string {
  if (refreshToken !== undefined) return '; it is renewed by itself'
  return expiresAtMs === undefined ? '' : ` until ${new Date(expiresAtMs).toISOString()}`
}

async function list(reading: Reading, logins: Logins, io: Io): Promise<number> {
  const { args, mistakes } = reading
  const others = [...args.given.keys(), ...args.words].filter((each) => !['list', 'json', 'debug'].includes(each))
  if (others.length > 0) mistakes.add(new OpenMcpError('usage', 'openmcp login --list takes nothing else', { hint: 'openmcp login --list [--json]' }))
  mistakes.throwIfAny()
  const { kept, unreadable } = await logins.list()
  for (const { error } of unreadable) warn(io, error.message)
  if (args.given.has('json')) await print(io, `${JSON.stringify(kept.map(shown), null, 2)}\n`)
  else if (kept.length === 0) say(io, `nobody is logged in anywhere: ${HOW}`)
  else await print(io, kept.map((each) => `${Object.values(shown(each)).join(' ')}\n`).join(''))
  return 0
}

function shown({ login: { address, issuer, refreshToken, expiresAtMs } }: KeptLogin): { address: string; issuer: string; until: string } {
  const end = expiresAtMs === undefined ? 'refused' : new Date(expiresAtMs).toISOString()
  return { address: shownUrl(new URL(address)), issuer, until: refreshToken === undefined ? end : 'renewed' }
}
