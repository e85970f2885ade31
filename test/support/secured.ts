// openmcp with its guard, in this process, in front of an upstream that notes what reached it. Time can be moved.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { openmcp, type ListenOptions, type OpenMcp, type OpenMcpOptions, type SecurityOptions } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/shapes.ts'
import { assertionClaims, type ProofKey, type Signer } from './did.ts'
import { at, type Json } from './json.ts'
import { INITIALIZED, initializeMessage } from './openmcp.ts'
import { json, upstream, type Received, type Upstream } from './upstream.ts'
import { ask, type Answer } from './wire.ts'

export interface Secured {
  /** Where MCP is served. */
  readonly url: URL
  /** The issuer. */
  readonly base: string
  readonly upstream: Upstream
  /** What reached the upstream since the last look, without openmcp's own questions. */
  reached(): Received[]
  readonly enrolment: URL | undefined
  /** Its VID on the network of TSP, in the form that introduces it. */
  readonly tsp: string | undefined
  readonly log: readonly string[]
  /** What it keeps: `keys/` and, when durable, `store.db`. */
  readonly home: string
  /** Its store, as another process has it open. With `durable` alone. */
  otherProcess(): Promise<Store>
  now(): number
  /** Moves openmcp's clock. */
  pass(seconds: number): void
  /** A form to an endpoint of the issuer. */
  post(path: string, form: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** A token by assertion; throws what was answered when there is none. */
  token(who: Pick<Signer, 'did' | 'sign'>, how?: { form?: Readonly<Record<string, string>>; claims?: Json; key?: ProofKey }): Promise<string>
  /** As a configuration that was changed. */
  configure(trust: SecurityOptions['trust']): Promise<void>
  apply: OpenMcp['apply']
  stop(): Promise<void>
}

export interface SecuredOptions {
  /** A store in a file, which others can open as well. */
  durable?: boolean
  trusted?: readonly (string | SecurityOptions['trust']['identities'][number])[]
  security?: Partial<Omit<SecurityOptions, 'trust'>>
  trust?: Partial<SecurityOptions['trust']>
  listen?: Partial<ListenOptions>
  options?: Partial<OpenMcpOptions>
  answer?: Parameters<typeof upstream>[0]
  /** What its time is made of; the real one unless given. */
  clock?: () => number
}

export async function secured({
  durable = false,
  trusted = [],
  security = {},
  trust = {},
  listen = {},
  options = {},
  answer = toolServer,
  clock = Date.now,
}: SecuredOptions = {}): Promise<Secured> {
  const home = await mkdtemp(join(tmpdir(), 'openmcp-'))
  const behind = await upstream(answer)
  const storeUrl = durable ? `file:${join(home, 'store.db')}` : 'memory:'
  const lines: string[] = []
  let movedMs = 0
  const now = (): number => clock() + movedMs
  const proxy = await openmcp(
    {
      target: { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: {} },
      listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false, ...listen },
      name: 'test',
      isolation: 'session',
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
      log: { level: 'debug', format: 'text' },
      security: {
        keys: join(home, 'keys'),
        store: storeUrl,
        apiKeys: [],
        tokenSeconds: 900,
        dpop: 'optional',
        trustLoopback: true,
        didSeconds: 60,
        ...security,
        trust: { identities: trusted.map((one) => (typeof one === 'string' ? { id: one } : one)), issuers: [], selfIssued: true, ...trust },
      },
      ...options,
    },
    { stdin: new PassThrough(), stdout: new PassThrough(), now, log: createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now }) },
  )
  const { url } = proxy
  if (!url) throw new Error('it listens')
  const base = url.href.slice(0, -'/mcp'.length)
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      await proxy.close()
      await behind.stop()
      await rm(home, { recursive: true, force: true })
    })())
  onTestFinished(stop)
  const post: Secured['post'] = (path, form, headers = {}) =>
    ask(new URL(`${base}${path}`), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    })
  let seen = 0
  return {
    url,
    base,
    upstream: behind,
    reached() {
      const fresh = behind.received.slice(seen).filter(({ body }) => body['method'] !== 'server/discover')
      seen = behind.received.length
      return fresh
    },
    enrolment: proxy.enrolment,
    tsp: proxy.tsp,
    log: lines,
    home,
    async otherProcess() {
      const store = await openStore(storeUrl, { now })
      onTestFinished(store.close)
      return store
    },
    now,
    pass: (seconds) => void (movedMs += seconds * 1000),
    post,
    async token(who, { form = {}, claims = {}, key } = {}) {
      const assertion = await who.sign(assertionClaims(who.did, base, claims))
      const proof = key ? { dpop: await key.proof({ method: 'POST', url: `${base}/token` }) } : {}
      const { status, json: body } = await post('/token', { grant_type: JWT_BEARER, assertion, resource: url.href, ...form }, proof)
      if (typeof body['access_token'] !== 'string') throw new Error(`no token: ${status} ${JSON.stringify(body)}`)
      return body['access_token']
    },
    configure: proxy.configure,
    apply: proxy.apply,
    stop,
  }
}

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
export const CLIENT_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** A server of Streamable HTTP with two tools and sessions. */
export function toolServer({ method, body }: Received, res: Parameters<Parameters<typeof upstream>[0]>[1]): void {
  if (method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  if (method === 'DELETE') return void res.writeHead(200).end()
  const { id } = body
  if (id === undefined) return void res.writeHead(202).end()
  const answer = (result: Json, headers: Readonly<Record<string, string>> = {}): void => json(res, 200, { jsonrpc: '2.0', id, result }, headers)
  if (body['method'] === 'initialize') {
    const version = at(body, 'params', 'protocolVersion')
    return answer(
      { protocolVersion: version, capabilities: { tools: {} }, serverInfo: { name: 'test', version: '1' } },
      { 'mcp-session-id': `upstream-${JSON.stringify(id)}` },
    )
  }
  if (body['method'] === 'tools/list') return answer({ tools: ['echo', 'secret'].map((name) => ({ name, inputSchema: { type: 'object' } })) })
  if (body['method'] === 'tools/call') return answer({ content: [{ type: 'text', text: String(at(body, 'params', 'name')) }] })
  answer({})
}

export function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` }
}

/** A session of 2025-11-25 with these headers on every request; its id. */
export async function sessionWith({ url }: Pick<Secured, 'url'>, headers: Readonly<Record<string, string>>): Promise<string> {
  const { status, headers: answered, text } = await ask(url, { headers, body: initializeMessage(1) })
  const id = answered['mcp-session-id']
  if (typeof id !== 'string') throw new Error(`no session: ${status} ${text}`)
  await ask(url, { headers: { ...headers, 'mcp-session-id': id }, body: INITIALIZED })
  return id
}
