// What comes back from a login, through the browser or pasted: a stranger's word until state and issuer are checked.
import { OpenMcpError } from '../errors.ts'
import { spoken } from './spoken.ts'

export interface Expected {
  state: string
  issuer: string
  /** Whether the issuer has said that it names itself (RFC 9207 §3). */
  namesItself: boolean
}

/** `not_ours` is no answer to this login, and the real one may still come; the other two end it. */
export type RedirectAnswer = { kind: 'code'; code: string } | { kind: 'failed'; error: OpenMcpError } | { kind: 'not_ours'; why: string }

const CODE = /^[\x21-\x7e]{1,4096}$/

export function readAnswer(parameters: URLSearchParams, { state, issuer, namesItself }: Expected): RedirectAnswer {
  const once = (name: string): string | undefined => (parameters.getAll(name).length === 1 ? (parameters.get(name) ?? undefined) : undefined)
  if (once('state') !== state) return { kind: 'not_ours', why: 'it belongs to another login' }
  // From here on the answer was written by somebody who has seen what we asked: if it is wrong, it is not asked for again.
  const failed = (message: string, hint?: string): RedirectAnswer => ({
    kind: 'failed',
    error: new OpenMcpError('login_failed', message, hint === undefined ? {} : { hint }),
  })
  for (const name of ['iss', 'code', 'error']) if (parameters.getAll(name).length > 1) return failed(`the answer of ${issuer} says '${name}' twice`)
  // RFC 9207 §2.4: compared as it is. Another issuer could have us take its code, or a code of its victim, to the wrong one.
  const iss = parameters.get('iss')
  if (iss !== null && iss !== issuer) return failed(`the answer comes from another issuer than ${issuer}, where the login was asked for`)
  if (iss === null && namesItself) return failed(`the answer does not say that it comes from ${issuer}, which it always says`)
  const error = parameters.get('error')
  if (error !== null) {
    const description = parameters.get('error_description')
    return { kind: 'failed', error: refusalOf(issuer, error, spoken(description === null ? error : `${error}: ${description}`)) }
  }
  const code = parameters.get('code') ?? ''
  return CODE.test(code) ? { kind: 'code', code } : failed(`the answer of ${issuer} holds no code`)
}

const MAX_PASTED = 8192

/** An address that the browser was sent to, or its query, or the code alone. */
export function readPasted(text: string, redirectUri: string, expected: Expected): RedirectAnswer {
  const pasted = text.trim()
  if (pasted.length > MAX_PASTED) return { kind: 'not_ours', why: 'it is too long' }
  if (/^https?:/i.test(pasted)) {
    const url = URL.canParse(pasted) ? new URL(pasted) : undefined
    if (!url || `${url.origin}${url.pathname}` !== redirectUri) return { kind: 'not_ours', why: `it does not begin with ${redirectUri}` }
    return readAnswer(url.searchParams, expected)
  }
  if (/(?:^|[?&])(?:code|error|state)=/.test(pasted)) return readAnswer(new URLSearchParams(pasted.replace(/^\?/, '')), expected)
  if (pasted.length < 8 || !CODE.test(pasted)) return { kind: 'not_ours', why: 'it is neither an address nor a code' }
  // A code alone does not say whose it is. Another login's would not fit our verifier; another issuer's must not be taken to this one.
  if (expected.namesItself) return { kind: 'not_ours', why: `${expected.issuer} says in the address that it was there, so all of the address is needed` }
  return { kind: 'code', code: pasted }
}

function refusalOf(issuer: string, error: string, said: string): OpenMcpError {
  if (error === 'access_denied') return new OpenMcpError('login_failed', `the login was refused at ${issuer} (${said})`, { hint: 'log in and allow it' })
  if (error === 'invalid_scope') return new OpenMcpError('login_failed', `${issuer} does not give this scope (${said})`, { hint: 'name another with --scope' })
  if (error === 'invalid_target')
    return new OpenMcpError('login_failed', `${issuer} gives no tokens for this server (${said})`, {
      hint: '--resource URL names what it knows the server by, and --resource none leaves it out',
    })
  return new OpenMcpError('login_failed', `${issuer} did not log anybody in (${said})`, { hint: 'try again; its log says why' })
}
