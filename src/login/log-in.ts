// A person's login for a resource, from its first question to tokens (RFC 8252, OAuth 2.1 §4.1, MCP authorization).
import { findFor, loginOf, type LoginAsked } from './before-login.ts'
import { LOGIN_BOUNDS, boundedFetch } from './bounded-fetch.ts'
import { clientFor } from './client.ts'
import { exchangeCode } from './code-grant.ts'
import type { Login } from './login.ts'
import { authorizationEndpoint, newState, requestFor, scopeFor } from './person.ts'
import { waitFor, type Person } from './wait-for-code.ts'

export interface LogInOptions extends LoginAsked {
  person: Person
}

/** Fails with `login_failed`, which says what failed and what to do, and holds no secret. */
export async function logIn(options: LogInOptions): Promise<Login> {
  const { client: choice, indicator, person, signal, bounds = LOGIN_BOUNDS } = options
  const asking = boundedFetch(options.fetch, bounds)
  const found = await findFor(options, asking)
  const { issuer, dpop } = found
  const { issuer: by, authorization_response_iss_parameter_supported: namesItself } = issuer.server
  const endpoint = authorizationEndpoint(issuer, options)
  const wait = waitFor({ state: newState(), issuer: by, namesItself: namesItself === true }, signal)
  try {
    const { redirectUri } = await wait.listen()
    const client = await clientFor(issuer, choice, { redirectUri }, asking)
    const scope = scopeFor(issuer, options.scope)
    const jkt = await dpop?.thumbprint()
    const { url, verifier } = requestFor({ issuer, endpoint, clientId: client.id, redirectUri, scope, indicator, jkt, state: wait.state })
    wait.hear(person)
    person.show({ url, issuer: by, redirectUri })
    const code = await wait.code
    // A deadline of its own: the person took their time.
    const fetch = boundedFetch(options.fetch, bounds)
    const answer = await exchangeCode({ issuer, client, code, verifier, redirectUri, indicator, dpop, fetch })
    return await loginOf(options, found, { client, scope, answer })
  } finally {
    wait.end()
  }
}
