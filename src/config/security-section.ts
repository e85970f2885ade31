// `security` and `trust`: how callers are asked who they are, and whose word counts.
import { OpenMcpError } from '../errors.ts'
import { MAX_GLOB_CHARACTERS } from '../policy/patterns.ts'
import { SCOPES } from '../policy/scopes.ts'
import type { TrustRule } from '../policy/shapes.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import { safeUrlOf, serverUrlOf } from './addresses.ts'
import { TOKEN_SECONDS } from './limit-table.ts'
import type { At } from './at.ts'
import { about, choice, listOf, meaning, number, object, text, yesOrNo, type Members, type Shape } from './shape.ts'
import { readTrustRule } from './trust-rule.ts'
import { identityName } from './words.ts'

const NO_SERVER = 'must be an https URL (http for loopback), without user, query and fragment'

const SECURITY_MEMBERS = {
  dpop: about('Whether tokens are bound to a key (DPoP), as --dpop; optional unless given.', choice(['optional', 'required', 'nonce'])),
  tokenLife: about('Seconds a token lives, as --token-life; 900 unless given.', seconds()),
  trustLoopback: about('Whether documents of DIDs and clients, and keys of issuers, may be fetched from this machine, by http too.', yesOrNo()),
  keyServer: about('Another openmcp that knows the API keys (url), and the name of our identity that is proved to it (id).', keyServer()),
}

export const SECURITY = object(SECURITY_MEMBERS)
export type SecuritySection = Members<typeof SECURITY_MEMBERS>

const IDENTITY_MEMBERS = {
  id: about('A DID, ISSUER|SUBJECT, one of them with `:*` or `|*` at its end, `did:web:*.DOMAIN` or `did:webvh:*.DOMAIN`, or any.', text({ to: 8192 })),
  scopes: about('What it may be given at most; ["mcp"] unless given. An empty list: nothing.', listOf(choice(SCOPES))),
  tools: about('Patterns of the tools it may use; all unless given. An empty list: none.', listOf(text({ to: MAX_GLOB_CHARACTERS }), { to: 256 })),
  servers: about('Patterns of the servers it may use; all unless given. An empty list: none.', listOf(text({ to: MAX_GLOB_CHARACTERS }), { to: 256 })),
  until: about('A day (2027-01-31), or a moment with its zone: from then on the rule is not there.', text({ to: 64 })),
}

/** A configured issuer, as tokens/trusted-issuer.ts has it. */
export interface IssuerEntry {
  readonly issuer: string
  readonly audience?: string | undefined
  readonly jwks?: { keys: (JsonObject & { kty: string })[] } | undefined
  readonly jwksUri?: string | undefined
  readonly did?: string | undefined
  readonly identityClaim?: string | undefined
  readonly reusable?: boolean | undefined
}

const ISSUER_MEMBERS = {
  issuer: about('The iss of its tokens, exactly.', meaning(text({ to: 2048 }), nameOfIssuer)),
  audience: about('The aud of its access tokens. Without it they are assertions for /token alone.', text({ to: 2048 })),
  jwks: about('Its public keys, here.', publicKeys()),
  jwksUri: about(
    'Or where they are.',
    checked((uri) => safeUrlOf(uri) !== undefined, 'must be an https URL (http for loopback)'),
  ),
  did: about(
    'Or the DID whose authentication keys sign. Exactly one of these three.',
    checked((did) => /^did:[a-z0-9]+:[\w.:%-]+$/.test(did), 'must be a DID'),
  ),
  identityClaim: about('The claim that names the person; sub unless given.', text({ to: 2048 })),
  reusable: about('Whether an assertion may come without jti, and then more than once; false unless given.', yesOrNo()),
}

const TRUST_MEMBERS = {
  identities: about(
    'Who may come in, beside those that openmcp trust add named.',
    listOf(meaning(object(IDENTITY_MEMBERS, { required: ['id'] }), ruleOf), { to: 10_000 }),
  ),
  issuers: about(
    'Others whose tokens are taken; who they name comes in when a rule of identities says so.',
    listOf(meaning(object(ISSUER_MEMBERS, { required: ['issuer'] }), issuerOf), { to: 100 }),
  ),
  openWebUi: about(
    'Whose users come in, as open-webui|ID: the WEBUI_SECRET_KEY of an Open WebUI (secret, 32 characters at least), and whether it is served at this same host (sameHost).',
    openWebUi(),
  ),
  selfIssued: about('Whether a trusted DID may sign its access token itself; true unless given.', yesOrNo()),
  any: about('Whether everybody who proves any identity is trusted; false unless given. It warns.', yesOrNo()),
}

export const TRUST = object(TRUST_MEMBERS)

function ruleOf(given: Members<typeof IDENTITY_MEMBERS>, at: At): TrustRule | undefined {
  try {
    return readTrustRule(given)
  } catch (error) {
    if (!(error instanceof OpenMcpError)) throw error
    return at.mistake(error.message, { hint: error.hint })
  }
}

function nameOfIssuer(issuer: string, at: At): string | undefined {
  return issuer.includes('|') || issuer === 'any' || issuer === 'open-webui' ? at.mistake('cannot be the name of an issuer') : issuer
}

function issuerOf({ issuer, ...given }: Members<typeof ISSUER_MEMBERS>, at: At): IssuerEntry | undefined {
  if ([given.jwks, given.jwksUri, given.did].filter((keys) => keys !== undefined).length !== 1) return at.mistake('needs exactly one of jwks, jwksUri and did')
  return issuer === undefined ? undefined : { issuer, ...given }
}

/** What the keys are worth is found out when one is used; here they are public, and named by their kind. */
function publicKeys(): Shape<NonNullable<IssuerEntry['jwks']>> {
  return {
    read(value, at) {
      const keys: readonly unknown[] | undefined = isObject(value) && Array.isArray(value['keys']) ? value['keys'] : undefined
      if (!keys || keys.length === 0) return at.mistake('must be an object with a list of keys')
      const good = keys.flatMap((key, index) => {
        const here = at.member('keys').item(index)
        if (!isObject(key) || typeof key['kty'] !== 'string') here.mistake('is not a JWK')
        else if ('d' in key || 'k' in key) here.mistake('is a private key or a shared secret, and only public keys belong here')
        else return [{ ...key, kty: key['kty'] }]
        return []
      })
      return good.length === keys.length ? { keys: good } : undefined
    },
    schema: { type: 'object', properties: { keys: { type: 'array', items: { type: 'object' } } }, required: ['keys'] },
  }
}

function keyServer(): Shape<{ url: URL; id: string }> {
  const url = meaning(text({ to: 2048, says: NO_SERVER }), (value, at) => serverUrlOf(value) ?? at.mistake(NO_SERVER))
  return meaning(object({ url, id: identityName() }, { required: ['url', 'id'] }), (given) =>
    given.url && given.id !== undefined ? { url: given.url, id: given.id } : undefined,
  )
}

function openWebUi(): Shape<{ secret: string; sameHost: boolean }> {
  const secret = meaning(text({ to: 4096 }), (value, at) => (value.length < 32 ? at.mistake('is too short: a key of 32 characters at least') : value))
  return meaning(object({ secret, sameHost: yesOrNo() }, { required: ['secret'] }), (given) =>
    given.secret === undefined ? undefined : { secret: given.secret, sameHost: given.sameHost ?? false },
  )
}

function seconds(): Shape<number> {
  const { from, to } = TOKEN_SECONDS
  return number({ from, to, whole: true, says: `must be a whole number of seconds from ${from} to ${to}` })
}

function checked(isRight: (value: string) => boolean, words: string): Shape<string> {
  return meaning(text({ to: 2048 }), (value, at) => (isRight(value) ? value : at.mistake(words)))
}
