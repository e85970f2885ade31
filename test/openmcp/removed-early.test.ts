// A server that is taken away while somebody waits for its first word: whoever waits is told, and none waits for ever.
import { expect, onTestFinished, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { upstream } from '../support/upstream.ts'
import { ask, open } from '../support/wire.ts'
import { child, running } from './stage.ts'

const DISCOVER = {
  jsonrpc: '2.0',
  id: 1,
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
}
const MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'server/discover', accept: 'application/json, text/event-stream' }

/** A program that reads and says nothing. */
const silentChild: NamedServer = { ...child('silent'), target: { kind: 'command', command: process.execPath, args: ['-e', 'process.stdin.resume()'], env: {} } }

async function silentRemote(): Promise<NamedServer> {
  const behind = await upstream(() => {})
  onTestFinished(behind.stop)
  return { ...child('silent'), target: { kind: 'remote', urls: [new URL('/mcp', behind.origin)], transport: 'http', headers: {} } }
}

test.each<[string, () => NamedServer | Promise<NamedServer>]>([
  ['a command', () => silentChild],
  ['a command that all share', () => ({ ...silentChild, isolation: 'shared' })],
  ['a remote server', silentRemote],
])('%s that has not answered yet', async (_what, make) => {
  const { proxy, at, status } = await running([await make()])
  const asked = [
    ask(at('/servers/silent/mcp'), { body: initializeMessage(1), headers: { accept: 'application/json, text/event-stream' } }),
    ask(at('/servers/silent/mcp'), { body: DISCOVER, headers: MODERN }),
  ]
  const stream = await open(at('/servers/silent/sse'))
  const endpoint = await until('the endpoint', () => stream.events[0]?.data)
  await ask(at(endpoint), { body: initializeMessage(2) })
  await until('that it is under way', async () => Number((await status())['upstreams']) > 0)
  await proxy.apply([])
  for (const { text } of await Promise.all(asked)) expect(text).toMatch(/"error":\{/)
  await stream.whole()
  await until('that nothing is left', async () => (await status())['sessions'] === 0 && (await status())['upstreams'] === 0)
})
