// Who gives tokens for a resource: asked of the resource itself, as any client would (RFC 9728), and of that issuer (RFC 8414).
import { processDiscoveryResponse, type AuthorizationServer } from 'oauth4webapi'

import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import type { Challenge } from './challenge.ts'
import { covers } from './covers.ts'
import { requireSafe } from './safe-url.ts'
import { shownUrl } from './shown-url.ts'

export interface Issuer {
  readonly server: AuthorizationServer
  /** What the token is to be for, as the resource spells it. */
  readonly resource: string
  /** What the resource needs, as far as it says. */
  readonly scope: string | undefined
}

/** Fails with `login_failed`; what a server says about anybody but itself is not believed. */
export async function findIssuer(asked: URL, challenge: Challenge, fetch: BoundedFetch): Promise<Issuer> {
  const metadata = await resourceMetadata(asked, challenge, fetch)
  const issuer = issuerUrl(metadata.issuer, asked)
  const server = await issuerMetadata(issuer, fetch)
  refuseUnable(server, metadata.resource)
  return { server, resource: metadata.resource, scope: challenge.scope ?? metadata.scope }
}

/** The metadata of an issuer that a person named. Fails with `login_failed`. */
export async function issuerNamed(issuer: URL, fetch: BoundedFetch): Promise<AuthorizationServer> {
  const server = await issuerMetadata(issuer, fetch)
  requireTokenEndpoint(server)
  return server
}

interface ResourceMetadata {
  resource: string
  issuer: string
  scope: string | undefined
}

async function resourceMetadata(asked: URL, { resourceMetadata: named }: Challenge, fetch: BoundedFetch): Promise<ResourceMetadata> {
  const path = asked.pathname === '/' ? '' : asked.pathname
  const wellKnown = new URL('/.well-known/oauth-protected-resource', asked)
  const own = named !== undefined && URL.canParse(named, asked.href) ? new URL(named, asked.href) : undefined
  // A server could have us fetch what only we can reach; metadata of this resource is found at its own origin.
  const places = [...(own?.origin === asked.origin ? [own] : []), new URL(`${wellKnown.pathname}${path}`, asked), wellKnown]
  const nowhere = `${shownUrl(asked)} asks for a token, and does not say who gives one`
  const found = await firstOf(places, async (place) => {
    const json = await jsonAt(place, fetch)
    return json && checkedResource(json, place, asked)
  })
  return found ?? (await itsOwnIssuer(asked, fetch)) ?? fail(nowhere)
}

/** A server of the revision 2025-03-26 is its own issuer, and says nothing else: it speaks for itself alone. */
async function itsOwnIssuer(asked: URL, fetch: BoundedFetch): Promise<ResourceMetadata | undefined> {
  const place = new URL('/.well-known/oauth-authorization-server', asked)
  return (await jsonAt(place, fetch)) && { resource: shownUrl(asked), issuer: asked.origin, scope: undefined }
}

function fail(message: string): never {
  throw new OpenMcpError('login_failed', message)
}

/** RFC 9728 §3.3. A client that takes a token for somebody else's resource to this server has given it away. */
function checkedResource(json: JsonObject, place: URL, asked: URL): ResourceMetadata {
  const { resource, authorization_servers: issuers, scopes_supported: scopes } = json
  if (typeof resource !== 'string' || !covers(resource, asked)) {
    throw new OpenMcpError('login_failed', `${shownUrl(place)} speaks of another resource than ${shownUrl(asked)}`, {
      hint: 'use the address under which the server knows itself; behind a proxy it needs its --public-url',
    })
  }
  const [issuer] = Array.isArray(issuers) ? issuers : []
  if (typeof issuer !== 'string') throw new OpenMcpError('login_failed', `${shownUrl(place)} names no issuer`)
  const texts = Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string' && isScope(scope)) : []
  return { resource, issuer, scope: texts.length === 0 ? undefined : texts.join(' ') }
}

/** RFC 6749 §3.3. */
export function isScope(text: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(text)
}

/** https; http for loopback alone, and only when the resource is there too: another could point us at our own machine. */
function issuerUrl(text: string, asked: URL): URL {
  const url = text.length <= 2048 && URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new OpenMcpError('login_failed', `the issuer that ${shownUrl(asked)} names is not the URL of an issuer`)
  }
  requireSafe(url, asked.hostname, `the issuer ${shownUrl(url)}`)
  return url
}

/** The three places in the order of the MCP authorization specification. */
async function issuerMetadata(issuer: URL, fetch: BoundedFetch): Promise<AuthorizationServer> {
  const path = issuer.pathname.replace(/\/$/, '')
  const places = [
    new URL(`/.well-known/oauth-authorization-server${path}`, issuer),
    new URL(`/.well-known/openid-configuration${path}`, issuer),
    ...(path === '' ? [] : [new URL(`${path}/.well-known/openid-configuration`, issuer)]),
  ]
  const found = await firstOf(places, async (place) => {
    const json = await jsonAt(place, fetch)
    if (json === undefined) return undefined
    try {
      return await processDiscoveryResponse(issuer, Response.json(json))
    } catch {
      throw new OpenMcpError('login_failed', `${shownUrl(place)} speaks of another issuer than ${shownUrl(issuer)}`)
    }
  })
  return found ?? fail(`the issuer ${shownUrl(issuer)} does not say where it gives tokens`)
}

function requireTokenEndpoint({ issuer, token_endpoint: endpoint }: AuthorizationServer): void {
  const url = new URL(issuer)
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) {
    throw new OpenMcpError('login_failed', `the issuer ${shownUrl(url)} does not say where it gives tokens`)
  }
  requireSafe(new URL(endpoint), url.hostname, `where the issuer ${shownUrl(url)} gives tokens`)
}

function refuseUnable(server: AuthorizationServer, resource: string): void {
  requireTokenEndpoint(server)
  const issuer = new URL(server.issuer)
  const { protected_resources: resources } = server
  // RFC 9728 §4: an issuer that lists its resources, and not this one, is named by somebody who is not among them.
  if (Array.isArray(resources) && !resources.includes(resource)) {
    throw new OpenMcpError('login_failed', `the issuer ${shownUrl(issuer)} does not count ${shownUrl(new URL(resource))} among its resources`)
  }
}

/** Where something is found first. Undefined when nothing was there at all; fails with the first reason there was. */
async function firstOf<T>(places: readonly URL[], look: (place: URL) => Promise<T | undefined>): Promise<T | undefined> {
  let reason: OpenMcpError | undefined
  for (const place of new Map(places.map((each) => [each.href, each])).values()) {
    try {
      const found = await look(place)
      if (found !== undefined) return found
    } catch (thrown) {
      reason ??= toOpenMcpError(thrown)
    }
  }
  if (reason) throw reason
  return undefined
}

/** Undefined when nothing is there; `login_failed` for what is there and is no JSON object. */
async function jsonAt(place: URL, fetch: BoundedFetch): Promise<JsonObject | undefined> {
  const response = await fetch(place.href, { headers: { accept: 'application/json' } })
  if (response.status >= 400 && response.status < 500) return undefined
  if (response.status !== 200) throw new OpenMcpError('login_failed', `${shownUrl(place)} answers HTTP ${response.status}`)
  const json: unknown = await response.json().catch(() => undefined)
  if (isObject(json)) return json
  throw new OpenMcpError('login_failed', `${shownUrl(place)} answers with something that is not metadata`)
}
