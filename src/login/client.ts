// Who we are to an issuer that people log in at: registered before, named by a document of ours, or registered now.
import { ClientSecretBasic, ClientSecretPost, None, type ClientAuth } from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import { isObject } from '../protocol/message.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import type { Issuer } from './find-issuer.ts'
import { endpointOf } from './safe-url.ts'
import { shownUrl } from './shown-url.ts'
import { spoken } from './spoken.ts'

export interface Client {
  readonly id: string
  readonly secret?: string | undefined
  readonly auth: ClientAuthMethod
}

export const CLIENT_AUTH_METHODS = ['none', 'client_secret_basic', 'client_secret_post'] as const
type ClientAuthMethod = (typeof CLIENT_AUTH_METHODS)[number]

/** What a person has to say about who we are; nothing: we register. */
export interface ClientChoice {
  id?: string | undefined
  secret?: string | undefined
  /** Where a client id metadata document of theirs is. */
  metadataUrl?: URL | undefined
}

const ANSWER_AT = 'http://127.0.0.1/callback'

/** Where the answer of a login comes to, or that none comes: the person is at another device. */
export type ClientKind = { redirectUri: string } | 'device'

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
const DEVICE = { redirect_uris: [], grant_types: [DEVICE_CODE, 'refresh_token'], response_types: [] }

/** In the order of the MCP authorization specification. Fails with `login_failed`. */
export async function clientFor({ server }: Issuer, choice: ClientChoice, kind: ClientKind, fetch: BoundedFetch): Promise<Client> {
  const { id, secret, metadataUrl } = choice
  if (id !== undefined) return { id, secret, auth: secret === undefined ? 'none' : methodFor(server.token_endpoint_auth_methods_supported) }
  const takesDocuments = server['client_id_metadata_document_supported'] === true
  if (metadataUrl && takesDocuments) return { id: metadataUrl.href, auth: 'none' }
  const endpoint = endpointOf(server.issuer, server.registration_endpoint, 'registers clients')
  if (endpoint) return register(endpoint, server.issuer, kind, fetch)
  throw new OpenMcpError('login_failed', `${server.issuer} registers no clients by itself`, {
    hint: takesDocuments
      ? `--client-metadata-url URL of a document that names ${ANSWER_AT}, or --client-id ID`
      : `have its operator register a native client with the redirect ${ANSWER_AT}, and name it with --client-id ID`,
  })
}

export function clientAuthOf({ secret, auth }: Client): ClientAuth {
  if (auth === 'none' || secret === undefined) return None()
  return auth === 'client_secret_post' ? ClientSecretPost(secret) : ClientSecretBasic(secret)
}

/** RFC 8414 §2: who says nothing takes it in a header. */
function methodFor(methods: unknown): ClientAuthMethod {
  const supported = Array.isArray(methods) ? methods : ['client_secret_basic']
  return supported.includes('client_secret_post') && !supported.includes('client_secret_basic') ? 'client_secret_post' : 'client_secret_basic'
}

async function register(endpoint: URL, issuer: string, kind: ClientKind, fetch: BoundedFetch): Promise<Client> {
  const asked = {
    client_name: 'openmcp',
    // A redirect to loopback over http is for native clients alone (OpenID Connect Registration §2).
    application_type: kind !== 'device' && kind.redirectUri.startsWith('https:') ? 'web' : 'native',
    ...(kind === 'device' ? DEVICE : { redirect_uris: [kind.redirectUri], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] }),
    token_endpoint_auth_method: 'none',
  }
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  const response = await fetch(endpoint.href, { method: 'POST', headers, body: JSON.stringify(asked) })
  const body: unknown = await response.json().catch(() => undefined)
  const answer = isObject(body) ? body : {}
  if (response.status === 201 || response.status === 200) return registered(answer, issuer)
  const { error, error_description: description } = answer
  const said = typeof error === 'string' ? spoken(typeof description === 'string' ? `${error}: ${description}` : error) : `HTTP ${response.status}`
  throw new OpenMcpError('login_failed', `${issuer} does not register openmcp (${said})`, {
    hint: `have its operator register a native client with the redirect ${ANSWER_AT}, and name it with --client-id ID`,
  })
}

/** RFC 7591 §3.2.1. An issuer may have chosen another way to know the client than the one that was asked for. */
function registered({ client_id: id, client_secret: secret, token_endpoint_auth_method: method }: Record<string, unknown>, issuer: string): Client {
  const where = shownUrl(new URL(issuer))
  if (!isVisible(id) || (secret !== undefined && !isVisible(secret)))
    throw new OpenMcpError('login_failed', `${where} registers openmcp without a name that can be used`)
  if (secret === undefined) return { id, auth: 'none' }
  const auth = method === undefined ? 'client_secret_basic' : CLIENT_AUTH_METHODS.find((each) => each === method)
  if (!auth) throw new OpenMcpError('login_failed', `${where} wants its clients to prove themselves in a way that openmcp does not know`)
  return { id, secret, auth }
}

/** What RFC 6749 §A.1 and §A.2 let a client's name and secret consist of. */
export function isVisible(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,2048}$/.test(value)
}
