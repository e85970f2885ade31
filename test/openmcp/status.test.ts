// What /status says of each server.
import { expect, test } from 'vitest'

import type { NamedServer } from '../../src/openmcp/servers.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { until } from '../support/until.ts'
import { ask } from '../support/wire.ts'
import { child, running } from './stage.ts'

const missing: NamedServer = {
  ...child('missing'),
  target: { kind: 'command', command: 'openmcp-no-such-program', args: ['--token', 'argument-secret'], env: { KEY: 'variable-secret' } },
}
const away: NamedServer = {
  ...child('away'),
  target: { kind: 'remote', urls: [new URL('http://127.0.0.1:9/mcp?key=query-secret')], transport: 'auto', headers: { authorization: 'Bearer header-secret' } },
}

test('one that does not start leaves the others running, and its reason is shown without what is secret', async () => {
  const log: string[] = []
  const { at: path, status } = await running([missing, child('one'), child('loud', ['--start-words', 'stderr-secret', '--exit-at-start', '3']), away], log)
  expect((await ask(path('/servers/one/mcp'), { body: initializeMessage(1) })).status).toBe(200)
  const servers = await until('the failures', async () => {
    const { server_failures: failures, servers: all } = await status()
    return ['missing', 'loud', 'away'].every((name) => name in (failures as object)) && all
  })
  expect(servers).toMatchObject({
    missing: { state: 'failed', reason: expect.stringContaining('openmcp-no-such-program'), sessions: 0, upstreams: 0 },
    one: { state: 'running', sessions: 1, upstreams: 1 },
    loud: { state: 'failed', reason: expect.any(String) },
    away: { state: 'unreachable', reason: expect.any(String) },
  })
  expect(servers).not.toHaveProperty('one.reason')
  expect(JSON.stringify(await status())).not.toContain('secret')
  expect((await ask(path('/readyz'))).status).toBe(200)
})

test('has the names that are asked for elsewhere, beside what there is of each', async () => {
  const { status } = await running([child('one')])
  const { api_last_activity: last, server_instances: instances } = await status()
  expect([Number.isFinite(Date.parse(String(last))), instances]).toEqual([true, { one: 'idle' }])
})
