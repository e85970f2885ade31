// openmcp with named servers, in this process.
import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { openmcp, type OpenMcp, type OpenMcpOptions } from '../../src/openmcp.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import type { Json } from '../support/json.ts'
import { scripted } from '../support/servers.ts'
import { ask } from '../support/wire.ts'

/** Our scripted server. */
export function child(name: string, flags: readonly string[] = [], limits: Partial<Limits> = {}): NamedServer {
  const [command = '', ...args] = scripted(...flags)
  return { name, target: { kind: 'command', command, args, env: {} }, isolation: 'session', limits: { ...DEFAULT_LIMITS, ...limits } }
}

export async function running(
  servers: readonly NamedServer[],
  log: string[] = [],
  more: Partial<OpenMcpOptions> = {},
): Promise<{ proxy: OpenMcp; at(path: string): URL; status(): Promise<Json> }> {
  const proxy = await openmcp(
    {
      servers,
      listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false },
      name: 'default',
      isolation: 'session',
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0 },
      log: { level: 'debug', format: 'text' },
      ...more,
    },
    {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      now: Date.now,
      log: createLog({ level: 'debug', format: 'text', write: (line) => log.push(line), now: Date.now }),
    },
  )
  onTestFinished(() => proxy.close())
  const under = (path: string): URL => new URL(path, proxy.url)
  return { proxy, at: under, status: async () => (await ask(under('/status'))).json }
}
