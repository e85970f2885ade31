// A WebSocket server by hand (RFC 6455): it takes text, and writes exactly the frames that a test wants written.
import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'

import { onLoopback } from './loopback.ts'

export interface WebSocketPeer {
  readonly host: string
  /** Of each opening request. */
  readonly opened: readonly IncomingHttpHeaders[]
  /** Text messages of the client, all connections together. */
  readonly heard: readonly string[]
  says(text: string | Buffer, more?: { inFrames?: number }): void
  /** Cuts every connection without a word. */
  cut(): void
  stop(): Promise<void>
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const [CONTINUED, TEXT, BINARY, CLOSE] = [0, 1, 2, 8]

/** `onMessage` answers a message of the client. `refuse`: every opening request is answered with this status. `wants`: without this `Authorization` with 401. */
export async function webSocketPeer({
  onMessage,
  refuse,
  wants,
}: { onMessage?: (text: string, say: (text: string) => void) => void; refuse?: number; wants?: string } = {}): Promise<WebSocketPeer> {
  const sockets = new Set<Duplex>()
  const opened: IncomingHttpHeaders[] = []
  const heard: string[] = []
  const server = createServer((_req, res) => res.writeHead(refuse ?? 426).end())
  server.on('upgrade', ({ headers }, socket) => {
    opened.push(headers)
    const status = wants !== undefined && headers.authorization !== wants ? 401 : refuse
    const challenge = status === 401 ? 'www-authenticate: Bearer scope="mcp"\r\n' : ''
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} No\r\n${challenge}content-length: 0\r\nconnection: close\r\n\r\n`)
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${GUID}`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\nsec-websocket-protocol: mcp\r\n\r\n`,
    )
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let bytes = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      for (let read = readFrame(bytes); read; read = readFrame(bytes)) {
        bytes = bytes.subarray(read.size)
        if (read.opcode === CLOSE) socket.end(frame(CLOSE, read.payload))
        if (read.opcode !== TEXT) continue
        const text = read.payload.toString()
        heard.push(text)
        onMessage?.(text, (answer) => socket.write(frame(TEXT, Buffer.from(answer))))
      }
    })
  })
  const { host, stop } = await onLoopback(server)
  return {
    host,
    opened,
    heard,
    says(text, { inFrames = 1 } = {}) {
      const payload = Buffer.from(text)
      const size = Math.ceil(payload.length / inFrames)
      for (const socket of sockets) {
        for (let index = 0; index < inFrames; index++) {
          const opcode = index > 0 ? CONTINUED : typeof text === 'string' ? TEXT : BINARY
          socket.write(frame(opcode, payload.subarray(index * size, (index + 1) * size), index === inFrames - 1))
        }
      }
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      await stop()
    },
  }
}

/** A frame of a client, which masks what it sends. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; size: number } | undefined {
  if (bytes.length < 6) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const maskAt = 2 + lengthBytes
  if (bytes.length < maskAt + 4) return undefined
  const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  const size = maskAt + 4 + length
  if (bytes.length < size) return undefined
  const mask = bytes.subarray(maskAt, maskAt + 4)
  const payload = Buffer.from(bytes.subarray(maskAt + 4, size)).map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return { opcode: bytes.readUInt8(0) & 0x0f, payload: Buffer.from(payload), size }
}

function frame(opcode = 0, payload: Buffer, isLast = true): Buffer {
  const length = payload.length
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = (isLast ? 0x80 : 0) | opcode
  if (length < 126) head[1] = length
  else if (length < 65_536) {
    head[1] = 126
    head.writeUInt16BE(length, 2)
  } else {
    head[1] = 127
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  return Buffer.concat([head, payload])
}
