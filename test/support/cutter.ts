// A load balancer that takes a connection on which nothing is said for gone.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Cutter {
  readonly host: string
  /** Puts it in front of this. Returns what leads there through it. */
  before(url: URL): URL
  /** Connections that were cut. */
  readonly cuts: number
}

const LOOKS = 8

/** Ends with the test. Counts looks and not time: a machine that stood still has heard nobody being silent. */
export async function cutter(idleMs: number): Promise<Cutter> {
  const pairs = new Map<Socket, { onward: Socket; silentFor: number }>()
  let cuts = 0
  let target: URL | undefined
  const server = createServer((socket) => {
    const onward = connect(Number(target?.port), target?.hostname)
    const pair = { onward, silentFor: 0 }
    pairs.set(socket, pair)
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (bytes) => {
        pair.silentFor = 0
        to.write(bytes)
      })
      from.on('error', () => {})
      from.once('end', () => to.end())
      from.once('close', () => {
        pairs.delete(socket)
        to.destroy()
      })
    }
  })
  const look = setInterval(() => {
    for (const [socket, pair] of pairs) {
      if (++pair.silentFor <= LOOKS) continue
      cuts++
      socket.destroy()
    }
  }, idleMs / LOOKS)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // a TCP listener has one
  onTestFinished(() => {
    clearInterval(look)
    for (const [socket, { onward }] of pairs) {
      socket.destroy()
      onward.destroy()
    }
    server.close()
  })
  const host = `127.0.0.1:${port}`
  return {
    host,
    before(url) {
      target = url
      return Object.assign(new URL(url), { host })
    },
    get cuts() {
      return cuts
    },
  }
}
