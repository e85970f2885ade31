// A server over TCP or a WebSocket, asked through the pipe that `run` would speak with it over.
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js'
import { OpenMcpError } from '../../errors.ts'
import type { SocketTarget } from '../../openmcp.ts'
import { DEFAULT_LIMITS } from '../../protocol/limits.ts'
import type { Credential } from '../../upstream/options.ts'
import { openSocket } from '../../upstream/socket.ts'
import type { Found, Watch } from './found.ts'
import { inspectLegacy } from './legacy.ts'

export async function inspectSocket(target: SocketTarget, credential: Credential | undefined, watch: Pick<Watch, 'signal' | 'now'>): Promise<Found> {
  let ended: OpenMcpError | undefined
  const transport = transportTo(target, credential, (error) => (ended = error))
  try {
    const found = await inspectLegacy(transport, watch)
    return { ...found, transport: `${target.url.protocol.slice(0, -1)} (${target.url.host})`, revisions: [found.protocol] }
  } catch (error) {
    watch.signal.throwIfAborted()
    throw ended ?? error
  }
}

function transportTo(target: SocketTarget, credential: Credential | undefined, onEnd: (error: OpenMcpError) => void): Transport {
  const pipe = openSocket(
    target,
    {
      line(bytes) {
        try {
          transport.onmessage?.(JSONRPCMessageSchema.parse(JSON.parse(bytes.toString())))
        } catch (cause) {
          onEnd(new OpenMcpError('upstream_not_mcp', `${target.url.host} says something else than MCP`, { cause }))
          transport.onclose?.()
        }
      },
      tooLong: () => {},
      ended(error) {
        onEnd(error)
        transport.onclose?.()
      },
    },
    DEFAULT_LIMITS,
    credential,
  )
  const transport: Transport = {
    start: () => pipe.started,
    send(message) {
      pipe.send(JSON.stringify(message))
      return Promise.resolve()
    },
    close: () => pipe.close(),
  }
  return transport
}
