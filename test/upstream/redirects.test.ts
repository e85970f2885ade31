// An upstream that says "over there".
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'

import type { OpenMcpError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createHttpClient, type HttpClient } from '../../src/upstream/http-client.ts'
import type { Credential } from '../../src/upstream/options.ts'
import { forThisTest } from '../support/tidy.ts'
import { json, upstream, type Received, type Upstream } from '../support/upstream.ts'

async function clientOf({ origin }: Upstream, credential?: Credential): Promise<HttpClient> {
  const client = createHttpClient(origin, { authorization: 'Bearer ours' }, DEFAULT_LIMITS, { credential })
  await forThisTest({ stop: () => client.close() })
  return client
}

function ask(client: HttpClient, url: URL, method: 'POST' | 'GET' | 'DELETE' = 'POST'): Promise<number | OpenMcpError> {
  return new Promise((resolve) => {
    let found = 0
    const body = method === 'POST' ? '{"a":1}' : undefined
    client.request(
      { method, url, headers: { 'mcp-session-id': 's' }, body },
      { head: (status) => void (found = status), chunk: () => {}, end: () => resolve(found), failed: resolve },
    )
  })
}

/** Redirects `/mcp`, and answers anywhere else. */
function redirecting(status: number, location: (origin: string) => string): Promise<Upstream> {
  const answer = ({ url, headers }: Received, res: ServerResponse): void => {
    if (url === '/mcp') res.writeHead(status, { location: location(`http://${headers.host}`) }).end()
    else json(res, url === '/gone' ? 404 : 200, {})
  }
  return forThisTest(upstream(answer))
}

const asked = ({ received }: Upstream): string[] => received.map(({ method, url }) => `${method} ${url}`)

describe('a redirect within the origin', () => {
  test.each([307, 308])('%i is followed with method, body and headers, and remembered', async (status) => {
    const server = await redirecting(status, () => '/mcp/')
    const client = await clientOf(server)
    const url = new URL('/mcp', server.origin)
    expect([await ask(client, url), await ask(client, url), await ask(client, url, 'DELETE')]).toEqual([200, 200, 200])
    expect(asked(server)).toEqual(['POST /mcp', 'POST /mcp/', 'POST /mcp/', 'DELETE /mcp/'])
    expect(server.received[1]).toMatchObject({ text: '{"a":1}', headers: { authorization: 'Bearer ours', 'mcp-session-id': 's' } })
  })

  test('is forgotten when nothing is there any more', async () => {
    const server = await redirecting(307, () => '/gone')
    const client = await clientOf(server)
    const url = new URL('/mcp', server.origin)
    expect([await ask(client, url), await ask(client, url)]).toEqual([404, 404])
    expect(asked(server)).toEqual(['POST /mcp', 'POST /gone', 'POST /mcp', 'POST /gone'])
  })

  test('of a GET may be any, for it stays a GET', async () => {
    const server = await redirecting(301, (origin) => `${origin}/sse/`)
    expect(await ask(await clientOf(server), new URL('/mcp', server.origin), 'GET')).toBe(200)
  })

  test.each([301, 302, 303])('that would make a GET of a POST is not followed: %i', async (status) => {
    const server = await redirecting(status, () => '/mcp/')
    const failure = await ask(await clientOf(server), new URL('/mcp', server.origin))
    expect(failure).toMatchObject({ code: 'upstream_not_mcp', message: expect.stringContaining(`redirects to /mcp/ (HTTP ${status})`) })
    expect(asked(server)).toEqual(['POST /mcp'])
  })

  test('to itself ends', async () => {
    const server = await redirecting(307, () => '/mcp')
    expect(await ask(await clientOf(server), new URL('/mcp', server.origin))).toMatchObject({ message: expect.stringContaining('in a circle') })
    expect(server.received.length).toBeLessThanOrEqual(4)
  })

  test('is proved at each place for that place', async () => {
    const server = await redirecting(307, () => '/mcp/')
    const places: string[] = []
    const credential: Credential = {
      headers({ url }) {
        places.push(url.pathname)
        return {}
      },
      refused: async () => false,
    }
    await ask(await clientOf(server, credential), new URL('/mcp', server.origin))
    expect(places).toEqual(['/mcp', '/mcp/'])
  })
})

describe('a redirect to somebody else', () => {
  test.each([
    ['another port', 307, (origin: string) => origin.replace(/\d+$/, (port) => String(Number(port) - 1))],
    ['another scheme', 308, (origin: string) => origin.replace('http:', 'https:')],
    ['another host', 307, () => 'http://other.example/mcp?code=hunter2'],
    ['a name and a password', 307, (origin: string) => origin.replace('//', '//u:hunter2@')],
    ['nothing that is an address', 307, () => 'http://[/'],
  ])('is not followed: %s', async (_what, status, location) => {
    const server = await redirecting(status, location)
    const client = await clientOf(server)
    for (const method of ['POST', 'GET'] as const) {
      const failure = await ask(client, new URL('/mcp', server.origin), method)
      expect(failure).toMatchObject({ code: 'upstream_not_mcp', message: expect.stringContaining('which is not followed') })
      expect(String(failure)).not.toContain('hunter2')
    }
    expect(asked(server)).toEqual(['POST /mcp', 'GET /mcp'])
  })

  test('is told to the other server by nothing', async () => {
    const other = await forThisTest(upstream((_one, res) => json(res, 200, {})))
    const server = await redirecting(307, () => `${other.origin}/mcp`)
    await ask(await clientOf(server), new URL('/mcp', server.origin))
    expect(other.received).toEqual([])
  })
})
