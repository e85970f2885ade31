// What the key page asks about a login: who wants it, what to sign, and yes or no. Only the browser that began it hears anything.
import type { Request } from 'express'

import { intersection } from '../../policy/scopes.ts'
import type { Challenges, Purpose } from '../../tokens/challenge.ts'
import type { Places } from '../../tokens/places.ts'
import { isJsonRefusal, jsonRefusal, type Act, type JsonRefusal } from '../json-endpoint.ts'
import { identityIn, type ProvedBy } from '../signed-proof.ts'
import { askedIn, type Asked } from './asked.ts'
import type { FindClient } from './clients.ts'
import type { LoginCookies } from './cookie.ts'
import type { Flow } from './flow.ts'
import type { LoginRows } from './login-rows.ts'
import { isOwnPage, placeOfRedirect } from './redirect-uri.ts'

export interface LoginEndpointOptions {
  rows: LoginRows
  cookies: LoginCookies
  findClient: FindClient
  flow: () => Promise<Flow>
  challenges: Challenges
  provedBy: ProvedBy
  places: Pick<Places, 'baseOf'>
}

export interface LoginEndpoints {
  shown: Act
  challenge: Act
  approve: Act
  deny: Act
}

interface Login extends Asked {
  readonly base: string
  readonly uid: string
  /** Seconds since 1970. */
  readonly exp: number
}

export function createLoginEndpoints({ rows, cookies, findClient, flow, challenges, provedBy, places }: LoginEndpointOptions): LoginEndpoints {
  async function loginOf(req: Request): Promise<Login | JsonRefusal> {
    const base = places.baseOf(req)
    const uid = String(req.params['uid'])
    if (!cookies.isOf(req, base, uid))
      return jsonRefusal('another_browser', 'this login was begun in another browser, or not at all: begin again where you want to log in')
    const row = await rows.get('Interaction', uid)
    const asked = askedIn(row?.['params'])
    // Yes or no was said: it only waits for the browser to go back.
    return asked && row?.['result'] === undefined ? { ...asked, base, uid, exp: Number(row?.['exp']) } : over()
  }

  return {
    async shown(_body, req) {
      const login = await loginOf(req)
      if (isJsonRefusal(login)) return login
      const client = await findClient(login.clientId)
      if (!client) return over()
      return {
        client: { name: client.name, id_host: client.idHost ?? null, vouched: client.idHost !== undefined },
        redirect: { ...placeOfRedirect(login.redirectUri), ours: isOwnPage(login.redirectUri, login.base) },
        scopes: [...login.scopes],
        resource: login.resource,
        expires_at: new Date(login.exp * 1000).toISOString(),
      }
    },

    async challenge(body, req) {
      const login = await loginOf(req)
      if (isJsonRefusal(login)) return login
      const { message, nonce, expiresAtMs } = challenges.issue(identityIn(body), purposeOf(login))
      return { message, nonce, expires_at: new Date(expiresAtMs).toISOString() }
    },

    async approve(body, req) {
      const login = await loginOf(req)
      if (isJsonRefusal(login)) return login
      const who = await provedBy(body, purposeOf(login))
      if (isJsonRefusal(who)) return who
      const { base, uid, clientId, resource, scopes, dpopJkt } = login
      if (intersection(scopes, who.standing.scopes).length === 0) return jsonRefusal('invalid_scope', 'none of these scopes is given to this identity')
      const approved = await (await flow()).approve(base, uid, { identity: who.identity, clientId, resource, scopes })
      if (!approved) return over()
      if (dpopJkt !== undefined) await rows.bind(approved.grantId, dpopJkt)
      return { redirect_to: approved.to }
    },

    async deny(_body, req) {
      const login = await loginOf(req)
      if (isJsonRefusal(login)) return login
      const to = await (await flow()).deny(login.base, login.uid, 'the person said no')
      return to === undefined ? over() : { redirect_to: to }
    },
  }
}

function over(): JsonRefusal {
  return jsonRefusal('expired_login', 'this login is over: begin again where you want to log in')
}

/** Whoever signs reads where the code goes and what it opens. What the client calls itself stays out: a signature vouches for it. */
function purposeOf({ base, uid, redirectUri, scopes }: Login): Purpose {
  const uri = `${base}/login/${uid}`
  if (isOwnPage(redirectUri, base)) return { uri, statement: 'Show this server that it is you, and nobody else. Signing costs nothing and moves nothing.' }
  const { host, loopback } = placeOfRedirect(redirectUri)
  const place = loopback ? `a program on this computer (${host})` : host.endsWith(':') ? `the program that opens ${host} links` : host
  return {
    uri,
    statement: `Log in, and let ${place} use this server in my name: ${scopes.join(', ')}. Signing costs nothing and moves nothing.`,
  }
}
