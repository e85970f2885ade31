// The ways to prove who one is at `/token`. Each ends in the same thing: whose token it would be, and what it may be at most.
import type { Resolver } from '../identity/shapes.ts'
import { isVid } from '../identity/vid.ts'
import type { Asserted, Assertions } from '../tokens/assertion.ts'
import { MOST_ACTORS, scopesIn, type Verdict } from '../tokens/verifier.ts'
import { NOT_PROVED } from './client.ts'
import type { Form } from './form.ts'
import { refusal, type Refusal } from './refusal.ts'

export interface Proved {
  readonly subject: string
  /** Who acts for it, the one that calls first. */
  readonly act: readonly string[]
  readonly client: string
  /** At most these, and asking for more is refused; undefined: what trust allows. */
  readonly scopes: readonly string[] | undefined
  /** At most these, and asking for more gives less. */
  readonly offered: readonly string[] | undefined
  /** The one resource it can be for; undefined: any of ours. */
  readonly resource: string | undefined
  /** Seconds since 1970. */
  readonly notAfter: number
  readonly origins: readonly string[]
  /** What may be used once. */
  readonly once: readonly NonNullable<Asserted['once']>[]
  /** RFC 8693 §2.2.1. */
  readonly issuedType: string | undefined
}

interface GrantRequest {
  form: Form
  client: Asserted | undefined
  /** Thumbprint of the key that a DPoP proof shows. */
  jkt: string | undefined
  /** Names of our issuer that an assertion may be for. */
  audiences: readonly string[]
}

export interface GrantOptions {
  assertions: Assertions
  /** A token of ours that still holds, with whoever it stands for trusted; undefined: any other. */
  holding(token: string): Promise<Verdict | undefined>
  resolver: Resolver
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** What comes of a login in a browser: answered by `browser/token.ts`. */
export const LOGIN_GRANTS = ['authorization_code', 'refresh_token']
export const GRANT_TYPES = [JWT_BEARER, 'client_credentials', TOKEN_EXCHANGE]

export type Grants = (request: GrantRequest) => Promise<Proved | Refusal>

export function createGrants({ assertions, holding, resolver }: GrantOptions): Grants {
  const byType = new Map<string, Grants>([
    [JWT_BEARER, jwtBearer],
    ['client_credentials', clientCredentials],
    [TOKEN_EXCHANGE, tokenExchange],
  ])
  return async (request) => {
    const type = request.form.get('grant_type')
    if (type === undefined) return refusal('invalid_request', 'grant_type is missing')
    const grant = byType.get(type)
    return grant ? grant(request) : refusal('unsupported_grant_type', 'this grant_type is not one of ours; the metadata lists them')
  }

  /** RFC 7523 §2.1; an enterprise's grant (ID-JAG) is one that names its client and perhaps its resource and scope. */
  async function jwtBearer({ form, client, audiences }: GrantRequest): Promise<Proved | Refusal> {
    const assertion = form.get('assertion')
    if (assertion === undefined) return refusal('invalid_request', 'assertion is missing')
    const checked = await assertions.check(assertion, audiences)
    if ('rejected' in checked) return refusal('invalid_grant', NOT_PROVED, checked.rejected)
    const { id, claims, idJag, once } = checked
    const named = client?.id ?? form.get('client_id')
    if (idJag && (named === undefined || named !== claims['client_id'])) return refusal('invalid_grant', NOT_PROVED, 'the grant is for another client')
    // A name that anybody could write down proves nothing, unless it is one that nobody can prove anyway.
    if (idJag && !client && named !== undefined && isVid(named)) return refusal('invalid_client', NOT_PROVED, 'a DID is a client that can prove itself')
    // A list, say: to read nothing there would make it a grant for everything.
    const bound = idJag ? claims['resource'] : undefined
    if (bound !== undefined && typeof bound !== 'string') return refusal('invalid_target', 'the grant is for another resource')
    if (!idJag && client && client.id !== id) return refusal('invalid_grant', NOT_PROVED, 'the client and the assertion are two identities')
    return {
      subject: id,
      act: [],
      client: idJag && named !== undefined ? named : id,
      scopes: undefined,
      offered: idJag && 'scope' in claims ? scopesIn(claims['scope']) : undefined,
      resource: bound,
      notAfter: Infinity,
      origins: [],
      once: [once, client?.once].filter((one) => one !== undefined),
      issuedType: undefined,
    }
  }

  async function clientCredentials({ client }: GrantRequest): Promise<Proved | Refusal> {
    if (!client) return refusal('invalid_client', 'client_credentials needs private_key_jwt with client_id = your DID')
    const { id, once } = client
    return {
      subject: id,
      act: [],
      client: id,
      scopes: undefined,
      offered: undefined,
      resource: undefined,
      notAfter: Infinity,
      origins: [],
      once: once ? [once] : [],
      issuedType: undefined,
    }
  }

  /** RFC 8693: somebody who holds a token of another acts for them. Narrower only: scopes, time, the same resource. */
  async function tokenExchange({ form, client, jkt }: GrantRequest): Promise<Proved | Refusal> {
    const wrong = wrongTypes(form)
    if (wrong) return wrong
    const subject = await holding(form.get('subject_token') ?? '')
    if (!subject) return refusal('invalid_grant', NOT_PROVED, 'the subject_token does not hold')
    if (subject.jkt !== undefined && subject.jkt !== jkt) return refusal('invalid_grant', NOT_PROVED, 'the subject_token is bound to another key')
    const actor = await actorOf(form, client, jkt)
    if (actor !== undefined && 'error' in actor) return actor
    const { caller } = subject
    // Without an actor whoever holds a bound token proved it by its key; a bearer token could be anybody's.
    if (!actor && subject.jkt === undefined) return refusal('invalid_client', 'say who acts: private_key_jwt or actor_token')
    const calls = caller.act[0] ?? caller.id
    const act = actor && actor.id !== calls ? [actor.id, ...caller.act] : caller.act
    if (act.length > MOST_ACTORS) return refusal('invalid_request', `at most ${MOST_ACTORS} may act one for the other`)
    for (const id of [caller.id, ...act]) if (!(await isAlive(id))) return refusal('invalid_grant', NOT_PROVED, 'somebody in the chain cannot be resolved')
    return {
      subject: caller.id,
      act,
      client: actor?.id ?? calls,
      scopes: caller.scopes,
      offered: undefined,
      resource: subject.audience,
      // Whatever was taken back is remembered until it would have ended: nothing made with it may live on.
      notAfter: Math.min(caller.expiresAt, actor?.notAfter ?? Infinity),
      origins: [...subject.lineage, ...(actor?.lineage ?? [])],
      once: client?.once ? [client.once] : [],
      issuedType: ACCESS_TOKEN,
    }
  }

  async function actorOf(
    form: Form,
    client: Asserted | undefined,
    jkt: string | undefined,
  ): Promise<{ id: string; lineage: readonly string[]; notAfter: number } | Refusal | undefined> {
    const token = form.get('actor_token')
    if (token === undefined) return client && { id: client.id, lineage: [], notAfter: Infinity }
    const actor = await holding(token)
    if (!actor || (actor.jkt !== undefined && actor.jkt !== jkt)) return refusal('invalid_grant', NOT_PROVED, 'the actor_token does not hold')
    if (actor.caller.act.length > 0) return refusal('invalid_grant', NOT_PROVED, 'the actor_token is a delegation itself')
    if (client && client.id !== actor.caller.id) return refusal('invalid_grant', NOT_PROVED, 'the client and the actor are two identities')
    return { id: actor.caller.id, lineage: actor.lineage, notAfter: actor.caller.expiresAt }
  }

  async function isAlive(id: string): Promise<boolean> {
    return !isVid(id) || (await resolver.resolve(id)).state === 'found'
  }
}

function wrongTypes(form: Form): Refusal | undefined {
  if (form.get('subject_token') === undefined) return refusal('invalid_request', 'subject_token is missing')
  if (form.get('subject_token_type') !== ACCESS_TOKEN) return refusal('invalid_request', `subject_token_type must be ${ACCESS_TOKEN}`)
  if (form.get('actor_token') !== undefined && form.get('actor_token_type') !== ACCESS_TOKEN) {
    return refusal('invalid_request', `actor_token_type must be ${ACCESS_TOKEN}`)
  }
  const wanted = form.get('requested_token_type')
  return wanted === undefined || wanted === ACCESS_TOKEN ? undefined : refusal('invalid_request', `requested_token_type can only be ${ACCESS_TOKEN}`)
}
