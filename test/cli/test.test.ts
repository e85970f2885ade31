import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createMcpHandler, McpServer as ModernServer } from '@modelcontextprotocol/server'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { afterEach, describe, expect, test } from 'vitest'
import { ownHome } from './home.ts'
import { hasOpenssl, tlsHost } from '../support/tls-host.ts'
import { webSocketPeer } from '../support/web-socket.ts'
import { type } from './terminal.ts'

const EVERYTHING = 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'
const CLOSING: (() => void)[] = []

afterEach(() => {
  for (const close of CLOSING.splice(0)) close()
})

/** An HTTP server on a free port of this machine. */
async function listen(listener: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<string> {
  const server = createServer((req, res) => void listener(req, res))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  CLOSING.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP listener has a port')
  return `127.0.0.1:${address.port}`
}

function answering(status: number, body = ''): Promise<string> {
  return listen((_req, res) => void res.writeHead(status, { 'content-type': 'text/html' }).end(body))
}

/** It wants a token of an issuer that is beside it. */
function asking() {
  return ({ url = '', headers: { host = '' } }: IncomingMessage, res: ServerResponse): void => {
    const issuer = `http://${host}`
    const documents = new Map<string, object>([
      [
        '/.well-known/oauth-protected-resource/mcp',
        { resource: `${issuer}/mcp`, authorization_servers: [issuer], scopes_supported: ['mcp:tools', 'mcp:prompts'] },
      ],
      [
        '/.well-known/oauth-authorization-server',
        {
          issuer,
          token_endpoint: `${issuer}/token`,
          registration_endpoint: `${issuer}/register`,
          device_authorization_endpoint: `${issuer}/device`,
          client_id_metadata_document_supported: true,
          grant_types_supported: ['authorization_code', 'client_credentials'],
          token_endpoint_auth_methods_supported: ['private_key_jwt'],
        },
      ],
    ])
    const document = documents.get(url)
    if (document) res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
    else if (url === '/mcp') res.writeHead(401, { 'www-authenticate': 'Bearer' }).end()
    else res.writeHead(404).end()
  }
}

function smallServer(): McpServer {
  const mcp = new McpServer({ name: 'small', version: '1.2.3' })
  mcp.registerTool('add', { description: 'Adds' }, async () => ({ content: [] }))
  mcp.registerResource('note', 'test://note', {}, async () => ({ contents: [] }))
  return mcp
}

function streamable(seen: string[] = []) {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  return async (req: IncomingMessage, res: ServerResponse) => {
    seen.push(`${req.method} ${String(req.headers['x-tenant'])}`)
    if (req.url !== '/mcp') return res.writeHead(404).end()
    const known = sessions.get(String(req.headers['mcp-session-id']))
    if (known !== undefined) return known.handleRequest(req, res)
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => void sessions.set(id, transport) })
    await smallServer().connect(transport)
    return transport.handleRequest(req, res)
  }
}

const SMALL = (transport: string) =>
  new RegExp(
    [
      '^server: small 1\\.2\\.3',
      `transport: ${transport}`,
      'protocol: 2025-11-25',
      'revisions: 2025-11-25',
      'era: legacy',
      'authentication: none was asked for',
      'capabilities: resources \\(listChanged\\), tools \\(listChanged\\)',
      'tools: 1',
      'resources: 1',
      'resource templates: 0',
      'prompts: none',
      'times: connect \\d+ ms, initialize \\d+ ms, list \\d+ ms\n$',
    ].join('\n'),
  )

describe('openmcp test says what a server is', () => {
  test('over Streamable HTTP, found by host and port, with our headers, leaving no session behind', async () => {
    const seen: string[] = []
    const host = await listen(streamable(seen))
    const { code, stdout, stderr } = await type(['test', host, '-H', 'X-Tenant: a'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(SMALL(`streamable http \\(http://${host}/mcp\\)`))
    expect(seen.every((request) => request.endsWith(' a'))).toBe(true)
    expect(seen).toContain('DELETE a')
  })

  test('over SSE, when there is nothing else', async () => {
    const sessions = new Map<string, SSEServerTransport>()
    const host = await listen((req, res) => {
      if (req.method === 'GET' && req.url === '/sse') {
        const transport = new SSEServerTransport('/messages', res)
        sessions.set(transport.sessionId, transport)
        return smallServer().connect(transport)
      }
      const session = sessions.get(new URL(req.url ?? '', 'http://x').searchParams.get('sessionId') ?? '')
      return session === undefined ? res.writeHead(404).end() : session.handlePostMessage(req, res)
    })
    const { code, stdout } = await type(['test', host])
    expect(code).toBe(0)
    expect(stdout).toMatch(SMALL(`sse \\(http://${host}/sse\\)`))
  })

  test('on stdio, all of its arguments being its own', async () => {
    const { code, stdout } = await type(['test', process.execPath, EVERYTHING, 'stdio'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^server: mcp-servers\/everything 2\.0\.0\ntransport: stdio \(.*\)\nprotocol: 2025-11-25\n/)
    expect(stdout).toMatch(/\ntools: 1\d\n/)
  })

  test('that speaks only the 2026-07-28 revision', async () => {
    const modern = createMcpHandler(
      () => {
        const mcp = new ModernServer({ name: 'modern', version: '9' })
        mcp.registerPrompt('hello', { description: 'Hello' }, () => ({ messages: [] }))
        return mcp
      },
      { legacy: 'reject' },
    )
    const serve = toNodeHandler(modern)
    // Its type asks for a method and a URL, which requests of a server always have.
    const host = await listen((req, res) => serve(Object.assign(req, { method: req.method ?? '', url: req.url ?? '' }), res))
    const { code, stdout } = await type(['test', `http://${host}/`])
    expect(code).toBe(0)
    expect(stdout).toContain('server: modern 9\n')
    expect(stdout).toContain('protocol: 2026-07-28\nrevisions: 2026-07-28\nera: modern\n')
    expect(stdout).toContain('prompts: 1\n')
  })

  test('for programs, as JSON', async () => {
    const host = await listen(streamable())
    const { code, stdout } = await type(['test', '--json', host])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      server: { name: 'small', version: '1.2.3' },
      protocol: '2025-11-25',
      era: 'legacy',
      authentication: 'none',
      counts: { tools: 1, resources: 1, resourceTemplates: 0 },
      times: { connectMs: expect.any(Number), initializeMs: expect.any(Number), listMs: expect.any(Number) },
    })
  })

  test('that sends us to another path of its own', async () => {
    const seen: string[] = []
    const serve = streamable(seen)
    const host = await listen((req, res) => (req.url === '/old' ? void res.writeHead(307, { location: '/mcp' }).end() : serve(req, res)))
    const { code, stdout } = await type(['test', `http://${host}/old`, '-H', 'X-Tenant: a'])
    expect(code).toBe(0)
    expect(stdout).toContain('tools: 1\n')
    expect(seen.every((request) => request.endsWith(' a'))).toBe(true)
  })

  test('to which we say who we are', async () => {
    const host = await listen(streamable())
    expect((await type(['test', host, '-H', 'Authorization: Bearer hunter2'])).stdout).toContain('authentication: a header of ours was sent\n')
  })

  test('over a WebSocket, and why there is none', async () => {
    const peer = await webSocketPeer({ refuse: 401 })
    CLOSING.push(() => void peer.stop())
    const { code, stdout, stderr } = await type(['test', `ws://${peer.host}/mcp?key=hunter2`], { env: ownHome().env })
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/^authentication: needed\nissuer: not known/) })
    expect(stderr).toMatch(/^openmcp: error: .*wants a login \(401\)/m)
    expect(stderr).not.toContain('hunter2')
    expect(stdout).not.toContain('hunter2')
  })

  test('and what it says of itself moves no cursor', async () => {
    const program = `process.stdin.on('data', (line) => { const { id } = JSON.parse(line); if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id,
      result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'evil\\u001b[2J\\nserver: good', version: '1' } } })) })`
    const { stdout } = await type(['test', '--', process.execPath, '-e', program])
    expect(stdout).toMatch(/^server: evil\\u001b\[2J\\u000aserver: good 1\ntransport/)
    expect(stdout).toContain('capabilities: none\ntools: none\n')
  })

  test('counting every page', async () => {
    const program = `process.stdin.on('data', (lines) => { for (const line of String(lines).trim().split('\\n')) { const { id, method, params } = JSON.parse(line); if (id === undefined) continue
      const page = Number(params?.cursor ?? 0)
      const result = method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'pages', version: '1' } }
        : { tools: [{ name: 'a' + page, inputSchema: { type: 'object' } }], ...(page < 4 && { nextCursor: String(page + 1) }) }
      console.log(JSON.stringify({ jsonrpc: '2.0', id, result })) } })`
    const { stdout } = await type(['test', process.execPath, '-e', program])
    expect(stdout).toContain('protocol: 2025-06-18\n')
    expect(stdout).toContain('tools: 5\n')
  })
})

describe('openmcp test fails in words', () => {
  test('nothing listens', async () => {
    const host = await listen(() => {})
    for (const close of CLOSING.splice(0)) close()
    expect(await type(['test', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: `openmcp: error: ${host} is not reachable: nothing listens there\nopenmcp: hint: is the server started, and is this its port\n`,
    })
  })

  test('it wants a login', async () => {
    const host = await answering(401)
    const { code, stderr } = await type(['test', `http://${host}/mcp?api_key=hunter2`], { env: ownHome().env })
    expect(code).toBe(1)
    expect(stderr).toContain(
      `openmcp: error: http://${host}/mcp wants a login (401), and there is none for it\nopenmcp: hint: openmcp login http://${host}/mcp; or `,
    )
    expect(stderr).not.toContain('hunter2')
  })

  test('how it wants to be asked is told, on stdout what it is, as a hint what to do', async () => {
    const host = await listen(asking())
    const { code, stdout, stderr } = await type(['test', `http://${host}/mcp`], { env: ownHome().env })
    expect(code).toBe(1)
    expect(stdout).toBe(
      [
        'authentication: needed',
        `issuer: http://${host}`,
        `resource: http://${host}/mcp`,
        'scopes: mcp:tools mcp:prompts',
        'ways in: registration, client id metadata document, device code, client credentials, identity\n',
      ].join('\n'),
    )
    expect(stderr).toMatch(/\(401\)[^]*openmcp: hint: .*openmcp login http/)
  })

  test('for programs the same, the failure on stdout, too', async () => {
    const host = await listen(asking())
    const { code, stdout } = await type(['test', '--json', `http://${host}/mcp`], { env: ownHome().env })
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: { code: 'upstream_refused' },
      asks: { issuer: `http://${host}`, waysIn: expect.arrayContaining(['identity']) },
    })
  })

  test('it is a web page', async () => {
    const host = await answering(200, '<h1>hello</h1>')
    const { code, stdout, stderr } = await type(['test', host])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`openmcp: error: ${host} answers, but not as an MCP server: streamable http at /mcp: `)
  })

  test.each([
    [404, 'nothing is at that path'],
    [405, 'that path takes neither POST nor GET'],
    [500, 'it fails on its own side'],
  ])('HTTP %i', async (status, hint) => {
    expect((await type(['test', await answering(status)])).stderr).toContain(`openmcp: hint: ${hint}`)
  })

  test.skipIf(!hasOpenssl)('its certificate, or that it has one', async () => {
    const host = await tlsHost()
    CLOSING.push(() => void host.stop())
    const { host: at } = new URL(host.origin)
    expect((await type(['test', host.origin])).stderr).toContain(`${at} is not reachable: its certificate is its own word\nopenmcp: hint: --tls-ca FILE`)
    expect((await type(['test', `http://${at}/mcp`])).stderr).toMatch(/hint: .*https:\/\//)
    expect((await type(['test', `https://${await answering(200)}/mcp`])).stderr).toContain('it does not speak TLS\nopenmcp: hint: is it http://')
  })

  test('it sends us elsewhere', async () => {
    const host = await listen((_req, res) => void res.writeHead(307, { location: 'https://other.example/mcp?key=hunter2' }).end())
    const { stderr } = await type(['test', `http://${host}/mcp`])
    expect(stderr).toContain('redirects to https://other.example/mcp (HTTP 307), which is not followed\nopenmcp: hint: name that address')
    expect(stderr).not.toContain('hunter2')
  })

  test('every way that was tried is told', async () => {
    const host = await answering(404)
    expect((await type(['test', host])).stderr).toContain('streamable http at /mcp: 404, sse at /mcp: 404, streamable http at /sse: 404, sse at /sse: 404')
  })

  test('it never answers', async () => {
    const host = await listen(() => {})
    expect(await type(['test', '--timeout', '0.3', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'openmcp: error: no answer within 0.3 s\nopenmcp: hint: --timeout SECONDS waits longer\n',
    })
  })

  test('there is no such program', async () => {
    expect(await type(['test', 'no-such-program-of-ours'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'openmcp: error: there is no program no-such-program-of-ours\nopenmcp: hint: install it, or give its full path\n',
    })
  })

  test('the program ends, and its last words are told', async () => {
    expect(await type(['test', process.execPath, '-e', 'console.error("DATABASE_URL is not set"); process.exit(3)'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `DATABASE_URL is not set\nopenmcp: error: ${process.execPath} ended before it answered\nopenmcp: hint: its last words, if any, are above\n`,
    })
  })

  test('the program speaks something else', async () => {
    const { code, stderr } = await type([
      'test',
      '--timeout',
      '1',
      process.execPath,
      '-e',
      'console.log("listening on port 3000"); setTimeout(() => {}, 60000)',
    ])
    expect(code).toBe(1)
    expect(stderr).toContain('writes something else than MCP on its stdout')
  })

  test('a list leads back to itself', async () => {
    const program = `process.stdin.on('data', (lines) => { for (const line of String(lines).trim().split('\\n')) { const { id, method } = JSON.parse(line); if (id === undefined) continue
      const result = method === 'initialize' ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } } : { tools: [], nextCursor: 'again' }
      console.log(JSON.stringify({ jsonrpc: '2.0', id, result })) } })`
    const { code, stderr } = await type(['test', process.execPath, '-e', program])
    expect(code).toBe(1)
    expect(stderr).toContain('tools/list never ends')
  })

  test('a redirect is not followed to another host with our headers', async () => {
    const reached: string[] = []
    const other = await listen((req, res) => {
      reached.push(String(req.headers['x-tenant']))
      res.writeHead(404).end()
    })
    const host = await listen((_req, res) => void res.writeHead(307, { location: `http://${other}/mcp` }).end())
    expect(await type(['test', `http://${host}/mcp`, '-H', 'X-Tenant: a'])).toMatchObject({ code: 1 })
    expect(reached).toEqual([])
  })
})

test('what it is asked wrongly ends with 2', async () => {
  expect(await type(['test', '--timeout', 'soon', 'ftp://h'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/'ftp:\/\/h': openmcp does not speak ftp:\/\/[^]*--timeout: 'soon' is no number of seconds/),
  })
  expect(await type(['test', '-p', '8000', 'x'])).toMatchObject({ code: 2 })
  expect(await type(['test', '-H', 'A: b', 'x'])).toMatchObject({ code: 2 })
  expect(await type(['test', '--env-file', 'none', 'x'])).toMatchObject({ code: 2 })
})
