// The switch between the two kinds of connection that carry messages both ways.
import type { Limits } from '../protocol/limits.ts'
import type { SocketServer } from './options.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { openTcp } from './tcp.ts'
import { openWebSocket } from './websocket.ts'

export function openSocket({ url, headers }: Pick<SocketServer, 'url' | 'headers'>, events: PipeEvents, limits: Limits): OpenedPipe {
  return url.protocol === 'tcp:' ? openTcp(url, events, limits) : openWebSocket(url, headers, events, limits)
}
