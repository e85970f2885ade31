import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { describe, expect, test } from 'vitest'
import { OpenMcpError } from '../../src/errors.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { createHttpClient } from '../../src/upstream/http-client.ts'
import type { Credential, CredentialRefusal } from '../../src/upstream/options.ts'
import { forThisTest } from '../support/tidy.ts'

interface Seen {
  url: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

async function serverThat(answers: RequestListener): Promise<{ origin: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const server = createServer((req, res) => {
    let body = ''
    req.setEncoding('utf8').on('data', (piece: string) => (body += piece))
    req.on('end', () => {
      seen.push({ url: req.url, headers: req.headers, body })
      answers(req, res)
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  await forThisTest({
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
  return { origin: `http://127.0.0.1:${address.port}`, seen }
}

const asksForToken: RequestListener = (req, res) => {
  if (req.headers['authorization'] === 'Bearer good') return void res.end('hello')
  res.writeHead(401, { 'www-authenticate': 'Bearer scope="mcp"', 'dpop-nonce': 'n', 'content-length': '9' }).end('who are u')
}

/** Everything that reached the handler, in order. */
async function answerOf(origin: string, credential?: Credential, more: { method?: 'POST' | 'GET'; own?: Record<string, string> } = {}): Promise<unknown[]> {
  const { method = 'POST', own = {} } = more
  const client = createHttpClient(origin, own, DEFAULT_LIMITS, { credential })
  await forThisTest({ stop: () => client.close() })
  const heard: unknown[] = []
  await new Promise<void>((resolve) => {
    client.request(
      { method, url: new URL('/mcp', origin), headers: { accept: '*/*' }, body: method === 'POST' ? '{"a":1}' : undefined, endless: method === 'GET' },
      {
        head: (status) => void heard.push(status),
        chunk: (bytes) => void heard.push(bytes.toString()),
        end: () => (heard.push('end'), resolve()),
        failed: (error) => (heard.push(error), resolve()),
      },
    )
  })
  return heard
}

function credentialOf(token: () => string | undefined, refused: (refusal: CredentialRefusal) => Promise<boolean>): Credential {
  return {
    headers() {
      const is = token()
      return is === undefined ? {} : { authorization: `Bearer ${is}` }
    },
    refused: (_request, refusal) => refused(refusal),
  }
}

describe('a request to an upstream that wants a credential', () => {
  test('is sent once more with the one that was obtained, and the first answer is heard by nobody', async () => {
    const { origin, seen } = await serverThat(asksForToken)
    let token: string | undefined
    const refusals: CredentialRefusal[] = []
    const credential = credentialOf(
      () => token,
      async (refusal) => {
        refusals.push(refusal)
        token = 'good'
        return true
      },
    )
    expect(await answerOf(origin, credential)).toEqual([200, 'hello', 'end'])
    expect(refusals).toEqual([{ status: 401, challenge: 'Bearer scope="mcp"', nonce: 'n', sent: {} }])
    expect(seen.map(({ body, headers }) => [body, headers['authorization']])).toEqual([
      ['{"a":1}', undefined],
      ['{"a":1}', 'Bearer good'],
    ])
  })

  test('carries it from then on', async () => {
    const { origin, seen } = await serverThat(asksForToken)
    const credential = credentialOf(
      () => 'good',
      async () => false,
    )
    expect(await answerOf(origin, credential)).toEqual([200, 'hello', 'end'])
    expect(seen).toHaveLength(1)
  })

  test('is sent twice at most', async () => {
    const { origin, seen } = await serverThat(asksForToken)
    const credential = credentialOf(
      () => 'bad',
      async () => true,
    )
    expect(await answerOf(origin, credential)).toEqual([401, 'who are u', 'end'])
    expect(seen).toHaveLength(2)
  })

  test('fails as it does without one when there is nothing new to prove with', async () => {
    const { origin, seen } = await serverThat(asksForToken)
    const credential = credentialOf(
      () => 'bad',
      async () => false,
    )
    expect(await answerOf(origin, credential)).toMatchObject([{ code: 'upstream_refused' }])
    expect(seen).toHaveLength(1)
  })

  test('fails with the reason why there is none', async () => {
    const { origin } = await serverThat(asksForToken)
    const refused = new OpenMcpError('login_failed', 'no token')
    const without = credentialOf(
      () => undefined,
      async () => Promise.reject(refused),
    )
    const failing: Credential = { headers: () => Promise.reject(refused), refused: async () => false }
    expect([await answerOf(origin, without), await answerOf(origin, failing)]).toEqual([[refused], [refused]])
  })

  test('does not wait for the end of a refusal that has none', async () => {
    const { origin } = await serverThat((req, res) => {
      if (req.headers['authorization'] === 'Bearer good') return void res.end('hello')
      res.writeHead(401).write('and so on')
    })
    let token: string | undefined
    const credential = credentialOf(
      () => token,
      async () => Boolean((token = 'good')),
    )
    expect(await answerOf(origin, credential, { method: 'GET' })).toEqual([200, 'hello', 'end'])
  })

  test('that was given up before the credential was there is not sent', async () => {
    const { origin, seen } = await serverThat(asksForToken)
    let give = (): void => {}
    const credential: Credential = {
      headers: () => new Promise((resolve) => (give = () => resolve({ authorization: 'Bearer good' }))),
      refused: async () => false,
    }
    const client = createHttpClient(origin, {}, DEFAULT_LIMITS, { credential })
    await forThisTest({ stop: () => client.close() })
    const heard: unknown[] = []
    const note = (what: unknown): void => void heard.push(what)
    const stop = client.request({ method: 'GET', url: new URL('/mcp', origin), headers: {} }, { head: note, chunk: note, end: () => note('end'), failed: note })
    stop()
    give()
    expect(await answerOf(origin)).toEqual([401, 'who are u', 'end'])
    expect({ heard, seen: seen.length }).toEqual({ heard: [], seen: 1 })
  })
})

describe('a request whose credential is good, and not for this', () => {
  const narrow =
    (challenge: string): RequestListener =>
    (req, res) =>
      req.headers['authorization'] === 'Bearer good' ? void res.writeHead(403, { 'www-authenticate': challenge }).end('no') : asksForToken(req, res)

  test.each(['Bearer error="insufficient_scope", scope="b"', 'Bearer scope="b", error=insufficient_scope'])(
    'is told to the credential, also when it was renewed just before (%s)',
    async (challenge) => {
      const { origin } = await serverThat(narrow(challenge))
      const statuses: number[] = []
      let token: string | undefined
      const credential = credentialOf(
        () => token,
        async ({ status }) => {
          statuses.push(status)
          if (status === 403) throw new OpenMcpError('upstream_refused', 'too little')
          token = 'good'
          return true
        },
      )
      for (const _ of ['renewed', 'held']) expect(await answerOf(origin, credential)).toMatchObject([{ message: 'too little' }])
      expect(statuses).toEqual([401, 403, 403])
    },
  )

  test.each([1, 2])('is sent once more where another credential has come in its place, and not in a circle (%s that are too narrow)', async (narrowOnes) => {
    let count = 0
    const { origin, seen } = await serverThat((req, res) =>
      ++count <= narrowOnes ? void res.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end('no') : asksForToken(req, res),
    )
    const credential = credentialOf(
      () => 'good',
      () => Promise.resolve(true),
    )
    expect(await answerOf(origin, credential)).toMatchObject(narrowOnes === 1 ? [200, 'hello', 'end'] : [{ code: 'upstream_refused' }])
    expect(seen).toHaveLength(2)
  })

  test('gets a 403 of any other reason as it is', async () => {
    const { origin } = await serverThat(narrow('Bearer error="invalid_request"'))
    const credential = credentialOf(
      () => 'good',
      () => Promise.reject(new Error('asked')),
    )
    expect(await answerOf(origin, credential)).toEqual([403, 'no', 'end'])
  })
})

test('a request without a credential gets its 401 as it is', async () => {
  const { origin, seen } = await serverThat(asksForToken)
  expect(await answerOf(origin)).toEqual([401, 'who are u', 'end'])
  expect(await answerOf(origin, undefined, { own: { authorization: 'Bearer good' } })).toEqual([200, 'hello', 'end'])
  expect(seen).toHaveLength(2)
})
