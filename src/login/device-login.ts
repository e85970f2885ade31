// A person's login for a resource in a browser at another device (RFC 8628): a code is typed there, and asked after here.
import { allowInsecureRequests, customFetch, deviceAuthorizationRequest, processDeviceAuthorizationResponse, ResponseBodyError } from 'oauth4webapi'

import { OpenMcpError } from '../errors.ts'
import { findFor, loginOf, type Found, type LoginAsked } from './before-login.ts'
import { LOGIN_BOUNDS, boundedFetch, type BoundedFetch } from './bounded-fetch.ts'
import { clientAuthOf, clientFor, DEVICE_CODE, type Client } from './client.ts'
import { TOO_MUCH_FOR_ENTRA, wrongTarget } from './code-grant.ts'
import { resourceParameter, type Login } from './login.ts'
import { scopeFor } from './person.ts'
import { endpointOf, quoted, requireSafe } from './safe-url.ts'
import { spoken } from './spoken.ts'
import { requestAtTokenEndpoint, type TokenAnswer } from './token-endpoint.ts'

export interface DeviceLoginOptions extends LoginAsked {
  show(invitation: DeviceInvitation): void
  /** Settles when so much time is over; fails with the reason of the signal. */
  sleep(ms: number, signal: AbortSignal): Promise<unknown>
}

export interface DeviceInvitation {
  readonly issuer: string
  /** Where the person goes, and what they type there. */
  readonly url: URL
  readonly code: string
}

/** Fails with `login_failed`, which says what failed and what to do, and holds no secret. */
export async function deviceLogin(options: DeviceLoginOptions): Promise<Login> {
  const { client: choice, bounds = LOGIN_BOUNDS } = options
  const fetch = boundedFetch(options.fetch, bounds)
  const found = await findFor(options, fetch)
  const { issuer } = found
  const by = issuer.server.issuer
  const endpoint = endpointOf(by, issuer.server.device_authorization_endpoint, 'lets devices ask for a login')
  if (!endpoint) {
    throw new OpenMcpError('login_failed', `${by} has no login at another device (RFC 8628)`, {
      hint: 'without --device: the address that the browser is sent to in the end can be pasted',
    })
  }
  const client = await clientFor(issuer, choice, 'device', fetch)
  const scope = scopeFor(issuer, options.scope)
  const asked = await ask({ found, client, scope, endpoint, fetch }, options)
  options.show({ issuer: by, url: asked.url, code: asked.code })
  const answer = await answerTo(asked, { found, client }, options)
  return loginOf(options, found, { client, scope, answer })
}

interface Asked {
  readonly url: URL
  readonly code: string
  readonly deviceCode: string
  readonly everySeconds: number
}

interface Asking {
  found: Found
  client: Client
  scope: string | undefined
  endpoint: URL
  fetch: BoundedFetch
}

async function ask({ found, client, scope, endpoint, fetch }: Asking, { indicator }: LoginAsked): Promise<Asked> {
  const { issuer } = found
  const by = issuer.server.issuer
  const server = { ...issuer.server, device_authorization_endpoint: endpoint.href }
  const parameters = { ...resourceParameter({ ...issuer, indicator }), ...(scope !== undefined && { scope }) }
  try {
    const options = { [customFetch]: fetch, [allowInsecureRequests]: true }
    const response = await deviceAuthorizationRequest(server, { client_id: client.id }, clientAuthOf(client), parameters, options)
    const { device_code, user_code, verification_uri, interval } = await processDeviceAuthorizationResponse(server, { client_id: client.id }, response)
    const url = placeOf(verification_uri, by)
    if (/^[\x21-\x7e][\x20-\x7e]{0,63}$/.test(user_code)) return { url, code: user_code, deviceCode: device_code, everySeconds: everyOf(interval) }
    throw new OpenMcpError('login_failed', `${by} gives a code that nobody could type`)
  } catch (thrown) {
    if (thrown instanceof OpenMcpError) throw thrown
    // Without its cause, which may hold the code.
    if (!(thrown instanceof ResponseBodyError)) throw new OpenMcpError('login_failed', `${by} answers with something that is no code for a device`)
    const said = spoken(thrown.error_description === undefined ? thrown.error : `${thrown.error}: ${thrown.error_description}`)
    if (thrown.error === 'invalid_target' || said.includes(TOO_MUCH_FOR_ENTRA)) throw wrongTarget(by, issuer.resource, said)
    const hint = thrown.error === 'invalid_scope' ? 'name another with --scope' : 'its operator has to allow the client the grant device_code'
    throw new OpenMcpError('login_failed', `${by} lets nobody log in at another device (${said})`, { hint })
  }
}

/** A person is shown it, and opens it: it is a page, and where the issuer may be. */
function placeOf(text: string, issuer: string): URL {
  const url = text.length <= 2048 && URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.username !== '' || url.password !== '') throw new OpenMcpError('login_failed', `${issuer} sends people to no URL of a page`)
  requireSafe(url, new URL(issuer).hostname, `where ${issuer} sends people`)
  return quoted(url)
}

const USUAL_SECONDS = 5
const MOST_SECONDS = 60

function everyOf(interval: number | undefined): number {
  return Math.min(Math.max(interval ?? USUAL_SECONDS, 1), MOST_SECONDS)
}

/** How often in a row nothing may come back before it is given up. */
const TRIES = 3

async function answerTo(
  { deviceCode, everySeconds }: Asked,
  { found, client }: Pick<Asking, 'found' | 'client'>,
  options: DeviceLoginOptions,
): Promise<TokenAnswer> {
  const { indicator, signal, sleep, bounds = LOGIN_BOUNDS } = options
  const { issuer, dpop } = found
  let seconds = everySeconds
  let unanswered = 0
  for (;;) {
    await sleep(seconds * 1000, signal)
    let refusal = ''
    try {
      return await requestAtTokenEndpoint({
        issuer,
        clientId: client.id,
        clientAuth: clientAuthOf(client),
        grant: DEVICE_CODE,
        parameters: async () => ({ device_code: deviceCode, ...resourceParameter({ ...issuer, indicator }) }),
        dpop,
        fetch: boundedFetch(options.fetch, bounds),
        secrets: [deviceCode, ...(client.secret === undefined ? [] : [client.secret])],
        refusal: (error, said) => refused((refusal = error), said, issuer.server.issuer),
      })
    } catch (thrown) {
      unanswered = refusal === '' ? unanswered + 1 : 0
      if ((refusal !== '' && !['authorization_pending', 'slow_down'].includes(refusal)) || unanswered === TRIES) throw thrown
      // RFC 8628 §3.5: five more for good; and twice as long where nothing came back.
      if (refusal === 'slow_down') seconds = Math.min(seconds + 5, MOST_SECONDS)
      if (refusal === '') seconds = Math.min(seconds * 2, MOST_SECONDS)
    }
  }
}

function refused(error: string, said: string, by: string): OpenMcpError {
  switch (error) {
    case 'access_denied':
      return new OpenMcpError('login_failed', `the login was refused at ${by} (${said})`, { hint: 'log in and allow it' })
    case 'expired_token':
      return new OpenMcpError('login_failed', `nobody typed the code at ${by} in its time (${said})`, { hint: 'log in again' })
    default:
      return new OpenMcpError('login_failed', `${by} gives no token for the login (${said})`, { hint: 'log in again; its log says why' })
  }
}
