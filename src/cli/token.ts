// `openmcp token RESOURCE`: prove an identity of ours to whoever gives tokens for a resource, and print the token.
import { OpenMcpError } from '../errors.ts'
import { createIdentity, listIdentities, openIdentity } from '../identity/own-identities.ts'
import type { IdentitySigner } from '../identity/shapes.ts'
import { createDpopKey } from '../login/dpop-key.ts'
import { parseEnrolment } from '../login/enrolment.ts'
import { obtainToken } from '../login/obtain-token.ts'
import type { ObtainedToken } from '../login/token-endpoint.ts'
import { parseTarget } from '../upstream/target.ts'
import type { Arguments } from './arguments.ts'
import { keysDirectory } from './home.ts'
import type { Io } from './io.ts'
import { machineOf } from './machine.ts'
import { createMistakes } from './mistakes.ts'
import { allOf, oneOf, type Reading } from './target-options.ts'
import { print, say, warn } from './terminal.ts'
import { parseName, parseScope } from './values.ts'

/** stdout is the token and nothing else; of a bound token JSON, with the key that it is bound to. */
export async function token(args: Arguments, io: Io): Promise<number> {
  const reading: Reading = { args, machine: machineOf(io), mistakes: createMistakes(args.mistakes), warnings: [] }
  const { resource, keys, id, scope, enrolment } = tokenOptions(reading)
  const { now } = reading.machine
  const signer = await signerOf(keys, id, now, io)
  const dpop = allOf(reading, 'dpop').length > 0 ? await createDpopKey({ now }) : undefined
  const obtained = await obtainToken({ resource, signer, scope, enrolment, dpop, fetch: globalThis.fetch, now })
  say(io, `${signer.identity.vid} has a token for ${obtained.resource}${lifeOf(obtained)}`)
  if (!dpop) {
    await print(io, `${obtained.accessToken}\n`)
    return 0
  }
  warn(io, 'what is printed holds the private key that the token is bound to: whoever has both can use it')
  await print(io, `${JSON.stringify({ ...responseOf(obtained), dpop_jwk: await dpop.privateJwk() }, null, 2)}\n`)
  return 0
}

interface TokenOptions {
  resource: URL
  keys: string
  id: string | undefined
  scope: string | undefined
  enrolment: string | undefined
}

const HOW = 'openmcp token https://mcp.example.com/mcp'

function tokenOptions(reading: Reading): TokenOptions {
  const { args, mistakes } = reading
  const [word, second] = args.words
  if (word === undefined) mistakes.add(new OpenMcpError('usage', 'openmcp token does not say for which resource', { hint: HOW }))
  if (second !== undefined) mistakes.add(new OpenMcpError('usage', `openmcp token: one word too many: '${second}'`, { hint: HOW }))
  const [resource] = word === undefined ? [] : (mistakes.attempt(() => parseTarget(word)) ?? [])
  const enrolment = oneOf(reading, 'enrol', (link, as) => (parseEnrolment(link, as), link))
  const options = { keys: keysDirectory(reading), id: oneOf(reading, 'id', parseName), scope: oneOf(reading, 'scope', parseScope), enrolment }
  mistakes.throwIfAny()
  if (!resource) throw new OpenMcpError('internal', 'a resource that is neither there nor a mistake')
  return { resource, ...options }
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
