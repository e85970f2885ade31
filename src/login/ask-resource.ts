// The first step of every login: the resource is asked without a token, in order to be told which one it wants.
import { OpenMcpError } from '../errors.ts'
import { isLoopbackHost } from '../protocol/loopback.ts'
import type { BoundedFetch } from './bounded-fetch.ts'
import { parseChallenge, type Challenge } from './challenge.ts'
import { shownUrl } from './shown-url.ts'

/** Fails with `login_failed` when a token for it would be read on its way. */
export function requirePrivateWay(resource: URL): void {
  if (resource.protocol === 'https:' || isLoopbackHost(resource.hostname)) return
  throw new OpenMcpError('login_failed', `${shownUrl(resource)} is not reached over https: a token would be read on its way`, {
    hint: 'http is for loopback alone',
  })
}

const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
const POST = { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }, body: PING, headOnly: true }
const GET = { headers: { accept: 'text/event-stream' }, headOnly: true }

/** What the 401 of the resource says. An address for HTTP+SSE takes no POST, and is asked by GET. */
export async function challengeOf(resource: URL, fetch: BoundedFetch): Promise<Challenge> {
  const posted = await fetch(resource.href, POST)
  const answer = [400, 404, 405, 415].includes(posted.status) ? await fetch(resource.href, GET) : posted
  const { status } = answer
  if (status === 401) return parseChallenge(answer.headers.get('www-authenticate') ?? '')
  const where = shownUrl(resource)
  if (status < 300) throw new OpenMcpError('login_failed', `${where} asks nobody for a token (HTTP ${status})`, { hint: 'connect to it without one' })
  if (status < 400) throw new OpenMcpError('login_failed', `${where} redirects (HTTP ${status})`, { hint: 'give the address that it leads to' })
  throw new OpenMcpError('login_failed', `${where} answers HTTP ${status}, and does not ask for a token`, {
    hint: 'check the path: MCP is mostly served at /mcp or /sse',
  })
}
