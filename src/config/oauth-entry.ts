// `oauth` of a server: how a token for it is had, where that is not to be found out from the server itself.
import { RESOURCE_INDICATOR } from '../protocol/resource-indicator.ts'
import type { At } from './at.ts'
import { about, choice, meaning, number, object, text, yesOrNo, type Members, type Shape } from './shape.ts'
import { safeUrl } from './words.ts'

export interface OAuthEntry {
  /** `caller`: each logs in there themselves. `all`: one login is for all who may call. */
  readonly per: 'all' | 'caller'
  /** `code`: what a person has logged in for. `device`: the same, with a browser elsewhere. `client_credentials` asks nobody. */
  readonly grant: 'code' | 'client_credentials' | 'device'
  readonly clientId: string | undefined
  readonly clientSecret: string | undefined
  /** Where tokens are asked for; undefined: what the issuer's metadata say. */
  readonly tokenUrl: string | undefined
  /** Undefined: what the server says. */
  readonly issuer: string | undefined
  /** RFC 8707, in place of the server's own URL; `none`: it is not sent. */
  readonly resource: string | undefined
  readonly scope: string | undefined
  /** The issuer binds its codes (PKCE S256), though it does not say so. */
  readonly trustPkce: boolean
  /** A caller's own login that lies unused for so long is over. Undefined: none is. */
  readonly sessionTimeoutMinutes: number | undefined
}

const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/
const scope = (): Shape<string> => text({ to: 2048, pattern: SCOPE, says: 'must be scopes with a space between them' })
const resource = (): Shape<string> => text({ to: 2048, pattern: RESOURCE_INDICATOR, says: 'must be a URL without user and fragment, or none' })

/** What RFC 6749 §A.1 and §A.2 let a client's name and secret consist of. */
const visible = (): Shape<string> => text({ to: 2048, pattern: /^[\x20-\x7e]+$/, says: 'must be one line of letters, digits and signs of ASCII' })

const MEMBERS = {
  per: about(
    'caller: each caller logs in there themselves, in a browser; needs --security. Unless given: all, one login for all callers.',
    choice(['all', 'caller']),
  ),
  grant: about(
    'code: a person logs in. device: so, with a browser elsewhere. client_credentials: nobody does. Unless given: client_credentials with a tokenUrl, code without.',
    choice(['code', 'client_credentials', 'device'], { authorization_code: 'code' }),
  ),
  clientId: about('Who we are to the issuer.', visible()),
  clientSecret: about('What proves that: ${NAME} or ${file:PATH} keep it out of the file.', visible()), // oxlint-disable-line no-template-curly-in-string -- what is to be written
  tokenUrl: about('Where tokens are asked for, when that is not to be found out.', safeUrl()),
  issuer: about('Who gives them, when that is not to be found out.', safeUrl()),
  resource: about("What they are for, when that is not the server's URL; none: it is not said (RFC 8707).", resource()),
  scope: about('What is asked for.', scope()),
  trustPkce: about('true: the issuer binds its codes (PKCE S256) though it does not say so, like Entra and Cognito.', yesOrNo()),
  sessionTimeoutMinutes: about(
    "With per caller: a caller's login that was not used for so long is over, and is forgotten. Unless given: none is.",
    number({ from: 1, to: 525_600, whole: true }),
  ),
  client_metadata: about(
    'As mcpo has it: its scope is scope.',
    object(
      { scope: scope() },
      { idle: foundOut('client_name', 'redirect_uris', 'grant_types', 'response_types', 'token_endpoint_auth_method', 'client_uri', 'logo_uri', 'contacts') },
    ),
  ),
  multi_user: about('As mcpo has it: true is per: caller, false per: all.', yesOrNo()),
}

export const OAUTH: Shape<OAuthEntry> = about(
  'How a token for it is had, when the server does not say all of it.',
  meaning(
    object(MEMBERS, {
      aliases: {
        client_id: 'clientId',
        client_secret: 'clientSecret',
        token_url: 'tokenUrl',
        scopes: 'scope',
        session_timeout_minutes: 'sessionTimeoutMinutes',
      },
      idle: {
        ...foundOut('server_url', 'storage_type', 'callback_port', 'use_loopback'),
        webui_secret_key: 'is trust.openWebUi here, for all servers, and changes nothing',
      },
    }),
    oauthOf,
  ),
)

function oauthOf(given: Members<typeof MEMBERS>, at: At): OAuthEntry | undefined {
  const { clientId, clientSecret, tokenUrl, issuer, multi_user: isMultiUser } = given
  const per = given.per ?? (isMultiUser ? 'caller' : 'all')
  const grant = given.grant ?? (tokenUrl === undefined ? 'code' : 'client_credentials')
  const wrongs = [
    clientSecret !== undefined && clientId === undefined && 'clientSecret needs a clientId',
    grant === 'client_credentials' && (clientId === undefined || clientSecret === undefined) && 'client_credentials needs a clientId and a clientSecret',
    tokenUrl !== undefined && issuer !== undefined && 'tokenUrl and issuer both say where tokens come from: drop one of them',
    tokenUrl !== undefined && grant !== 'client_credentials' && `tokenUrl is for client_credentials, and the grant is ${grant}`,
    given.per !== undefined && isMultiUser !== undefined && 'multi_user says again what per says',
    given.trustPkce === true && grant !== 'code' && `trustPkce is for people who log in (grant code), and the grant is ${grant}`,
    per === 'caller' && grant !== 'code' && `per caller is for people who log in (grant code), and the grant is ${grant}`,
    given.scope !== undefined && given.client_metadata?.scope !== undefined && 'client_metadata.scope says again what scope says',
  ].filter((words) => typeof words === 'string')
  for (const words of wrongs) at.mistake(words)
  if (given.sessionTimeoutMinutes !== undefined && per === 'all') at.warn('the session timeout is for logins per caller, and changes nothing for one of all')
  if (wrongs.length > 0) return undefined
  return {
    per,
    grant,
    clientId,
    clientSecret,
    tokenUrl,
    issuer,
    resource: given.resource?.toLowerCase() === 'none' ? 'none' : given.resource,
    scope: given.scope ?? given.client_metadata?.scope,
    trustPkce: given.trustPkce ?? false,
    sessionTimeoutMinutes: given.sessionTimeoutMinutes,
  }
}

function foundOut(...names: string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, 'is found out or kept in another way here, and changes nothing']))
}
