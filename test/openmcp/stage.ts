// openmcp with named servers, in this process.
import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { openmcp, type OpenMcp, type OpenMcpOptions } from '../../src/openmcp.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { scripted } from '../support/servers.ts'
import { until } from '../support/until.ts'
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

/** openmcp on stdio: what is said to it, and all that it says. */
export interface OnStdio {
  readonly proxy: OpenMcp
  readonly stdin: PassThrough
  readonly heard: readonly Json[]
  say(message: Json): void
  answerTo(id: unknown): Promise<Json>
}

export async function onStdio(more: Partial<OpenMcpOptions>): Promise<OnStdio> {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const heard: Json[] = []
  let text = ''
  stdout.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (text + piece).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) heard.push(jsonOf(JSON.parse(line)))
  })
  const proxy = await openmcp(
    { name: 'default', isolation: 'session', limits: { ...DEFAULT_LIMITS, drainSeconds: 0 }, log: { level: 'error', format: 'text' }, ...more },
    { stdin, stdout, now: Date.now, log: createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now }) },
  )
  onTestFinished(() => proxy.close())
  return {
    proxy,
    stdin,
    heard,
    say: (message) => void stdin.write(`${JSON.stringify(message)}\n`),
    answerTo: (id) => until(`an answer to ${String(id)}`, () => heard.find((message) => message['id'] === id)),
  }
}
