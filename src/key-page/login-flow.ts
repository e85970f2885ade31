// The login as this page speaks it: what is asked for, and the answer of a person.
import { Told, type Identity } from './identity.ts'
import { got, isJson, posted, STRANGE, textIn, textsIn, type Json } from './server.ts'
import { signedRequest } from './signed.ts'

/** What a client asks for. All of its words may be anybody's. */
export interface LoginRequest {
  readonly client: string
  /** The host that says what its clients are called and where they get their answers. */
  readonly vouchedBy: string | undefined
  readonly redirectHost: string
  readonly loopback: boolean
  /** This server asks for itself: nobody is given anything. */
  readonly ours: boolean
  readonly scopes: readonly string[]
  readonly resource: string
}

export interface LoginFlow {
  request(signal: AbortSignal): Promise<LoginRequest>
  /** Both give where the browser goes on. */
  approve(identity: Identity, more: Json, signal: AbortSignal): Promise<URL>
  deny(signal: AbortSignal): Promise<URL>
}

export function loginFlow(uid: string): LoginFlow {
  const path = `login/${encodeURIComponent(uid)}`
  return {
    async request(signal) {
      return requestIn(await got(path, { withCookie: true, signal }))
    },
    async approve(identity, more, signal) {
      return onwards(await signedRequest(identity, { challenge: `${path}/challenge`, act: `${path}/approve`, more, withCookie: true, signal }))
    },
    async deny(signal) {
      return onwards(await posted(`${path}/deny`, {}, { withCookie: true, signal }))
    },
  }
}

function requestIn({ client, redirect, scopes, resource }: Json): LoginRequest {
  const host = isJson(redirect) ? textIn(redirect['host']) : undefined
  if (!isJson(client) || !isJson(redirect) || host === undefined) throw new Told(STRANGE)
  return {
    client: textIn(client['name']) ?? '',
    vouchedBy: client['vouched'] === true ? textIn(client['id_host']) : undefined,
    redirectHost: host,
    loopback: redirect['loopback'] === true,
    ours: redirect['ours'] === true,
    scopes: textsIn(scopes),
    resource: textIn(resource) ?? '',
  }
}

/** To this server alone, which sends on to the client: whatever stands in an answer, this page opens nobody else's door. */
function onwards({ redirect_to: to }: Json): URL {
  try {
    const url = new URL(textIn(to) ?? '', location.origin)
    if (url.pathname !== '/' && url.origin === location.origin) return url
  } catch {
    // No URL is told like one that leads elsewhere.
  }
  throw new Told(STRANGE)
}
