// What an issuer must be able to do before a person is sent to it (OAuth 2.1 §4.1, MCP authorization), and the address it is sent to.
import { createHash, randomBytes } from 'node:crypto'
import type { AuthorizationServer } from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import { isScope, type Issuer } from './find-issuer.ts'
import { resourceParameter } from './login.ts'
import { endpointOf, quoted } from './safe-url.ts'

/** Where the person goes. Fails with `login_failed` for an issuer to which nobody should be sent. */
export function authorizationEndpoint({ server }: Issuer, { isPkceTrusted = false }: { isPkceTrusted?: boolean | undefined }): URL {
  const by = server.issuer
  const endpoint = endpointOf(by, server.authorization_endpoint, 'lets people log in')
  if (!endpoint) {
    throw new OpenMcpError('login_failed', `${by} has no login for people`, { hint: 'where an identity is proved: openmcp run --id NAME, openmcp token' })
  }
  const { response_types_supported: types, grant_types_supported: grants, code_challenge_methods_supported: methods } = server
  if ((Array.isArray(types) && !types.includes('code')) || (Array.isArray(grants) && !grants.includes('authorization_code'))) {
    throw new OpenMcpError('login_failed', `${by} gives no codes to people who log in (response_type code, grant authorization_code)`)
  }
  // Absent means none (RFC 8414 §2): a code that is caught on its way could be used by whoever caught it.
  const isSilent = methods === undefined
  if (!(isSilent && isPkceTrusted) && !(Array.isArray(methods) && methods.includes('S256'))) {
    throw new OpenMcpError('login_failed', `${by} does not bind its codes to who asked for them (PKCE S256), so openmcp logs nobody in there`, {
      hint: isSilent
        ? 'its operator has to say that it has PKCE (code_challenge_methods_supported); if you know that it has, like Entra: --trust-pkce, or oauth.trustPkce in a file'
        : 'its operator has to turn PKCE on and say so: code_challenge_methods_supported',
    })
  }
  return endpoint
}

export interface Request {
  /** What the person opens. */
  readonly url: URL
  readonly state: string
  readonly verifier: string
}

export interface RequestOptions {
  issuer: Issuer
  endpoint: URL
  clientId: string
  redirectUri: string
  scope: string | undefined
  /** In place of the resource; `none`: it is not named. */
  indicator: string | undefined
  /** Thumbprint of the key that the tokens are to be bound to. */
  jkt: string | undefined
  state: string
}

export function newState(): string {
  return randomBytes(32).toString('base64url')
}

/** The address to open: nothing in it is a secret, and no shell would find anything in it. */
export function requestFor({ issuer, endpoint, clientId, redirectUri, scope, indicator, jkt, state }: RequestOptions): Request {
  const verifier = randomBytes(32).toString('base64url')
  const url = quoted(endpoint)
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...resourceParameter({ ...issuer, indicator }),
    ...(scope !== undefined && { scope }),
    // OpenID Connect Core §11: without consent nobody is given a token for when the person is away.
    ...(scope?.split(' ').includes('offline_access') && { prompt: 'consent' }),
    ...(jkt !== undefined && { dpop_jkt: jkt }),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return { url, state, verifier }
}

const MOST_SCOPES = 64

/** As the person says, else what the resource needs; and, where the issuer knows of it, leave to come back without the person. */
export function scopeFor({ server, scope }: Issuer, chosen: string | undefined): string | undefined {
  if (chosen !== undefined) return chosen
  const offline = mayComeBack(server) ? ['offline_access'] : []
  const scopes = [...new Set([...(scope?.split(' ') ?? []), ...offline])].filter(isScope).slice(0, MOST_SCOPES)
  return scopes.length === 0 ? undefined : scopes.join(' ')
}

function mayComeBack({ scopes_supported: scopes }: AuthorizationServer): boolean {
  return Array.isArray(scopes) && scopes.includes('offline_access')
}
