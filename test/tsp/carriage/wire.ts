// What the tests of the carriage share: messages of a length that may be one, a listener that keeps what it took, and sockets written to by hand.
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

import { listenFramed, type FramedListener, type FramedListenerOptions } from '../../../src/tsp/carriage/listener.ts'

export interface Listening {
  readonly listener: FramedListener
  readonly url: URL
  readonly taken: Buffer[]
  readonly refused: string[]
}

export async function listen(options: Partial<FramedListenerOptions> = {}): Promise<Listening> {
  const [taken, refused]: [Buffer[], string[]] = [[], []]
  const take = (message: Buffer): void => void taken.push(message)
  const listener = await listenFramed({ host: '127.0.0.1', port: 0, take, refused: (why) => refused.push(why), ...options })
  onTestFinished(() => listener.close())
  return { listener, url: new URL(`${options.tls ? 'tls' : 'tcp'}://127.0.0.1:${listener.port}`), taken, refused }
}

export async function raw({ port }: { port: number | string }, host = '127.0.0.1', from?: string): Promise<Socket> {
  const socket = connect({ port: Number(port), host, ...(from !== undefined && { localAddress: from }) })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** How much it was told before it was closed by the other. */
export async function ended(socket: Socket): Promise<number> {
  let heard = 0
  socket.on('data', (chunk: Buffer) => (heard += chunk.length))
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
  return heard
}

/** As long as a message may be that says nothing. */
export function messageOf(name: string): Buffer {
  return Buffer.from(name.padEnd(80, '.'))
}

export function namesOf(messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString().replace(/\.*$/, ''))
}

export function lengthOf(bytes: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes)
  return length
}
