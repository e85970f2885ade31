// A resource and its issuer on one loopback origin, strict about what it is sent, that can be made to misbehave at any place.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { EmbeddedJWK, jwtVerify, type CryptoKey, type JWTPayload } from 'jose'
import { onLoopback } from '../support/loopback.ts'

export interface LittleIssuer {
  readonly origin: string
  readonly resource: URL
  /** Every request so far, as `METHOD path`. */
  readonly asked: readonly string[]
  /** What the token endpoint was sent. */
  readonly forms: readonly Record<string, string>[]
  readonly assertions: readonly JWTPayload[]
  /** Proofs of a key that the token endpoint was sent. */
  readonly proofs: readonly JWTPayload[]
  stop(): Promise<void>
}

/** Answers the n-th request for a token, from 0 on; undefined: the right way. */
export type TokenAnswer = (res: ServerResponse, count: number) => true | undefined

export interface Misbehaviour {
  /** Answers of single paths in place of the right ones. */
  at?: Readonly<Record<string, (res: ServerResponse, seen: { headers: IncomingHttpHeaders; origin: string }) => void>>
  metadata?: (origin: string) => object
  server?: (origin: string) => object
  token?: TokenAnswer
  challenge?: (origin: string) => string
  path?: string
  issuerPath?: string
}

export function send(res: ServerResponse, status: number, body: object | string, headers: Readonly<Record<string, string>> = {}): void {
  const type = typeof body === 'string' ? 'text/html' : 'application/json'
  res.writeHead(status, { 'content-type': type, ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
}

export async function littleIssuer(publicKey: CryptoKey, wrong: Misbehaviour = {}): Promise<LittleIssuer> {
  const { path = '/mcp', issuerPath = '' } = wrong
  const asked: string[] = []
  const forms: Record<string, string>[] = []
  const assertions: JWTPayload[] = []
  const proofs: JWTPayload[] = []
  let origin = ''
  let count = 0

  async function token(headers: IncomingHttpHeaders, body: string, res: ServerResponse): Promise<void> {
    const form = Object.fromEntries(new URLSearchParams(body))
    forms.push(form)
    const { payload, protectedHeader } = await jwtVerify(form['assertion'] ?? '', publicKey, { audience: `${origin}${issuerPath}`, typ: 'JWT' })
    assertions.push(payload)
    const dpop = headers['dpop']
    if (typeof dpop === 'string') proofs.push((await jwtVerify(dpop, EmbeddedJWK, { typ: 'dpop+jwt' })).payload)
    const lasts = Number(payload.exp) - Number(payload.iat)
    const right = form['grant_type'] === 'urn:ietf:params:oauth:grant-type:jwt-bearer' && payload.iss === payload.sub && lasts > 0 && lasts <= 60
    if (!right || protectedHeader.kid === undefined || payload.jti === undefined) return send(res, 400, { error: 'invalid_request' })
    if (wrong.token?.(res, count) === true) return void count++
    count++
    send(res, 200, { access_token: `token-${count}`, token_type: dpop === undefined ? 'Bearer' : 'DPoP', expires_in: 900, scope: form['scope'] })
  }

  const server = createServer((req, res) => {
    const here = new URL(req.url ?? '/', origin).pathname
    asked.push(`${req.method} ${here}`)
    let body = ''
    req.setEncoding('utf8').on('data', (piece: string) => (body += piece))
    req.on('end', () => {
      const other = wrong.at?.[here]
      if (other) return other(res, { headers: req.headers, origin })
      if (here === path) {
        const challenge = wrong.challenge?.(origin) ?? `Bearer resource_metadata="${origin}/.well-known/oauth-protected-resource${path}", scope="mcp"`
        return send(res, 401, {}, { 'www-authenticate': challenge })
      }
      if (here === `/.well-known/oauth-protected-resource${path}`) {
        return send(res, 200, { resource: `${origin}${path}`, authorization_servers: [`${origin}${issuerPath}`], ...wrong.metadata?.(origin) })
      }
      if (here === `/.well-known/oauth-authorization-server${issuerPath}`) {
        return send(res, 200, { issuer: `${origin}${issuerPath}`, token_endpoint: `${origin}/token`, response_types_supported: [], ...wrong.server?.(origin) })
      }
      if (here !== '/token' || req.method !== 'POST') return send(res, 404, {})
      token(req.headers, body, res).catch(() => send(res, 400, { error: 'invalid_grant' }))
    })
  })
  const { host, stop } = await onLoopback(server)
  origin = `http://${host}`
  return {
    origin,
    resource: new URL(path, origin),
    asked,
    forms,
    assertions,
    proofs,
    stop,
  }
}
