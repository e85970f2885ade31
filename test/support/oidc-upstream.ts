// An MCP server whose issuer is oidc-provider, at a path as Keycloak has it: with rotation, detection of reuse, registration, devices.
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express, { type Request, type Response } from 'express'
import { json } from 'node:stream/consumers'
import { Provider, type Configuration } from 'oidc-provider'
import { newPrivateKey } from '../../src/identity/new-key.ts'
import { at } from './json.ts'
import { onLoopback } from './loopback.ts'

export interface OidcUpstream {
  readonly url: URL
  readonly issuer: string
  /** Grants that were given, and refused, in order. */
  readonly given: readonly string[]
  readonly refused: readonly string[]
  /** Logins that were ended because a token of theirs was shown twice. */
  readonly revoked: readonly string[]
  /** Tokens that opened the server, each once. */
  readonly tokens: ReadonlySet<string>
  /** Calls of `wait`, which are never answered. */
  readonly waiting: number
  /** Ends every access token that was shown so far. */
  expire(): void
  stop(): Promise<void>
}

export const MACHINE = { id: 'machine', secret: 'a-secret-of-the-machine-canary' }
const ISSUER = '/realms/people'
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

export async function oidcUpstream(): Promise<OidcUpstream> {
  const app = express()
  const { host, stop } = await onLoopback(createServer(app))
  const origin = `http://${host}`
  const resource = `${origin}/mcp`
  const provider = new Provider(`${origin}${ISSUER}`, configurationOf(resource))
  const [given, refused, revoked]: string[][] = [[], [], []]
  const [tokens, over] = [new Set<string>(), new Set<string>()]
  let waiting = 0
  provider.on('grant.success', (ctx) => void given?.push(String(ctx.oidc.params?.['grant_type'])))
  provider.on('grant.error', (_ctx, error) => void refused?.push(error.message))
  provider.on('grant.revoked', (_ctx, id) => void revoked?.push(id))

  app.get('/.well-known/oauth-protected-resource/mcp', (_req, res) => {
    res.json({ resource, authorization_servers: [`${origin}${ISSUER}`], scopes_supported: ['mcp'] })
  })
  app.get('/interaction/:uid', (req, res) => allow(provider, resource, req, res))
  app.use(ISSUER, provider.callback())
  app.all('/mcp', async (req, res) => {
    const [, shown = ''] = /^Bearer (.+)$/.exec(req.headers.authorization ?? '') ?? []
    const found = shown === '' ? undefined : ((await provider.AccessToken.find(shown)) ?? (await provider.ClientCredentials.find(shown)))
    if (!found || found.aud !== resource || over.has(shown)) {
      return void res.set('www-authenticate', `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp", scope="mcp"`).status(401).end()
    }
    tokens.add(shown)
    const message: unknown = req.method === 'POST' ? await json(req) : undefined
    if (at(message, 'params', 'name') === 'write' && !found.scopes.has('write')) {
      return void res.set('www-authenticate', 'Bearer error="insufficient_scope", scope="write"').status(403).end()
    }
    if (at(message, 'params', 'name') === 'wait') return void waiting++
    await answer(req, res, message, 'accountId' in found ? found.accountId : (found.clientId ?? ''))
  })
  return {
    url: new URL(resource),
    issuer: `${origin}${ISSUER}`,
    given: given ?? [],
    refused: refused ?? [],
    revoked: revoked ?? [],
    tokens,
    get waiting() {
      return waiting
    },
    expire() {
      for (const token of tokens) over.add(token)
    },
    stop,
  }
}

async function answer(req: Request, res: Response, message: unknown, who: string): Promise<void> {
  const server = new McpServer({ name: 'protected', version: '1' })
  server.registerTool('whoami', { description: 'Who was let in' }, () => ({ content: [{ type: 'text', text: who }] }))
  server.registerTool('write', { description: 'Takes more than the rest' }, () => ({ content: [{ type: 'text', text: 'written' }] }))
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
  await server.connect(transport)
  await transport.handleRequest(req, res, message)
}

function configurationOf(resource: string): Configuration {
  const { x = '', y = '', d = '' } = newPrivateKey('P-256').export({ format: 'jwk' })
  return {
    jwks: { keys: [{ kty: 'EC', crv: 'P-256', x, y, d, use: 'sig', alg: 'ES256' }] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [
      {
        client_id: MACHINE.id,
        client_secret: MACHINE.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    pkce: { required: () => true },
    scopes: ['offline_access'],
    cookies: { keys: ['of no weight here'] },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'mcp write', audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: 3600 }),
      },
    },
    ttl: { ClientCredentials: 3600, DeviceCode: 600, Grant: 3600, Interaction: 600, RefreshToken: 3600, Session: 600 },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => Promise.resolve(client.grantTypeAllowed('refresh_token')),
    expiresWithSession: () => false,
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  }
}

/** Whoever comes is who their cookie says, ann without one, and allows what is asked. */
async function allow(provider: Provider, resource: string, req: Request, res: Response): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res)
  const [, accountId = 'ann'] = /(?:^|; )account=(\w+)/.exec(req.headers.cookie ?? '') ?? []
  if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId } })
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) })
  grant.addOIDCScope('openid offline_access')
  grant.addResourceScope(resource, 'mcp write')
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
}

const MOST_HOPS = 30

/** A browser without eyes: follows redirects, keeps cookies, and types a code where a device is to be let in. */
export async function follow(address: string, userCode?: string): Promise<string> {
  const jar = new Map<string, string>()
  let hops = 0
  const ask = async (url: string, form?: Record<string, string>): Promise<string> => {
    if (++hops > MOST_HOPS) throw new Error(`a browser is sent around in a circle: ${url}`)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answered = await fetch(url, { redirect: 'manual', headers: { cookie }, ...(form && { method: 'POST', body: new URLSearchParams(form) }) })
    for (const set of answered.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    const location = answered.headers.get('location')
    const page = await answered.text()
    return location === null ? page : ask(new URL(location, url).href)
  }
  const page = await ask(address)
  if (userCode === undefined) return page
  const secretOf = (html: string): string => /name="xsrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const asked = await ask(address, { xsrf: secretOf(page), user_code: userCode })
  return ask(address, { xsrf: secretOf(asked), user_code: userCode, confirm: 'yes' })
}

export const GRANTS = { code: 'authorization_code', renewed: 'refresh_token', device: DEVICE_CODE, machine: 'client_credentials' }
