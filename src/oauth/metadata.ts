// What clients read before they ask: whose tokens a resource takes (RFC 9728), what the issuer can do (RFC 8414), the node's keys
// and its DID.
import { SignJWT } from 'jose'

import type { NodeKeys } from '../identity/shapes.ts'
import { SCOPES } from '../policy/scopes.ts'
import { DPOP_ALGORITHMS } from '../tokens/dpop.ts'
import { GRANT_TYPES, LOGIN_GRANTS } from './grants.ts'

const CLIENT_ALGORITHMS = ['EdDSA', 'Ed25519', 'ES256', 'ES256K']
/** What a client should ask for that knows no better. */
export const DEFAULT_SCOPE = 'mcp'

type Json = Readonly<Record<string, unknown>>

/** RFC 8414 §2: programs that prove a DID and browsers in which a person logs in have one issuer. */
export function issuerMetadata(base: string): Json {
  return {
    issuer: base,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    registration_endpoint: `${base}/register`,
    jwks_uri: `${base}/jwks`,
    introspection_endpoint: `${base}/introspect`,
    revocation_endpoint: `${base}/revoke`,
    scopes_supported: SCOPES,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: true,
    code_challenge_methods_supported: ['S256'],
    grant_types_supported: [...LOGIN_GRANTS, ...GRANT_TYPES],
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
    token_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
    introspection_endpoint_auth_methods_supported: ['private_key_jwt'],
    introspection_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
    revocation_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
    revocation_endpoint_auth_signing_alg_values_supported: CLIENT_ALGORITHMS,
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    // RFC 7523 with a DID as the issuer of the assertion.
    did_methods_supported: ['did:key', 'did:jwk', 'did:web', 'did:webvh', 'did:peer'],
  }
}

/** RFC 9728 §2, with `signed_metadata` by the node's DID: a client that knows the DID need not believe the network. */
export async function resourceMetadata(base: string, resource: string, keys: NodeKeys, dpopRequired: boolean): Promise<Json> {
  const metadata = {
    resource,
    authorization_servers: [base],
    jwks_uri: `${base}/jwks`,
    scopes_supported: [DEFAULT_SCOPE],
    bearer_methods_supported: ['header'],
    resource_name: 'openmcp',
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    dpop_bound_access_tokens_required: dpopRequired,
  }
  const { kid, alg, privateKey } = keys.signing()
  const did = nodeDid(base)
  const signed = await new SignJWT({ ...metadata, iss: did })
    .setProtectedHeader({ alg, kid: `${did}#${kid}`, typ: 'JWT' })
    .setIssuedAt()
    .sign(privateKey)
  return { ...metadata, signed_metadata: signed }
}

/** did:web names a host, and a path behind it, with colons (did:web, "Method Specific Identifier"). */
function nodeDid(base: string): string {
  const { host, pathname } = new URL(base)
  return `did:web:${[host.replaceAll(':', '%3A'), ...pathname.split('/').filter((part) => part !== '')].join(':')}`
}

/** The node's keys sign for it (`assertionMethod`); nobody logs in with them. */
export function nodeDocument(base: string, keys: NodeKeys): Json {
  const did = nodeDid(base)
  const methods = keys.published().map(({ kid, ...jwk }) => ({ id: `${did}#${kid}`, type: 'JsonWebKey', controller: did, publicKeyJwk: { kid, ...jwk } }))
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/jwk/v1'],
    id: did,
    verificationMethod: methods,
    assertionMethod: methods.map(({ id }) => id),
    service: [{ id: `${did}#mcp`, type: 'McpServer', serviceEndpoint: `${base}/mcp` }],
  }
}
