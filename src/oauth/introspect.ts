// RFC 7662 and RFC 7009 for tokens of ours: what is this token, and let it be no more.
import { intersection } from '../policy/scopes.ts'
import type { Standing } from '../policy/shapes.ts'
import type { Assertions } from '../tokens/assertion.ts'
import { nestedActors } from '../tokens/mint.ts'
import type { Places } from '../tokens/places.ts'
import type { Replay } from '../tokens/replay.ts'
import type { Revocation } from '../tokens/revocation.ts'
import { parseJwt, textClaim } from '../tokens/jwt.ts'
import { scopesIn, type Verdict, type Verification } from '../tokens/verifier.ts'
import type { RefreshToken, RefreshTokens } from './browser/refresh-tokens.ts'
import { NOT_PROVED, clientOf } from './client.ts'
import type { Answer, FormRequest } from './endpoint.ts'
import { NOT_TRUSTED, isRefusal, refusal, type Refusal } from './refusal.ts'

export interface TokenStateOptions {
  assertions: Assertions
  /** Whoever it stands for need not be trusted. */
  look(token: string): Promise<Verification>
  holding(token: string): Promise<Verdict | undefined>
  /** Those of logins in a browser. */
  refreshTokens: RefreshTokens
  standingOf(identities: readonly string[]): Standing | undefined
  replay: Replay
  revocation: Revocation
  places: Places
}

const MOST_CLIENT = 4096

type Endpoint = (request: FormRequest) => Promise<Answer | Refusal>

/** Whoever asks proves who they are; of tokens that are not theirs they learn nothing, unless trusted with the scope `introspect`. */
export function createIntrospection({ assertions, holding, refreshTokens, standingOf, replay, places }: TokenStateOptions): Endpoint {
  return async ({ form, req }) => {
    const client = await provedClient({ form, req }, { assertions, standingOf, replay, places })
    if (isRefusal(client)) return client
    const standing = standingOf([client.id])
    if (!standing) return refusal('invalid_client', NOT_PROVED, NOT_TRUSTED)
    const token = form.get('token')
    if (token === undefined) return refusal('invalid_request', 'token is missing')
    const mayAskAll = standing.scopes.includes('introspect')
    const refreshToken = await refreshTokens.find(token)
    if (refreshToken) return { body: mayAskAll || refreshToken.identity === client.id ? refreshDescribed(refreshToken, standingOf) : { active: false } }
    const verdict = await holding(token)
    return { body: verdict && (mayAskAll || isParty(verdict, client.id)) ? described(verdict, standingOf) : { active: false } }
  }
}

/** Holding a token is enough to end it; a client that proves who it is must be a party to it. Unknown tokens are fine (RFC 7009 §2.2). */
export function createRevocationEndpoint(options: TokenStateOptions): Endpoint {
  const { assertions, look, holding, refreshTokens, standingOf, replay, revocation, places } = options
  return async ({ form, req }) => {
    const token = form.get('token')
    if (token === undefined) return refusal('invalid_request', 'token is missing')
    const claimsClient = form.get('client_assertion') !== undefined || form.get('client_secret') !== undefined
    const client = claimsClient ? await provedClient({ form, req }, { assertions, standingOf, replay, places }) : undefined
    if (client && isRefusal(client)) return client
    // The name it came in by is learnt before the token is read, which may be from that name.
    places.baseOf(req)
    // A public client says its name alone (RFC 7009 §2.1): a token of another one is left as it is.
    const named = client ? undefined : form.get('client_id')
    const login = await refreshTokens.find(token)
    if (login) {
      if (client && login.identity !== client.id) return refusal('invalid_client', NOT_PROVED, 'a token of somebody else')
      if (named === undefined || named === login.client) await refreshTokens.end(login)
      return { body: {} }
    }
    const verdict = await look(token)
    if (named !== undefined && !isOfClient(token, named)) return { body: {} }
    // Ours end also while nobody is trusted with them: trust may return. What strangers make is not remembered.
    if ('rejected' in verdict || (verdict.caller.via !== 'token' && !(await holding(token)))) return { body: {} }
    if (client && !isParty(verdict, client.id)) return refusal('invalid_client', NOT_PROVED, 'a token of somebody else')
    const { tokenId, expiresAt } = verdict.caller
    await revocation.revoke(tokenId, expiresAt * 1000)
    return { body: {} }
  }
}

async function provedClient(
  { form, req }: Pick<FormRequest, 'form' | 'req'>,
  { assertions, standingOf, replay, places }: Pick<TokenStateOptions, 'assertions' | 'standingOf' | 'replay' | 'places'>,
): Promise<{ id: string } | Refusal> {
  const base = places.baseOf(req)
  const client = await clientOf(form, [base, `${base}/`, `${base}${req.path}`, `${base}/token`], assertions)
  if (!client) return refusal('invalid_client', 'say who you are: private_key_jwt with client_id = your DID')
  if (isRefusal(client)) return client
  const { id, once } = client
  // A stranger writes nothing into the memory of what was used: what is told to one is the same every time.
  if (once && standingOf([id]) && !(await replay.isFirst('assertion', once.by, once.jti, once.expiresAtMs)))
    return refusal('invalid_client', NOT_PROVED, 'it was used before')
  return client
}

/** A token that names no client is of whoever holds it. */
function isOfClient(token: string, client: string): boolean {
  return [undefined, client].includes(textClaim(parseJwt(token)?.claims ?? {}, 'client_id', MOST_CLIENT))
}

function isParty({ caller: { id, act } }: Verdict, client: string): boolean {
  return id === client || act.includes(client)
}

function refreshDescribed(
  { identity, client, scope, expiresAt, isUsed }: RefreshToken,
  standingOf: TokenStateOptions['standingOf'],
): Readonly<Record<string, unknown>> {
  const standing = standingOf([identity])
  if (isUsed || !standing) return { active: false }
  return { active: true, sub: identity, client_id: client, exp: expiresAt, scope: intersection(scopesIn(scope), standing.scopes).join(' ') }
}

function described({ caller, jkt, audience }: Verdict, standingOf: TokenStateOptions['standingOf']): Readonly<Record<string, unknown>> {
  const { id, act, scopes, expiresAt, tokenId } = caller
  const standing = standingOf([id, ...act])
  return {
    active: true,
    sub: id,
    aud: audience,
    exp: expiresAt,
    jti: tokenId,
    scope: standing ? intersection(scopes, standing.scopes).join(' ') : '',
    token_type: jkt === undefined ? 'Bearer' : 'DPoP',
    ...(jkt !== undefined && { cnf: { jkt } }),
    ...(act.length > 0 && { act: nestedActors(act) }),
  }
}
