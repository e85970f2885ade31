// The official SDK clients as people use them: a server's URL and a provider that holds a DID's key. Nothing of theirs is replaced.
import {
  Client as ClientV2,
  DpopSession,
  PrivateKeyJwtProvider as ProviderV2,
  SSEClientTransport as SseTransportV2,
  StreamableHTTPClientTransport as HttpTransportV2,
} from '@modelcontextprotocol/client'
import { PrivateKeyJwtProvider as ProviderV1 } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport as SseTransportV1 } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { onTestFinished } from 'vitest'

import { nodeKey } from '../support/did.ts'
import { jsonOf, type Json } from '../support/json.ts'

/** A did:key and its private key as the SDK takes it: its PKCS #8 knows no EdDSA. */
export interface KeyOwner {
  did: string
  alg: 'EdDSA' | 'ES256'
  privateJwk: Json
}

export function keyOwner(alg: KeyOwner['alg']): KeyOwner {
  const { multibase, privateKey } = nodeKey(alg)
  return { did: `did:key:${multibase}`, alg, privateJwk: jsonOf(privateKey.export({ format: 'jwk' })) }
}

/** Where a client is pointed at, and all it is told beside its key. */
export interface Door {
  mcp: URL
  issuer: string
}

interface LoggedIn {
  listTools(): Promise<Json>
  callTool(name: string, args?: Json): Promise<Json>
  /** What the issuer gave to it. */
  token(): { value: string; type: string }
}

export interface Login {
  readonly name: string
  connect(door: Door, who: KeyOwner): Promise<LoggedIn>
}

const NAME = { name: 'interop', version: '1.0.0' }

export const BEARER_LOGINS: readonly Login[] = [
  { name: 'SDK v1, Streamable HTTP', connect: (door, who) => v1(door, who, (url, authProvider) => new HttpTransportV1(url, { authProvider })) },
  { name: 'SDK v1, SSE', connect: (door, who) => v1(door, who, (url, authProvider) => new SseTransportV1(sseOf(url), { authProvider })) },
  { name: 'SDK v2, Streamable HTTP', connect: (door, who) => v2(door, who, (url, authProvider) => new HttpTransportV2(url, { authProvider })) },
  { name: 'SDK v2, SSE', connect: (door, who) => v2(door, who, (url, authProvider) => new SseTransportV2(sseOf(url), { authProvider })) },
]

export const DPOP_LOGINS: readonly Login[] = [
  {
    name: 'SDK v2 with a DPoP session, Streamable HTTP',
    connect: async (door, who) => v2(door, who, (url, authProvider) => new HttpTransportV2(url, { authProvider }), await DpopSession.create()),
  },
  {
    name: 'SDK v2 with a DPoP session of Ed25519, SSE',
    connect: async (door, who) =>
      v2(door, who, (url, authProvider) => new SseTransportV2(sseOf(url), { authProvider }), await DpopSession.create({ alg: 'EdDSA' })),
  },
]

async function v1(
  { mcp, issuer }: Door,
  { did, alg, privateJwk }: KeyOwner,
  transport: (url: URL, provider: ProviderV1) => HttpTransportV1 | SseTransportV1,
): Promise<LoggedIn> {
  const provider = new ProviderV1({ clientId: did, privateKey: privateJwk, algorithm: alg, expectedIssuer: issuer })
  const client = new ClientV1(NAME)
  await client.connect(transport(mcp, provider))
  onTestFinished(() => client.close())
  return {
    listTools: () => client.listTools(),
    callTool: async (name, args = {}) => jsonOf(await client.callTool({ name, arguments: args })),
    token: () => tokenOf(provider),
  }
}

async function v2(
  { mcp, issuer }: Door,
  { did, alg, privateJwk }: KeyOwner,
  transport: (url: URL, provider: ProviderV2) => HttpTransportV2 | SseTransportV2,
  session?: DpopSession,
): Promise<LoggedIn> {
  const provider = new ProviderV2({ clientId: did, privateKey: privateJwk, algorithm: alg, expectedIssuer: issuer })
  const client = new ClientV2(NAME)
  await client.connect(transport(mcp, session ? Object.assign(provider, { dpop: () => session }) : provider))
  onTestFinished(() => client.close())
  return {
    listTools: () => client.listTools(),
    callTool: async (name, args = {}) => jsonOf(await client.callTool({ name, arguments: args })),
    token: () => tokenOf(provider),
  }
}

function tokenOf(provider: ProviderV1 | ProviderV2): { value: string; type: string } {
  const tokens = provider.tokens()
  if (!tokens) throw new Error('the client has no token')
  return { value: tokens.access_token, type: tokens.token_type }
}

function sseOf(mcp: URL): URL {
  return new URL(mcp.href.replace(/\/mcp$/, '/sse'))
}
