// Codes and refresh tokens at `/token`: oidc-provider says whether one is good, everything else is as for all other grants.
import type { Log } from '../../observe/log.ts'
import { intersection, narrowed } from '../../policy/scopes.ts'
import type { Standing } from '../../policy/shapes.ts'
import type { Mint } from '../../tokens/mint.ts'
import type { Places } from '../../tokens/places.ts'
import type { Replay } from '../../tokens/replay.ts'
import { scopesIn } from '../../tokens/verifier.ts'
import type { Answer, FormRequest } from '../endpoint.ts'
import type { Form } from '../form.ts'
import type { ProvedKeyOf } from '../proved-key.ts'
import { NOT_TRUSTED, isOAuthError, isRefusal, refusal, type Refusal } from '../refusal.ts'
import type { Flow } from './flow.ts'
import { originOf, type LoginRows, type Secret } from './login-rows.ts'

export interface LoginTokenOptions {
  rows: LoginRows
  flow: () => Promise<Flow>
  /** Whether there can be such a client; nothing is fetched to find out. */
  mayBeClient(id: string): boolean
  standingOf(identities: readonly string[]): Standing | undefined
  /** Whether an identity whose document is elsewhere still is what it was when it was proved. */
  isStillThere(identity: string): Promise<boolean>
  provedKeyOf: ProvedKeyOf
  replay: Replay
  mint: Mint
  places: Pick<Places, 'baseOf' | 'resourceOf'>
  log: Log
}

const SENT = ['grant_type', 'client_id', 'code', 'redirect_uri', 'code_verifier', 'refresh_token']
const NO_GRANT = 'this code or refresh token is not good, not any more, or not for this client'

export function createLoginTokens(options: LoginTokenOptions): (request: FormRequest) => Promise<Answer | Refusal> {
  const { rows, flow, mayBeClient, standingOf, isStillThere, provedKeyOf, replay, mint, places, log } = options

  return async ({ form, req, res }) => {
    const base = places.baseOf(req)
    const key = await provedKeyOf(req, res, `${base}/token`)
    if (key !== undefined && isRefusal(key)) return key
    // So told, a client registers anew.
    if (!mayBeClient(form.get('client_id') ?? '')) return refusal('invalid_client', 'client_id is missing or not known here (any more)')
    const found = await secretIn(form)
    if (!found) return refusal('invalid_grant', NO_GRANT)
    // Before anything is used up: a client that made a mistake may try again.
    const wrong = await wrongFor(found, form, key?.jkt)
    if (wrong) return wrong
    const { body, access } = await (await flow()).token(base, sentOf(form))
    if (!access) return refusedBy(body)
    if (key && !(await replay.isFirst('dpop', key.jkt, key.jti, key.expiresAtMs))) return refusal('invalid_dpop_proof', 'this proof was used before')
    if (key && !(await rows.bind(access.grantId, key.jkt))) return refusal('invalid_grant', NO_GRANT, 'bound to another key meanwhile')
    const resource = places.resourceOf(access.resource)
    const scopes = scopesOf(access.scope, form, standingOf([access.accountId]))
    if (resource === undefined || scopes.length === 0) return refusal('invalid_scope', 'none of these scopes is given to this identity')
    const { token, expiresIn } = await mint({
      issuer: base,
      subject: access.accountId,
      client: access.clientId,
      resource,
      scopes,
      act: [],
      jkt: key?.jkt,
      origins: [originOf(access.grantId)],
      notAfter: Infinity,
    })
    log.debug('a token was issued', { subject: access.accountId, client: access.clientId, resource, scope: scopes.join(' '), bound: key !== undefined })
    return {
      body: {
        access_token: token,
        token_type: key ? 'DPoP' : 'Bearer',
        expires_in: expiresIn,
        scope: scopes.join(' '),
        ...(typeof body['refresh_token'] === 'string' && { refresh_token: body['refresh_token'] }),
      },
    }
  }

  function secretIn(form: Form): Promise<Secret | undefined> {
    return form.get('grant_type') === 'refresh_token'
      ? rows.secret('RefreshToken', form.get('refresh_token') ?? '')
      : rows.secret('AuthorizationCode', form.get('code') ?? '')
  }

  async function wrongFor({ accountId, clientId, grantId, scope, resource }: Secret, form: Form, jkt: string | undefined): Promise<Refusal | undefined> {
    if (form.get('client_id') !== clientId) return refusal('invalid_grant', NO_GRANT, 'it is of another client')
    const standing = standingOf([accountId])
    if (!standing || !(await isStillThere(accountId))) return refusal('invalid_grant', NO_GRANT, NOT_TRUSTED)
    if (scopesOf(scope, form, standing).length === 0) return refusal('invalid_scope', 'none of these scopes is given to this identity')
    const asked = form.get('resource')
    if (asked !== undefined && places.resourceOf(asked) !== resource) return refusal('invalid_target', 'the login is for another resource')
    const expected = await rows.boundTo(grantId)
    if (expected !== undefined && expected !== jkt) return refusal('invalid_grant', NO_GRANT, 'it is bound to another key')
    return undefined
  }
}

function sentOf(form: Form): URLSearchParams {
  const sent = SENT.flatMap((name): [string, string][] => {
    const value = form.get(name)
    return value === undefined ? [] : [[name, value]]
  })
  return new URLSearchParams(sent)
}

/** What the person was shown, or the part of it that is asked for now (RFC 6749 §6), as far as trust gives it now. */
function scopesOf(shown: string, form: Form, standing: Standing | undefined): readonly string[] {
  const asked = scopesIn(form.get('scope'))
  const wanted = asked.length === 0 ? scopesIn(shown) : (narrowed(scopesIn(shown), asked) ?? [])
  return intersection(wanted, standing?.scopes ?? [])
}

/** In its words, which are fixed ones. */
function refusedBy({ error, error_description: description }: { readonly [member: string]: unknown }): Refusal {
  if (!isOAuthError(error)) throw new Error(`oidc-provider refused in a way that is not ours: ${String(error)}`)
  return refusal(error, error === 'invalid_grant' || typeof description !== 'string' ? NO_GRANT : description)
}
