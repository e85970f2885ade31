// `openmcp token RESOURCE`: prove an identity of ours to whoever gives tokens for a resource, and print the token. `openmcp token did:…`
// asks that DID, by TSP.
import { OpenMcpError } from '../errors.ts'
import { createIdentity, listIdentities, openIdentity } from '../identity/own-identities.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { parseVid } from '../identity/vid.ts'
import { createDpopKey, type DpopKey } from '../login/dpop-key.ts'
import { parseEnrolment } from '../login/enrolment.ts'
import { obtainToken } from '../login/obtain-token.ts'
import type { ObtainedToken } from '../login/token-endpoint.ts'
import { parseTarget } from '../protocol/target.ts'
import type { Way } from '../upstream/way.ts'
import type { Arguments } from './arguments.ts'
import { keysDirectory } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { print, say, warn } from './terminal.ts'
import type { TspTokenOptions } from './token-by-tsp.ts'
import { parseListenPlace } from './tsp-options.ts'
import { issuerFetch } from './upstream-login.ts'
import { parseName, parseScope, parseSeconds } from './values.ts'
import { wayOf } from './way-options.ts'

/** stdout is the token and nothing else; of a bound token JSON, with the key that it is bound to. */
export async function token(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { now } = reading.machine
  if (args.words[0]?.startsWith('did:') === true) {
    const options = tspOptions(reading)
    const dpop = await createDpopKey({ now })
    const { tokenByTsp } = await import('./token-by-tsp.ts')
    const { token: obtained, vid } = await tokenByTsp(options, dpop, io)
    await printBound(obtained, vid, dpop, { resource: obtained.resource }, io)
    return 0
  }
  const { resource, way, keys, id, scope, enrolment } = tokenOptions(reading)
  const signer = await signerOf(keys, id, now, io)
  const dpop = allOf(reading, 'dpop').length > 0 ? await createDpopKey({ now }) : undefined
  const obtained = await obtainToken({ resource, signer, scope, enrolment, dpop, fetch: issuerFetch(way), now })
  const { vid } = signer.identity
  if (dpop) {
    await printBound(obtained, vid, dpop, {}, io)
    return 0
  }
  tell(obtained, vid, io)
  await print(io, `${obtained.accessToken}\n`)
  return 0
}

/** `also` is what an issuer by HTTP need not say: whoever asked it knew. */
async function printBound(obtained: ObtainedToken, vid: string, dpop: DpopKey, also: object, io: Io): Promise<void> {
  tell(obtained, vid, io)
  warn(io, 'what is printed holds the private key that the token is bound to: whoever has both can use it')
  await print(io, `${JSON.stringify({ ...responseOf(obtained), ...also, dpop_jwk: await dpop.privateJwk() }, null, 2)}\n`)
}

function tell(obtained: ObtainedToken, vid: string, io: Io): void {
  say(io, `${vid} has a token for ${obtained.resource}${lifeOf(obtained)}`)
}

interface Common {
  keys: string
  id: string | undefined
  scope: string | undefined
  enrolment: string | undefined
}

const HOW = 'openmcp token https://mcp.example.com/mcp'
const DEFAULT_SECONDS = 10

function tokenOptions(reading: Reading): Common & { resource: URL; way: Way | undefined } {
  const { args, mistakes } = reading
  const [word] = args.words
  if (word === undefined) mistakes.add(new OpenMcpError('usage', 'openmcp token does not say for which resource', { hint: HOW }))
  const common = commonOptions(reading)
  const [resource] = word === undefined ? [] : (mistakes.attempt(() => parseTarget(word)) ?? [])
  const way = wayOf(reading, resource ? [resource] : [])
  for (const name of ['timeout', 'tsp-listen']) {
    for (const { as } of allOf(reading, name).slice(0, 1))
      mistakes.add(new OpenMcpError('usage', `${as} is for a token by TSP`, { hint: 'openmcp token did:…' }))
  }
  mistakes.throwIfAny()
  if (!resource) throw new OpenMcpError('internal', 'a resource that is neither there nor a mistake')
  return { resource, way, ...common }
}

function tspOptions(reading: Reading): TspTokenOptions {
  const { args, machine, mistakes } = reading
  const common = commonOptions(reading)
  const remote = mistakes.attempt(() => parseVid(args.words[0]))
  const seconds = oneOf(reading, 'timeout', (text, as) => parseSeconds(text, as, { from: 0.1 })) ?? DEFAULT_SECONDS
  const listen = oneOf(reading, 'tsp-listen', parseListenPlace)
  mistakes.throwIfAny()
  if (!remote) throw new OpenMcpError('internal', 'a DID that is neither there nor a mistake')
  return { ...common, remote, seconds, listen, debug: args.given.has('debug'), now: machine.now }
}

function commonOptions(reading: Reading): Common {
  const [, second] = reading.args.words
  if (second !== undefined) reading.mistakes.add(new OpenMcpError('usage', `openmcp token: one word too many: '${second}'`, { hint: HOW }))
  const enrolment = oneOf(reading, 'enrol', (link, as) => (parseEnrolment(link, as), link))
  return { keys: keysDirectory(reading), id: oneOf(reading, 'id', parseName), scope: oneOf(reading, 'scope', parseScope), enrolment }
}

const FIRST_NAME = 'default'

/** The identity that is named, else the only one there is, else a first one. Those for TSP, where a node may have its own, are to be named. */
async function signerOf(keys: string, id: string | undefined, now: () => number, io: Io): Promise<IdentitySigner> {
  if (id !== undefined) return openIdentity(keys, id)
  const all = (await listIdentities(keys)).filter(({ endpoint }) => endpoint === undefined)
  const usable = all.filter(({ deactivated }) => !deactivated)
  const [only, ...others] = usable
  if (only && others.length === 0) return openIdentity(keys, only.name)
  if (only) {
    throw new OpenMcpError('usage', `there are ${usable.length} identities, and none is named`, {
      hint: `--id ${usable.map(({ name }) => name).join(', or --id ')}`,
    })
  }
  if (all.length > 0) throw new OpenMcpError('usage', 'every identity here is deactivated', { hint: 'openmcp id create NAME makes another one' })
  const first = await createIdentity({ dir: keys, name: FIRST_NAME, method: 'key', curve: 'Ed25519', now })
  say(io, `there was no identity yet; made ${first.name}: ${first.vid}`)
  return openIdentity(keys, first.name)
}

function lifeOf({ expiresInSeconds, scope }: ObtainedToken): string {
  const life = expiresInSeconds === undefined ? '' : ` for ${expiresInSeconds} s`
  return `${life}${scope === undefined ? '' : `, scope ${scope}`}`
}

/** As the issuer has answered (RFC 6749 §5.1). */
function responseOf({ accessToken, tokenType, expiresInSeconds, scope }: ObtainedToken): object {
  return { access_token: accessToken, token_type: tokenType, expires_in: expiresInSeconds, scope }
}
