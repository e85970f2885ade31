// A resource and an issuer where people log in, on one loopback origin: strict about what it is sent, and misbehaving where it is told to.
import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { onLoopback } from '../support/loopback.ts'
import { send } from './little-issuer.ts'

export interface LittleLogin {
  readonly origin: string
  readonly resource: URL
  /** Every request so far, as `METHOD path`. */
  readonly asked: readonly string[]
  /** Queries of /authorize. */
  readonly authorizations: readonly URLSearchParams[]
  readonly registrations: readonly unknown[]
  /** Forms of /token, with the header that says who asks. */
  readonly forms: readonly Readonly<Record<string, string>>[]
  /** Forms of /revoke. */
  readonly takenBack: readonly Readonly<Record<string, string>>[]
  /** Tokens that were taken by the resource, each once. */
  readonly tokensSeen: ReadonlySet<string>
  /** Somebody types the code that a device was given, and allows it. */
  allowDevice(userCode: string): void
  /** Ends every access token there is. */
  expire(): void
  /** Ends every refresh token there is. */
  forget(): void
  stop(): Promise<void>
}

type Answer = (res: ServerResponse, seen: { form: Readonly<Record<string, string>>; origin: string }) => true | void

export interface WrongLogin {
  /** In place of the right answer of a path; nothing returned: the answer was given. */
  at?: Readonly<Record<string, (res: ServerResponse, seen: { headers: IncomingHttpHeaders; origin: string; body: string }) => void>>
  challenge?: (origin: string) => string
  metadata?: (origin: string) => object
  server?: (origin: string) => object
  /** Changes where the browser is sent. */
  redirect?: (to: URL) => void
  /** Instead of a token, when it returns true. */
  token?: Answer
  lifeSeconds?: number | null
  /** Refresh tokens are none, or stay the same. */
  refresh?: 'none' | 'rotating'
  /** Of what a device is answered. */
  device?: (origin: string) => object
  /** What the resource is called here; null: it must not be named. */
  indicator?: string | null
  /** Clients that get tokens by themselves, with their secrets, and in which way alone these are taken. */
  clients?: Readonly<Record<string, string>>
  secretBy?: 'basic' | 'post'
}

interface Grant {
  challenge: string
  redirectUri: string
  clientId: string
  scope: string | undefined
}

export async function littleLogin(wrong: WrongLogin = {}): Promise<LittleLogin> {
  const { refresh = 'rotating', clients = {}, secretBy = 'basic' } = wrong
  const asked: string[] = []
  const authorizations: URLSearchParams[] = []
  const registrations: unknown[] = []
  const forms: Record<string, string>[] = []
  const takenBack: Record<string, string>[] = []
  const tokensSeen = new Set<string>()
  const codes = new Map<string, Grant>()
  const devices = new Map<string, { userCode: string; scope: string | undefined; isAllowed: boolean }>()
  const refreshable = new Set<string>()
  const live = new Set<string>()
  let count = 0
  let origin = ''

  const indicator = (): string | null => (wrong.indicator === undefined ? `${origin}/mcp` : wrong.indicator)

  function authorize(query: URLSearchParams, res: ServerResponse): void {
    authorizations.push(query)
    const redirectUri = query.get('redirect_uri') ?? ''
    const wellFormed = query.get('response_type') === 'code' && query.get('code_challenge_method') === 'S256' && query.get('resource') === indicator()
    if (!wellFormed || !/^http:\/\/127\.0\.0\.1:\d+\/callback$/.test(redirectUri)) return send(res, 400, '<h1>no</h1>')
    const code = `code-${++count}-canary`
    const scope = query.get('scope') ?? undefined
    codes.set(code, { challenge: query.get('code_challenge') ?? '', redirectUri, clientId: query.get('client_id') ?? '', scope })
    const to = new URL(redirectUri)
    to.searchParams.set('code', code)
    to.searchParams.set('state', query.get('state') ?? '')
    to.searchParams.set('iss', origin)
    wrong.redirect?.(to)
    res.writeHead(303, { location: to.href }).end()
  }

  function token(form: Record<string, string>, headers: IncomingHttpHeaders, res: ServerResponse): void {
    forms.push({ ...form, ...(headers.authorization !== undefined && { authorization: headers.authorization }) })
    if (wrong.token?.(res, { form, origin }) === true) return
    if ((form['resource'] ?? null) !== indicator()) return send(res, 400, { error: 'invalid_target' })
    let scope: string | undefined
    if (form['grant_type'] === 'client_credentials') {
      const basic = Buffer.from(/^Basic (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '', 'base64').toString()
      const [id = '', secret] =
        secretBy === 'basic' ? basic.split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' '))) : [form['client_id'], form['client_secret']]
      if (secret === undefined || clients[id] !== secret) return send(res, 401, { error: 'invalid_client', error_description: `not ${secret}` })
      ;({ scope } = form)
    } else if (form['grant_type'] === DEVICE_CODE) {
      const waiting = devices.get(form['device_code'] ?? '')
      if (!waiting?.isAllowed) return send(res, 400, { error: waiting ? 'authorization_pending' : 'expired_token' })
      devices.delete(form['device_code'] ?? '')
      ;({ scope } = waiting)
    } else if (form['grant_type'] === 'authorization_code') {
      const grant = codes.get(form['code'] ?? '')
      codes.delete(form['code'] ?? '')
      const challenge = createHash('sha256')
        .update(form['code_verifier'] ?? '')
        .digest('base64url')
      if (!grant || grant.challenge !== challenge || grant.redirectUri !== form['redirect_uri']) return send(res, 400, { error: 'invalid_grant' })
      ;({ scope } = grant)
    } else if (form['grant_type'] !== 'refresh_token' || !refreshable.delete(form['refresh_token'] ?? '')) {
      // Whoever shows an old one may have stolen it: nothing of the login is good any more.
      refreshable.clear()
      live.clear()
      return send(res, 400, { error: 'invalid_grant', error_description: `not ${form['refresh_token']}` })
    }
    // Asked anew: a test may change its mind.
    const { lifeSeconds = 3600 } = wrong
    const accessToken = `access-${++count}-canary`
    const refreshToken = `refresh-${count}-canary`
    live.add(accessToken)
    refreshable.add(refreshToken)
    send(res, 200, {
      access_token: accessToken,
      token_type: headers['dpop'] === undefined ? 'Bearer' : 'DPoP',
      ...(lifeSeconds !== null && { expires_in: lifeSeconds }),
      ...(refresh === 'rotating' && form['grant_type'] !== 'client_credentials' && { refresh_token: refreshToken }),
      ...(scope !== undefined && { scope }),
    })
  }

  function device(form: Record<string, string>, res: ServerResponse): void {
    if ((form['resource'] ?? null) !== indicator()) return send(res, 400, { error: 'invalid_target' })
    const [deviceCode, userCode] = [`device-${++count}-canary`, `WXYZ-${count}`]
    devices.set(deviceCode, { userCode, scope: form['scope'], isAllowed: false })
    send(res, 200, { device_code: deviceCode, user_code: userCode, verification_uri: `${origin}/device`, expires_in: 600, ...wrong.device?.(origin) })
  }

  function resource(headers: IncomingHttpHeaders, body: string, method: string | undefined, res: ServerResponse): void {
    const [, shown = ''] = /^(?:Bearer|DPoP) (.+)$/.exec(headers.authorization ?? '') ?? []
    if (!live.has(shown)) {
      const challenge = wrong.challenge?.(origin) ?? `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp", scope="mcp"`
      return send(res, 401, {}, { 'www-authenticate': challenge })
    }
    tokensSeen.add(shown)
    if (method !== 'POST') return send(res, 405, {})
    const message: { id?: unknown; method?: string } = JSON.parse(body)
    if (message.id === undefined) return void res.writeHead(202).end()
    const initialized = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'little', version: '1' } }
    const answer =
      message.method === 'initialize' ? { result: initialized } : message.method === 'ping' ? { result: {} } : { error: { code: -32601, message: 'no' } }
    send(res, 200, { jsonrpc: '2.0', id: message.id, ...answer })
  }

  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', origin)
    asked.push(`${req.method} ${pathname}`)
    let body = ''
    req.setEncoding('utf8').on('data', (piece: string) => (body += piece))
    req.on('end', () => {
      const other = wrong.at?.[pathname]
      const form = Object.fromEntries(new URLSearchParams(body))
      if (other) return other(res, { headers: req.headers, origin, body })
      switch (pathname) {
        case '/mcp':
          return resource(req.headers, body, req.method, res)
        case '/.well-known/oauth-protected-resource/mcp':
          return send(res, 200, { resource: `${origin}/mcp`, authorization_servers: [origin], ...wrong.metadata?.(origin) })
        case '/.well-known/oauth-authorization-server':
          return send(res, 200, { ...METADATA(origin), ...wrong.server?.(origin) })
        case '/authorize':
          return authorize(searchParams, res)
        case '/token':
          return token(form, req.headers, res)
        case '/device_authorization':
          return device(form, res)
        case '/register':
          registrations.push(JSON.parse(body))
          return send(res, 201, { client_id: `client-${registrations.length}` })
        case '/revoke':
          takenBack.push(form)
          return void res.writeHead(200).end()
        default:
          return send(res, 404, {})
      }
    })
  })
  const { host, stop } = await onLoopback(server)
  origin = `http://${host}`
  return {
    origin,
    resource: new URL('/mcp', origin),
    asked,
    authorizations,
    registrations,
    forms,
    takenBack,
    tokensSeen,
    allowDevice(userCode) {
      for (const each of devices.values()) if (each.userCode === userCode) each.isAllowed = true
    },
    expire: () => live.clear(),
    forget: () => refreshable.clear(),
    stop,
  }
}

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

const METADATA = (origin: string): object => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
  revocation_endpoint: `${origin}/revoke`,
  response_types_supported: ['code'],
  grant_types_supported: ['authorization_code', 'refresh_token'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
})

/** What a browser does with an address, one redirect far: where it was sent, and what it was shown there. */
export async function browse(address: string): Promise<{ location: string; status: number; page: string; headers: Headers }> {
  const sent = await fetch(address, { redirect: 'manual' })
  const location = sent.headers.get('location')
  await sent.body?.cancel()
  if (location === null) throw new Error(`nobody is sent anywhere: HTTP ${sent.status}`)
  const shown = await fetch(location, { redirect: 'manual' })
  return { location, status: shown.status, page: await shown.text(), headers: shown.headers }
}
