// How oidc-provider is set up: authorize, PKCE, codes and refresh tokens. What it is not asked for is off, and it signs nothing.
import { Provider, errors, type Adapter, type Configuration } from 'oidc-provider'

import { newPrivateKey } from '../../identity/new-key.ts'
import { MCP_SCOPES } from '../../policy/scopes.ts'
import type { Standing } from '../../policy/shapes.ts'
import type { Places } from '../../tokens/places.ts'
import { LOGIN_SECONDS } from './cookie.ts'
import { GRANT_SECONDS } from './login-rows.ts'
import { UNKNOWN } from './asked.ts'

export interface ProviderOptions {
  adapters(model: string): Adapter
  standingOf(identities: readonly string[]): Standing | undefined
  places: Pick<Places, 'resourceOf'>
}

const CODE_SECONDS = 60
const REFRESH_SECONDS = 14 * 24 * 3600
/** Of no weight: the access token that leaves is ours. */
const NO_SECONDS = 60

export function createProvider(base: string, options: ProviderOptions): Provider {
  const provider = new Provider(base, configurationOf(base, options))
  // The request that it sees is made by us, with the scheme and host that the places know.
  provider.proxy = true
  return provider
}

function configurationOf(base: string, { adapters, standingOf, places }: ProviderOptions): Configuration {
  return {
    adapter: adapters,
    clientAuthMethods: ['none'],
    clientDefaults: { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' },
    responseTypes: ['code'],
    scopes: [],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    jwks: { keys: [throwAwayKey()] },
    pkce: { required: () => true },
    extraParams: ['dpop_jkt'],
    allowOmittingSingleRegisteredRedirectUri: false,
    routes: { authorization: '/authorize', token: '/token' },
    cookies: { keys: [], short: COOKIE, long: COOKIE },
    interactions: { url: (_ctx, { uid }) => `${base}/keys?login=${uid}` },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      // Proofs are looked at where all others are (token.ts).
      dPoP: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, _client, oneOf) => (oneOf === undefined ? `${base}/mcp` : [...oneOf]),
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => {
          if (places.resourceOf(resource) === undefined) throw new errors.InvalidTarget('resource is none that is served here')
          if (Array.isArray(ctx.oidc.params?.['resource'])) throw new errors.InvalidTarget('a login is for one resource')
          if (ctx.oidc.requestParamScopes.has(UNKNOWN)) throw new errors.InvalidScope('none of these scopes is one of ours', UNKNOWN)
          return { scope: MCP_SCOPES.join(' '), accessTokenFormat: 'opaque', accessTokenTTL: NO_SECONDS }
        },
      },
    },
    ttl: {
      Interaction: LOGIN_SECONDS,
      AuthorizationCode: CODE_SECONDS,
      RefreshToken: REFRESH_SECONDS,
      Grant: GRANT_SECONDS,
      Session: LOGIN_SECONDS,
      AccessToken: NO_SECONDS,
      IdToken: NO_SECONDS,
    },
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    clientBasedCORS: () => false,
    // Asked at every step: whoever is not trusted any more gets nothing.
    findAccount: (_ctx, sub) => (standingOf([sub]) ? { accountId: sub, claims: () => ({ sub }) } : undefined),
    fetch: () => Promise.reject(new Error('oidc-provider fetches nothing here')),
    renderError: (ctx, out) => {
      ctx['body'] = out
    },
  }
}

/** None of them reaches a browser: the jar of the inner request is ours. */
const COOKIE = { httpOnly: true, sameSite: 'lax', path: '/', signed: false } as const

/** It wants one to start. Nobody publishes it, so that ours can change while it runs. */
function throwAwayKey(): { kty: 'EC'; crv: 'P-256'; x: string; y: string; d: string; use: 'sig'; alg: 'ES256' } {
  const { x = '', y = '', d = '' } = newPrivateKey('P-256').export({ format: 'jwk' })
  return { kty: 'EC', crv: 'P-256', x, y, d, use: 'sig', alg: 'ES256' }
}
