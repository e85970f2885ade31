// The official SDK clients as programs of people: a URL and an OAuthClientProvider with a listener on loopback. Nothing of theirs is replaced.
import { createServer } from 'node:http'
import {
  auth as authV2,
  Client as ClientV2,
  SSEClientTransport as SseTransportV2,
  StreamableHTTPClientTransport as HttpTransportV2,
  UnauthorizedError as UnauthorizedV2,
  type DpopSession,
} from '@modelcontextprotocol/client'
import { auth as authV1, UnauthorizedError as UnauthorizedV1 } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport as SseTransportV1 } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { onTestFinished } from 'vitest'

interface Setting {
  url: URL
  /** Goes where the program sends its person. */
  person: (authorize: URL) => Promise<unknown>
  /** Where the program describes itself. Without, it registers. */
  documentUrl?: string
  dpop?: DpopSession
}

export interface Connected {
  callTool(name: string): Promise<unknown>
  /** A new session, with what it has. */
  reconnect(): Promise<void>
  readonly sessionId: string | undefined
  /** Where its person was sent, each time. */
  readonly sent: readonly URL[]
  tokens(): Tokens
  /** All that is for the program and its issuer alone. */
  secrets(): readonly string[]
}

export interface Program {
  readonly name: string
  /** Connects; when it is told to log in first, it does, and connects again. */
  connect(setting: Setting): Promise<Connected>
}

/** What both SDKs ask a program to keep for them. */
type Provider = Parameters<typeof authV1>[0] & Parameters<typeof authV2>[0]
type Tokens = NonNullable<Awaited<ReturnType<Provider['tokens']>>>

/** One connection that is tried. */
interface Attempt {
  connect(): Promise<void>
  finish(answer: URLSearchParams): Promise<void>
  callTool(name: string): Promise<unknown>
  readonly sessionId: string | undefined
  close(): Promise<void>
}

type Attempting = (url: URL, provider: Provider) => Attempt

const NAME = { name: 'interop', version: '1.0.0' }

export const HTTP_PROGRAMS: readonly [v1: Program, v2: Program] = [
  program('SDK v1, Streamable HTTP', (url, authProvider) => v1(new HttpTransportV1(url, { authProvider }))),
  program('SDK v2, Streamable HTTP', (url, authProvider) => v2(new HttpTransportV2(url, { authProvider }))),
]

export const PROGRAMS: readonly Program[] = [
  ...HTTP_PROGRAMS,
  program('SDK v1, SSE', (url, authProvider) => v1(new SseTransportV1(sseOf(url), { authProvider }))),
  program('SDK v2, SSE', (url, authProvider) => v2(new SseTransportV2(sseOf(url), { authProvider }))),
]

function program(name: string, attempt: Attempting): Program {
  return {
    name,
    async connect({ url, person, documentUrl, dpop }) {
      const listener = await redirectListener()
      const kept = keeper(listener.url, person, { documentUrl, dpop })
      const first = attempt(url, kept.provider)
      const told = await first.connect().then(
        () => false,
        (error: unknown) => {
          if (error instanceof UnauthorizedV1 || error instanceof UnauthorizedV2) return true
          throw error
        },
      )
      if (told) {
        const [answer] = await Promise.all([listener.answer, kept.visit()])
        if (answer.get('state') !== kept.state) throw new Error(`the answer to another login: ${String(answer)}`)
        await first.finish(answer)
        kept.noteSecret(answer.get('code') ?? '')
      }
      let current = first
      const reconnect = async (): Promise<void> => {
        current = attempt(url, kept.provider)
        onTestFinished(current.close)
        await current.connect()
      }
      if (told) await reconnect()
      else onTestFinished(first.close)
      return {
        ...kept,
        callTool: (tool) => current.callTool(tool),
        reconnect,
        get sessionId() {
          return current.sessionId
        },
      }
    },
  }
}

function v1(transport: HttpTransportV1 | SseTransportV1): Attempt {
  const client = new ClientV1(NAME)
  return {
    connect: () => client.connect(transport),
    finish: (answer) => transport.finishAuth(answer.get('code') ?? ''),
    callTool: async (name) => (await client.callTool({ name }))['content'],
    get sessionId() {
      return 'sessionId' in transport ? transport.sessionId : undefined
    },
    close: () => client.close(),
  }
}

function v2(transport: HttpTransportV2 | SseTransportV2): Attempt {
  const client = new ClientV2(NAME)
  return {
    connect: () => client.connect(transport),
    finish: (answer) => transport.finishAuth(answer),
    callTool: async (name) => (await client.callTool({ name })).content,
    get sessionId() {
      return 'sessionId' in transport ? transport.sessionId : undefined
    },
    close: () => client.close(),
  }
}

interface Keeper extends Pick<Connected, 'sent' | 'tokens' | 'secrets'> {
  readonly provider: Provider
  readonly state: string
  /** The visit of its person to the login that was asked for last. */
  visit(): Promise<unknown>
  noteSecret(secret: string): void
}

/** What such a program keeps, as the examples of the SDKs keep it. */
function keeper(
  redirectUrl: string,
  person: Setting['person'],
  { documentUrl, dpop }: Record<'documentUrl', string | undefined> & Record<'dpop', DpopSession | undefined>,
): Keeper {
  let client: Awaited<ReturnType<Provider['clientInformation']>>
  let discovered: Awaited<ReturnType<NonNullable<Provider['discoveryState']>>>
  let tokens: Tokens | undefined
  let verifier = ''
  let visit: Promise<unknown> = Promise.reject(new Error('the person was sent nowhere'))
  visit.catch(() => {})
  const state = crypto.randomUUID()
  const sent: URL[] = []
  const secrets: string[] = []
  const noteSecret = (secret: string): void => void secrets.push(secret)
  return {
    state,
    sent,
    visit: () => visit,
    noteSecret,
    secrets: () => secrets,
    tokens() {
      if (!tokens) throw new Error('the program has no tokens')
      return tokens
    },
    provider: {
      redirectUrl,
      clientMetadata: {
        client_name: 'Interop',
        redirect_uris: [redirectUrl],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      },
      ...(documentUrl !== undefined && { clientMetadataUrl: documentUrl }),
      ...(dpop && { dpop: () => dpop }),
      state: () => state,
      clientInformation: () => client,
      saveClientInformation: (information) => void (client = information),
      discoveryState: () => discovered,
      saveDiscoveryState: (found) => void (discovered = found),
      tokens: () => tokens,
      saveTokens(saved) {
        tokens = saved
        // The first two parts of a JWT are no secret: a log may well say whose it is.
        noteSecret(saved.access_token.split('.')[2] ?? saved.access_token)
        if (saved.refresh_token !== undefined) noteSecret(saved.refresh_token)
      },
      redirectToAuthorization(authorize) {
        sent.push(authorize)
        visit = person(authorize)
        visit.catch(() => {})
      },
      saveCodeVerifier(text) {
        verifier = text
        noteSecret(text)
      },
      codeVerifier: () => verifier,
    },
  }
}

/** Where the browser comes back to. */
async function redirectListener(): Promise<{ url: string; answer: Promise<URLSearchParams> }> {
  let take = (_answer: URLSearchParams): void => {}
  const answer = new Promise<URLSearchParams>((resolve) => (take = resolve))
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://listener')
    res.setHeader('connection', 'close').end('You may close this window.')
    if (pathname === '/callback') take(searchParams)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
  return { url: `http://127.0.0.1:${address.port}/callback`, answer }
}

function sseOf(mcp: URL): URL {
  return new URL(mcp.href.replace(/\/mcp$/, '/sse'))
}
