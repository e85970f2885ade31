// An upstream that says "over there": followed to another path of its own, and to nobody else.
import { OpenMcpError } from '../errors.ts'
import type { AnswerHandler, ClientRequest } from './http-request.ts'

/** The status, and `Location` as it came. */
export type Redirected = (status: number, location: string | undefined) => void

/** Sends a request to where it says. */
export type SendOnce = (request: ClientRequest, handler: AnswerHandler, redirected: Redirected) => () => void

/** `/mcp` to `/mcp/` is one; more than a few are a circle. */
const MOST_HOPS = 3
const MOST_REMEMBERED = 16
/** These keep method and body (RFC 9110 §15.4.8, §15.4.9). What the others make of a POST is a GET. */
const KEEPING = new Set([307, 308])
const OF_A_GET = new Set([301, 302, 307, 308])

/**
 * A redirect within the origin is followed, and remembered until what is there is gone. One to another origin, to http where it was
 * https, or that would turn a request into another one, is a failure: whoever it names has been named by nobody, and our
 * headers, and the client's words, are not for them.
 */
export function createFollower(origin: string, send: SendOnce): (request: ClientRequest, handler: AnswerHandler) => () => void {
  const moved = new Map<string, URL>()

  return (request, handler) => {
    let stop = (): void => {}
    let hops = 0
    const go = (url: URL): void => {
      stop = send(url === request.url ? request : { ...request, url }, moved.size === 0 ? handler : forgetting(request.url, handler), (status, location) => {
        const to = placeBehind({ method: request.method, status, from: url, location })
        if (to instanceof OpenMcpError) return handler.failed(to)
        if (++hops > MOST_HOPS) return handler.failed(circleAt(origin, status))
        if (KEEPING.has(status) && moved.size < MOST_REMEMBERED) moved.set(keyOf(request.url), to)
        go(to)
      })
    }
    go(moved.size === 0 ? request.url : (moved.get(keyOf(request.url)) ?? request.url))
    return () => stop()
  }

  /** Where nothing is any more, the next request asks at the old place. */
  function forgetting(asked: URL, handler: AnswerHandler): AnswerHandler {
    return {
      ...handler,
      head(status, headers, flow) {
        if (status === 404 || status === 410) moved.delete(keyOf(asked))
        handler.head(status, headers, flow)
      },
    }
  }
}

function keyOf({ pathname, search }: URL): string {
  return pathname + search
}

/** fetch for whoever looks at a server: the same of its redirects. */
export function fetchFollowing(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init = {}) => {
    const method = init.method ?? 'GET'
    let url = new URL(input instanceof Request ? input.url : input)
    for (let hops = 0; ; hops++) {
      const response = await fetch(url, { ...init, redirect: 'manual' })
      const { status } = response
      if (status < 300 || status >= 400) return response
      void response.body?.cancel().catch(() => {})
      const to = placeBehind({ method, status, from: url, location: response.headers.get('location') ?? undefined })
      if (to instanceof OpenMcpError) throw to
      if (hops === MOST_HOPS) throw circleAt(url.origin, status)
      url = to
    }
  }
}

interface Redirect {
  method: string
  status: number
  from: URL
  location: string | undefined
}

/** Nothing of a query is told: it may hold a secret. */
function placeBehind({ method, status, from, location }: Redirect): URL | OpenMcpError {
  const to = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined
  const isOurs = to?.origin === from.origin && to.username === '' && to.password === ''
  if (to && isOurs && (method === 'GET' ? OF_A_GET : KEEPING).has(status)) return to
  const where = !to ? 'nowhere that could be read' : isOurs ? to.pathname : `${to.origin}${to.pathname}`
  return new OpenMcpError('upstream_not_mcp', `the upstream ${from.origin} redirects to ${where} (HTTP ${status}), which is not followed`, {
    hint: to ? 'name that address as the upstream if it is meant, and trusted' : 'check the path',
  })
}

function circleAt(origin: string, status: number): OpenMcpError {
  return new OpenMcpError('upstream_not_mcp', `the upstream ${origin} redirects in a circle (HTTP ${status})`)
}
