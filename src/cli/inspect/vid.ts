import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { ReadBuffer, serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js'
import { McpError } from '@modelcontextprotocol/sdk/types.js'
import { PassThrough } from 'node:stream'

import { OpenMcpError } from '../../errors.ts'
import { createLog } from '../../observe/log.ts'
import { openmcp, type VidTarget } from '../../openmcp.ts'
import { DEFAULT_LIMITS } from '../../protocol/limits.ts'
import type { Found, Watch } from './found.ts'
import { inspectLegacy } from './legacy.ts'

/** Asks what is behind a VID through a proxy of ours in this process: what it finds is what `run` would serve. */
export async function inspectVid(target: VidTarget, seconds: number, watch: Watch): Promise<Found> {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
  // Shorter, so that the one who knows the reason speaks first.
  const limits = { ...DEFAULT_LIMITS, drainSeconds: 0, connectSeconds: Math.min(seconds * 0.9, DEFAULT_LIMITS.connectSeconds) }
  const options = { target, name: 'test', isolation: 'session', limits, log: { level: 'error', format: 'text' } } as const
  const proxy = await openmcp(options, { stdin, stdout, log, now: Date.now })
  try {
    // Why there is no session is known to the proxy, in words.
    const ended = proxy.ended.then((error) => (error ? Promise.reject(error) : new Promise<never>(() => {})))
    const found = await Promise.race([inspectLegacy(overStreams(stdin, stdout), watch), ended])
    return { ...found, transport: 'tsp', revisions: [found.protocol] }
  } catch (error) {
    throw error instanceof McpError ? answeredWith(error) : error
  } finally {
    await proxy.close()
  }
}

/** What the proxy, or the server through it, said in the place of an answer. */
function answeredWith(cause: McpError): OpenMcpError {
  return new OpenMcpError('upstream_broke', cause.message.replace(/^MCP error -?\d+: /, ''), { cause })
}

function overStreams(stdin: PassThrough, stdout: PassThrough): Transport {
  const lines = new ReadBuffer()
  const transport: Transport = {
    async start() {
      stdout.on('data', (chunk: Buffer) => {
        lines.append(chunk)
        for (let message = lines.readMessage(); message !== null; message = lines.readMessage()) transport.onmessage?.(message)
      })
    },
    async send(message) {
      stdin.write(serializeMessage(message))
    },
    async close() {
      stdin.end()
      transport.onclose?.()
    },
  }
  return transport
}
