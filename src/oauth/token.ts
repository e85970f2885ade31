// `POST /token`: prove who you are, get a short-lived token for one resource.
import type { Log } from '../observe/log.ts'
import { intersection, narrowed } from '../policy/scopes.ts'
import type { Standing } from '../policy/shapes.ts'
import type { Assertions } from '../tokens/assertion.ts'
import type { Mint } from '../tokens/mint.ts'
import type { Places } from '../tokens/places.ts'
import type { Replay } from '../tokens/replay.ts'
import { scopesIn } from '../tokens/verifier.ts'
import type { Admit } from './admit.ts'
import { NOT_PROVED, clientOf } from './client.ts'
import type { Answer, FormRequest } from './endpoint.ts'
import type { Form } from './form.ts'
import type { Grants, Proved } from './grants.ts'
import { DEFAULT_SCOPE } from './metadata.ts'
import type { ProvedKeyOf } from './proved-key.ts'
import { NOT_TRUSTED, isRefusal, refusal, type Refusal } from './refusal.ts'

export interface TokenOptions {
  assertions: Assertions
  grants: Grants
  admit: Admit
  replay: Replay
  provedKeyOf: ProvedKeyOf
  mint: Mint
  places: Places
  log: Log
}

export function createTokenEndpoint(options: TokenOptions): (request: FormRequest) => Promise<Answer | Refusal> {
  const { assertions, grants, admit, replay, provedKeyOf, mint, places, log } = options

  return async ({ form, req, res }) => {
    const base = places.baseOf(req)
    // An assertion may name the issuer, or its endpoint as older clients do (RFC 7523 §3, private_key_jwt).
    const audiences = [base, `${base}/`, `${base}/token`]
    const key = await provedKeyOf(req, res, `${base}/token`)
    if (key !== undefined && isRefusal(key)) return key
    const client = await clientOf(form, audiences, assertions)
    if (client !== undefined && isRefusal(client)) return client
    const proved = await grants({ form, client, jkt: key?.jkt, audiences })
    if (isRefusal(proved)) return proved
    const resource = resourceOf(form, proved, base)
    if (typeof resource !== 'string') return resource
    const standing = await admitted(form, proved)
    if (isRefusal(standing)) return standing
    const scopes = scopesOf(form, proved, standing)
    if (isRefusal(scopes)) return scopes
    if (key && !(await replay.isFirst('dpop', key.jkt, key.jti, key.expiresAtMs))) return refusal('invalid_dpop_proof', 'this proof was used before')
    const { subject, act, origins, notAfter } = proved
    const minted = await mint({ issuer: base, subject, client: proved.client, resource, scopes, act, jkt: key?.jkt, origins, notAfter })
    log.debug('a token was issued', { subject, client: proved.client, resource, scope: scopes.join(' '), bound: key !== undefined })
    return {
      body: {
        access_token: minted.token,
        token_type: key ? 'DPoP' : 'Bearer',
        expires_in: minted.expiresIn,
        scope: scopes.join(' '),
        ...(proved.issuedType !== undefined && { issued_token_type: proved.issuedType }),
      },
    }
  }

  /** RFC 8707: `resource`, or what the grant is bound to, or where MCP is served. */
  function resourceOf(form: Form, proved: Proved, base: string): string | Refusal {
    const asked = form.get('resource') ?? form.get('audience')
    const bound = proved.resource === undefined ? undefined : places.resourceOf(proved.resource)
    if (proved.resource !== undefined && bound === undefined) return refusal('invalid_target', 'the grant is for another resource')
    const resource = asked === undefined ? (bound ?? `${base}/mcp`) : places.resourceOf(asked)
    if (resource === undefined) return refusal('invalid_target', 'resource is none that is served here')
    return bound === undefined || bound === resource ? resource : refusal('invalid_target', 'the grant is for another resource')
  }

  async function admitted(form: Form, { subject, act, once }: Proved): Promise<Standing | Refusal> {
    const uses = once.map(({ by, jti, expiresAtMs }) => ({ kind: 'assertion' as const, by, id: jti, expiresAtMs }))
    const standing = await admit({ identity: subject, act, once: uses, link: form.get('enrolment') })
    if (standing === 'untrusted') return refusal('invalid_grant', NOT_PROVED, NOT_TRUSTED)
    return standing === 'used' ? refusal('invalid_grant', NOT_PROVED, 'it was used before') : standing
  }
}

/** What is asked for, as far as it is given. An exchange that asks for more than its token holds is refused (RFC 8693 §1.1). */
function scopesOf(form: Form, { scopes: held, offered }: Proved, standing: Standing): readonly string[] | Refusal {
  const asked = scopesIn(form.get('scope'))
  if (held && asked.length > 0 && !narrowed(held, asked)) return refusal('invalid_scope', 'an exchange gives no more than the token it is made from')
  const wanted = asked.length > 0 ? asked : (held ?? [DEFAULT_SCOPE])
  const most = [held, offered].reduce((all: readonly string[], some) => (some ? intersection(all, some) : all), standing.scopes)
  const given = intersection(wanted, most)
  return given.length > 0 ? given : refusal('invalid_scope', 'none of these scopes is given to this identity')
}
