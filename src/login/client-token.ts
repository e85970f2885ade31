// Tokens for an upstream by a client's own name and secret (RFC 6749 §4.4): nobody logs in, and nothing is kept.
import { ClientSecretBasic, ClientSecretPost } from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import { challengeOf, requirePrivateWay } from './ask-resource.ts'
import { LOGIN_BOUNDS, boundedFetch, type BoundedFetch, type Fetch, type FetchBounds } from './bounded-fetch.ts'
import { parseChallenge } from './challenge.ts'
import { TOO_MUCH_FOR_ENTRA, wrongTarget } from './code-grant.ts'
import { UNKNOWN_LIFE_SECONDS, type TokenSource, type WantedToken } from './credential.ts'
import { findIssuer, issuerNamed, type Issuer } from './find-issuer.ts'
import { resourceParameter } from './login.ts'
import { shownUrl } from './shown-url.ts'
import { requestAtTokenEndpoint, type ObtainedToken } from './token-endpoint.ts'

export interface ClientTokenOptions {
  id: string
  secret: string
  /** Where tokens are asked for. Without it the issuer says where, and without an issuer the upstream says whose. */
  tokenUrl?: URL | undefined
  issuer?: URL | undefined
  /** Unless given, what the upstream says it needs. */
  scope?: string | undefined
  /** What the token is for (RFC 8707 §2), in place of the upstream as it names itself; `none`: not said. */
  resource?: string | undefined
  fetch: Fetch
  now: () => number
  bounds?: FetchBounds
}

/**
 * A new one each time it is asked. The secret goes to one issuer for as long as this lives: an upstream that later names another
 * gets nothing. Fails with `login_failed`, which holds no secret.
 */
export function clientToken(options: ClientTokenOptions): TokenSource {
  const { id, now, bounds = LOGIN_BOUNDS } = options
  let trusted: string | undefined
  let known: SecretMethod | undefined

  return async (wanted) => {
    const fetch = boundedFetch(options.fetch, bounds)
    const issuer = await issuerFor(wanted, options, fetch)
    const { issuer: by } = issuer.server
    trusted ??= by
    if (by !== trusted) {
      throw new OpenMcpError('login_failed', `${shownUrl(wanted.resource)} names another issuer than before, and the secret of ${id} is for ${trusted}`, {
        hint: 'start openmcp again if that is meant, or say where the secret goes: --token-url URL',
      })
    }
    const { token, method } = await ask(issuer, known === undefined ? methodsOf(issuer) : [known], options, fetch)
    known = method
    const { accessToken, tokenType, expiresInSeconds: lifeSeconds = UNKNOWN_LIFE_SECONDS } = token
    const widenedBy = (all: string): string => `--oauth-scope '${all}', where the client may have that`
    const scope = token.scope ?? options.scope ?? issuer.scope
    return { accessToken, tokenType, issuer: by, sinceMs: now(), lifeSeconds, isRenewable: true, dpop: undefined, scope, widenedBy }
  }
}

async function issuerFor(wanted: WantedToken, { tokenUrl, issuer }: ClientTokenOptions, fetch: BoundedFetch): Promise<Issuer> {
  const { resource, challenge } = wanted
  requirePrivateWay(resource)
  if (tokenUrl) return { server: { issuer: shownUrl(tokenUrl), token_endpoint: tokenUrl.href }, resource: shownUrl(resource), scope: undefined }
  if (issuer) return { server: await issuerNamed(issuer, fetch), resource: shownUrl(resource), scope: undefined }
  return findIssuer(resource, challenge === undefined ? await challengeOf(resource, fetch) : parseChallenge(challenge), fetch)
}

const METHODS = ['client_secret_basic', 'client_secret_post'] as const
type SecretMethod = (typeof METHODS)[number]

/** In which way the secret is shown there. Where nobody says, both are tried: many an issuer knows only one of them. */
function methodsOf({ server }: Issuer): readonly SecretMethod[] {
  const { issuer, grant_types_supported: grants, token_endpoint_auth_methods_supported: named } = server
  if (Array.isArray(grants) && !grants.includes('client_credentials')) {
    throw new OpenMcpError('login_failed', `${issuer} gives no tokens to clients by themselves (client_credentials)`, {
      hint: 'where a person logs in: openmcp login; where an identity is proved: --id NAME',
    })
  }
  const fit = Array.isArray(named) ? METHODS.filter((method) => named.includes(method)).slice(0, 1) : METHODS
  if (fit.length > 0) return fit
  throw new OpenMcpError('login_failed', `${issuer} takes no secret of a client`, { hint: 'where it takes the proof of an identity: --id NAME' })
}

type Obtained = { token: ObtainedToken; method: SecretMethod }

async function ask(issuer: Issuer, [method, ...others]: readonly SecretMethod[], options: ClientTokenOptions, fetch: BoundedFetch): Promise<Obtained> {
  if (!method) throw new OpenMcpError('internal', 'a client without a way to show its secret')
  const { id, secret } = options
  const scope = options.scope ?? issuer.scope
  const sent = resourceParameter({ ...issuer, indicator: options.resource })
  let refusal = ''
  try {
    const { token } = await requestAtTokenEndpoint({
      issuer,
      clientId: id,
      clientAuth: method === 'client_secret_basic' ? ClientSecretBasic(secret) : ClientSecretPost(secret),
      grant: 'client_credentials',
      parameters: async () => ({ ...sent, ...(scope !== undefined && { scope }) }),
      dpop: undefined,
      fetch,
      secrets: [secret],
      refusal: (error, said) => refused((refusal = error), said, { by: issuer.server.issuer, id, scope, resource: sent.resource ?? issuer.resource }),
    })
    return { token, method }
  } catch (thrown) {
    if (refusal === 'invalid_client' && others.length > 0) return ask(issuer, others, options, fetch)
    throw thrown
  }
}

interface Asked {
  by: string
  id: string
  scope: string | undefined
  resource: string
}

function refused(error: string, said: string, { by, id, scope, resource }: Asked): OpenMcpError {
  const failure = (message: string, hint: string): OpenMcpError => new OpenMcpError('login_failed', `${by} ${message} (${said})`, { hint })
  if (error === 'invalid_target' || said.includes(TOO_MUCH_FOR_ENTRA)) return wrongTarget(by, resource, said)
  switch (error) {
    case 'invalid_client':
      return failure(`does not take ${id} with its secret`, 'check --client-id and the secret; it may be over')
    case 'unauthorized_client':
    case 'unsupported_grant_type':
      return failure(`gives ${id} no tokens by itself`, 'its operator has to allow the client the grant client_credentials')
    case 'invalid_scope':
      return failure(`does not give ${id} the scope ${scope ?? 'it gives by itself'}`, 'name another: --oauth-scope SCOPE; at Entra it is api://APP/.default')
    default:
      return failure('gives no token now', 'its log says why; it may want --oauth-scope, or --resource none')
  }
}
