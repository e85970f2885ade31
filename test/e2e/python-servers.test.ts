// Servers and a proxy that people run in Python, unmodified: behind openmcp, in front of it, and both.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { beforeAll, describe, expect, test } from 'vitest'

import { LEGACY_WAYS_IN, MODERN_WAYS_IN, type Caller } from '../support/clients.ts'
import { at, type Json } from '../support/json.ts'
import { serve } from '../support/openmcp.ts'
import { startProgram } from '../support/program.ts'
import { findPython, findPythonProxy, pythonServer } from '../support/python.ts'
import { WAYS_OUT, everything, freePort, type WayOut } from '../support/servers.ts'
import { forThisTest } from '../support/tidy.ts'

const heard = (client: Caller, method: string): Json[] => client.messages.filter((message) => message['method'] === method)
const textIn = (result: Json): unknown => at(result, 'content', 0, 'text')
const skipsWithout = ({ missing }: { missing?: string }): boolean => missing !== undefined && process.env['OPENMCP_TEST_REQUIRE_ALL'] !== '1'

const python = findPython()
const untested = python.missing === undefined ? '' : ` (not tested: ${python.missing})`
const skips = skipsWithout(python)
// Of the ways in those of one SDK for each era: what they do with each other the matrix has shown.
const pythonWaysIn = [...LEGACY_WAYS_IN.filter(({ name }) => name.endsWith('v1')), ...MODERN_WAYS_IN.map((way) => ({ ...way, name: `${way.name}, both eras` }))]

describe.each(WAYS_OUT)(`a server on the official Python SDK over %s${untested}`, (wayOut) => {
  let server: WayOut
  beforeAll(async () => {
    server = await pythonServer(python, wayOut)
    return server.stop
  })

  test.skipIf(skips).each(pythonWaysIn)('serves a client over $name', async ({ connect }) => {
    const client = await forThisTest(connect(server.served))
    const call = (name: string, args: Json = {}, meta: Json = {}): Promise<Json> => client.request('tools/call', { name, arguments: args, _meta: meta })

    expect(at(await client.request('tools/list'), 'tools')).toHaveLength(4)
    expect(textIn(await call('add', { a: 2, b: 3 }))).toBe('5')
    expect(await call('fail')).toMatchObject({ isError: true })
    expect(at(await client.request('resources/read', { uri: 'note://ann' }), 'contents', 0, 'text')).toBe('a note for ann with an umlaut: ü')
    expect(textIn(await call('steps', { count: 5 }, { progressToken: 'mine' }))).toBe('done')
    const steps = heard(client, 'notifications/progress').map(({ params }) => [at(params, 'progressToken'), at(params, 'progress')])
    expect(steps).toEqual([1, 2, 3, 4, 5].map((step) => ['mine', step]))
    // In the revision of 2026-07-28 a server cannot ask in the middle of a call, as this one's tool does: its own words say so.
    const greeting: unknown = await call('greet').then(textIn, String)
    expect(greeting).toMatch(client.revision === '2026-07-28' ? /no back-channel/ : /^Hello, ann!$/)
    await expect(client.request('resources/read', { uri: 'none://at-all' })).rejects.toThrow(/none:\/\/at-all|not found|unknown/i)
  })
})

describe(`mcp-server-time${untested}`, () => {
  test.skipIf(skips).each(LEGACY_WAYS_IN)('tells a client over $name what time it is', async ({ connect }) => {
    const client = await forThisTest(connect({ command: [python.interpreter, '-m', 'mcp_server_time', '--local-timezone', 'Europe/Berlin'] }))
    expect(at(await client.request('tools/list'), 'tools')).toEqual([
      expect.objectContaining({ name: 'get_current_time' }),
      expect.objectContaining({ name: 'convert_time' }),
    ])
    const converted = await client.request('tools/call', {
      name: 'convert_time',
      arguments: { source_timezone: 'UTC', time: '12:00', target_timezone: 'Asia/Kolkata' },
    })
    expect(textIn(converted)).toContain('+5.5h')
  })
})

const proxy = findPythonProxy()
const proxyUntested = proxy.missing === undefined ? '' : ` (not tested: ${proxy.missing})`

describe(`mcp-proxy in Python${proxyUntested}`, () => {
  test.skipIf(skipsWithout(proxy)).each([
    ['/mcp', ['--transport', 'streamablehttp']],
    ['/sse', []],
  ] as const)('is a client of openmcp at %s', async (path, options) => {
    const { served } = await everything('stdio child')
    const ours = await forThisTest(serve(served))
    const client = new Client({ name: 'behind a proxy', version: '1' })
    await client.connect(new StdioClientTransport({ command: proxy.interpreter, args: ['-m', 'mcp_proxy', ...options, ours.at(path).href], stderr: 'ignore' }))
    await forThisTest({ stop: () => client.close() })
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo')
    expect(await client.callTool({ name: 'echo', arguments: { message: 'through both' } })).toMatchObject({
      content: [{ type: 'text', text: 'Echo: through both' }],
    })
  })

  test.skipIf(skipsWithout(proxy)).each(['/mcp', '/sse'])('is a server to openmcp at %s', async (path) => {
    const { served } = await everything('stdio child')
    const port = await freePort()
    const theirs = await forThisTest(startProgram(proxy.interpreter, ['-m', 'mcp_proxy', '--port', String(port), '--', ...(served.command ?? [])]))
    await theirs.says(/Uvicorn running/)
    for (const { connect } of LEGACY_WAYS_IN) {
      const client = await connect({ upstream: `http://127.0.0.1:${port}${path}` })
      expect(textIn(await client.request('tools/call', { name: 'echo', arguments: { message: 'through both' } }))).toBe('Echo: through both')
      await client.stop()
    }
  })
})
