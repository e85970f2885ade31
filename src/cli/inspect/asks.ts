// What a server that wants to know who asks says of how that is proved.
import { OpenMcpError, toOpenMcpError } from '../../errors.ts'
import { challengeOf } from '../../login/ask-resource.ts'
import { boundedFetch, type Fetch } from '../../login/bounded-fetch.ts'
import { findIssuer, type Issuer } from '../../login/find-issuer.ts'

/** How somebody becomes a client of the issuer, or somebody to it. */
type WayIn = 'registration' | 'client id metadata document' | 'device code' | 'client credentials' | 'identity'

export interface Asks {
  /** Undefined: it does not say who gives tokens, or not in a way that is believed: then `why` tells. */
  issuer?: string
  resource?: string
  scopes?: string
  /** What the issuer says that it takes. */
  waysIn?: readonly WayIn[]
  why?: string
}

const BOUNDS = { waitMs: 10_000, bytes: 64 * 1024 }

/** Asks as any client would, without a credential. Undefined: it asks nobody. Fails never. */
export async function whatIsAsked(url: URL, fetch: Fetch): Promise<Asks | undefined> {
  const bounded = boundedFetch(fetch, BOUNDS)
  try {
    const challenge = await challengeOf(url, bounded).catch(() => undefined)
    if (!challenge) return undefined
    const { server, resource, scope } = await findIssuer(url, challenge, bounded)
    return { issuer: server.issuer, resource, ...(scope !== undefined && { scopes: scope }), waysIn: waysInto(server) }
  } catch (thrown) {
    return { why: toOpenMcpError(thrown).message }
  }
}

/** The refusal, with what helps: for a person, then for a program. As it is where nothing more is known. */
export function refusedHow(refusal: OpenMcpError, url: URL, { waysIn = [], issuer }: Asks): OpenMcpError {
  if (issuer === undefined) return refusal
  const resource = `${url.origin}${url.pathname}`
  const hints = [
    `openmcp login ${resource} for a person`,
    waysIn.includes('identity') && '--id NAME for an identity of ours',
    waysIn.includes('client credentials') && '--client-id ID --client-secret-file FILE for a client',
    '--header-file FILE for a token of your own',
  ].filter((hint) => hint !== false)
  return new OpenMcpError('upstream_refused', refusal.message, { hint: hints.join('; '), cause: refusal })
}

function waysInto(server: Issuer['server']): WayIn[] {
  const { grant_types_supported: grants, token_endpoint_auth_methods_supported: methods = [] } = server
  const has = (grant: string): boolean => Array.isArray(grants) && grants.includes(grant)
  const ways: readonly (readonly [WayIn, boolean])[] = [
    ['registration', server.registration_endpoint !== undefined],
    ['client id metadata document', server['client_id_metadata_document_supported'] === true],
    ['device code', server.device_authorization_endpoint !== undefined],
    ['client credentials', has('client_credentials')],
    ['identity', has('urn:ietf:params:oauth:grant-type:jwt-bearer') || (has('client_credentials') && methods.includes('private_key_jwt'))],
  ]
  return ways.flatMap(([way, isThere]) => (isThere ? way : []))
}
