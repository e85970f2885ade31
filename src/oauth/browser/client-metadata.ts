// What a client says of itself (RFC 7591 §2), wherever it says so: checked once, and no more kept than a login needs.
import { isObject } from '../../protocol/message.ts'
import { kindOfRedirect } from './redirect-uri.ts'

export interface ClientMetadata {
  /** One line, as the client calls itself: nobody vouches for it. Empty when it gives none. */
  readonly name: string
  /** Installed at the person's own machine: loopback ports are free then. */
  readonly native: boolean
  readonly redirectUris: readonly string[]
}

/** `error` in the words of RFC 7591 §3.2.2. */
export interface NoClient {
  readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata'
  readonly description: string
}

const MOST_URIS = 16
const MOST_NAME = 80

export function clientMetadataOf(value: unknown): ClientMetadata | NoClient {
  if (!isObject(value)) return refused('a client describes itself by a JSON object')
  const { redirect_uris: uris, client_name: name, application_type: type } = value
  if (!Array.isArray(uris) || uris.length === 0 || uris.length > MOST_URIS)
    return { error: 'invalid_redirect_uri', description: `redirect_uris must be 1 to ${MOST_URIS} URIs` }
  const redirectUris = uris.filter((uri) => typeof uri === 'string')
  const kinds = redirectUris.map(kindOfRedirect)
  if (redirectUris.length < uris.length || kinds.includes(undefined)) return { error: 'invalid_redirect_uri', description: ALLOWED_URIS }
  if (type !== undefined && type !== 'web' && type !== 'native') return refused('application_type is web or native')
  if (type === 'web' && kinds.includes('private-use')) return { error: 'invalid_redirect_uri', description: 'a web client has no scheme of its own' }
  for (const [member, needed] of NEEDED) {
    const listed = value[member]
    if (listed !== undefined && !(Array.isArray(listed) && listed.includes(needed)))
      return refused(`${member} must have ${needed}: there is no other login here`)
  }
  return {
    name: typeof name === 'string' ? oneLine(name) : '',
    // OpenID Connect takes whoever does not say for web. What the redirect URIs are says it better.
    native: type === undefined ? kinds.some((kind) => kind !== 'https') : type === 'native',
    redirectUris,
  }
}

export function isNoClient(value: object): value is NoClient {
  return 'error' in value
}

const NEEDED = [
  ['grant_types', 'authorization_code'],
  ['response_types', 'code'],
] as const
const ALLOWED_URIS = 'a redirect URI is https, http on loopback, or a scheme of the program: without a fragment, a user name or a script'

function refused(description: string): NoClient {
  return { error: 'invalid_client_metadata', description }
}

/** Nothing in it turns the line round, hides or breaks it. */
function oneLine(name: string): string {
  const shown = name
    .slice(0, 1024)
    .replaceAll(/[\p{Z}\s]+/gu, ' ')
    .replaceAll(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, '')
  return Array.from(shown.trim()).slice(0, MOST_NAME).join('').trim()
}
