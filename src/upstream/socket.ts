// The switch between the kinds of connection that carry messages both ways.
import type { Limits } from '../protocol/limits.ts'
import type { Credential, SocketServer } from './options.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { openTcp } from './tcp.ts'
import { openWebSocket } from './websocket.ts'

type Target = Pick<SocketServer, 'url' | 'headers' | 'way'>

/** A credential is for a WebSocket, which is opened by HTTP. */
export function openSocket(target: Target, events: PipeEvents, limits: Limits, credential?: Credential): OpenedPipe {
  return target.url.protocol.startsWith('ws') ? openWebSocket(target, events, limits, credential) : openTcp(target.url, events, limits)
}
