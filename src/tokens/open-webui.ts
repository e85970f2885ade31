// The session tokens of Open WebUI, which it sends to the tool servers of its users: a JWT that names a user in `id`, sealed with the
// secret of that installation. It names neither issuer nor audience: whoever has the secret says who anybody is.
import { createHmac, timingSafeEqual } from 'node:crypto'

import type { Jwt } from './jwt.ts'
import { textClaim, typeOf } from './jwt.ts'

export interface OpenWebUi {
  /** `WEBUI_SECRET_KEY`, at least 32 characters (RFC 7518 §3.2). */
  readonly secret: string
  /** It is served at the host that we are at: then its cookie says, too, who is in front of a browser. */
  readonly sameHost?: boolean | undefined
}

/** What stands before the bar in the identity of a user. No issuer of another kind may have this name. */
export const OPEN_WEBUI = 'open-webui'
const LEAST_WEBUI_SECRET = 32
/** What it gives lives four weeks, unless its operator says something else. */
export const WEBUI_SECONDS = 31 * 24 * 3600

/** `open-webui|ID`. Whether the token still lives is another question. */
export function webUiUser(jwt: Jwt, { secret }: OpenWebUi): string | { rejected: string } {
  const { header, claims, signingInput, signature } = jwt
  // The one algorithm, whatever the token would like (RFC 8725 §3.1).
  if (header['alg'] !== 'HS256' || !['', 'jwt'].includes(typeOf(jwt))) return { rejected: 'not as Open WebUI seals it' }
  if (secret.length < LEAST_WEBUI_SECRET) return { rejected: 'the secret of Open WebUI is too short' }
  const good = createHmac('sha256', secret).update(signingInput).digest()
  if (signature.length !== good.length || !timingSafeEqual(signature, good)) return { rejected: 'the seal is not that of Open WebUI' }
  const id = textClaim(claims, 'id', 64)
  if (id === undefined || !/^[\w-]+$/.test(id)) return { rejected: 'it names no user' }
  return 'cnf' in claims ? { rejected: 'bound to its holder in a way that is not known here' } : `${OPEN_WEBUI}|${id}`
}
