// openmcp on stdio in front of a VID, in this process, and an official client of it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { openmcp, type OpenMcp, type OpenMcpOptions } from '../../src/openmcp.ts'
import { DEFAULT_LIMITS, type Limits } from '../../src/protocol/limits.ts'

export interface Reaching {
  readonly proxy: OpenMcp
  readonly log: readonly string[]
  readonly stdin: PassThrough
  readonly stdout: PassThrough
  stop(): Promise<void>
}

export interface ReachOptions {
  /** Where identities are kept, and which of them we are. */
  keys: string
  id?: string
  isolation?: OpenMcpOptions['isolation']
  limits?: Partial<Limits>
  /** Served over HTTP instead of stdio. */
  listen?: boolean
}

/** `openmcp run -p did:…`, or with `listen` `-p 0:did:…`. */
export async function reach(vid: string, { keys, id = 'tsp', isolation = 'session', limits = {}, listen = false }: ReachOptions): Promise<Reaching> {
  const lines: string[] = []
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const proxy = await openmcp(
    {
      target: { kind: 'vid', vid, id, keys },
      ...(listen && { listen: { host: '127.0.0.1', port: 0, allowHosts: [], allowOrigins: [], exposeHeaders: [], pathPrefix: '', insecureNoAuth: false } }),
      name: 'reaching',
      isolation,
      limits: { ...DEFAULT_LIMITS, drainSeconds: 0, connectSeconds: 5, ...limits },
      log: { level: 'debug', format: 'text' },
    },
    { stdin, stdout, now: Date.now, log: createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now: Date.now }) },
  )
  onTestFinished(proxy.close)
  return { proxy, log: lines, stdin, stdout, stop: proxy.close }
}

/** An official client on the stdio of it. */
export async function clientOf({ stdin, stdout }: Reaching, how: { prepare?: (client: Client) => void } = {}): Promise<Client> {
  const client = new Client({ name: 'official', version: '1.0.0' }, { capabilities: { sampling: {}, elicitation: {} } })
  onTestFinished(() => client.close())
  how.prepare?.(client)
  await client.connect(overLines(stdin, stdout))
  return client
}

function overLines(stdin: PassThrough, stdout: PassThrough): Transport {
  let rest = ''
  const transport: Transport = {
    async start() {
      stdout.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) transport.onmessage?.(JSON.parse(line))
      })
    },
    async send(message) {
      stdin.write(`${JSON.stringify(message)}\n`)
    },
    async close() {
      stdin.end()
    },
  }
  return transport
}
