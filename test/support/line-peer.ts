// A server behind a TCP port, by hand: it takes lines, and writes exactly what a test wants written.
import { createServer, type AddressInfo, type Socket } from 'node:net'

export interface LinePeer {
  readonly host: string
  readonly port: number
  /** Lines of the clients, all connections together. */
  readonly heard: readonly string[]
  readonly connections: number
  says(text: string): void
  /** Cuts every connection. */
  cut(): void
  stop(): Promise<void>
}

export async function linePeer({ onLine, port = 0 }: { onLine?: (line: string, say: (text: string) => void) => void; port?: number } = {}): Promise<LinePeer> {
  const sockets = new Set<Socket>()
  const heard: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    let text = ''
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        heard.push(line)
        onLine?.(line, (answer) => socket.write(`${answer}\n`))
      }
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve)
  })
  const bound = (server.address() as AddressInfo).port // a TCP listener has one
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    host: `127.0.0.1:${bound}`,
    port: bound,
    heard,
    get connections() {
      return sockets.size
    },
    says(text) {
      for (const socket of sockets) socket.write(text)
    },
    cut,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}
