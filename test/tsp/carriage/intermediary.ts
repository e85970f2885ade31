// An intermediary as tsp_sdk's example is one: whoever posts a message for a VID leaves it there, and whoever asks for that VID's events
// gets all that is left behind the last that it names, and then what comes.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

import { shortFormOf } from '../../../src/identity/vid.ts'
import { readFrame } from '../../../src/tsp/envelope.ts'

export interface Intermediary {
  readonly url: URL
  /** What was asked for so far: the path, and the last event that was named. */
  readonly asked: { path: string; lastId: string | undefined }[]
  /** As if it had been posted for a VID. */
  leave(path: string, message: Buffer): void
  /** Ends all streams. */
  cut(): void
  /** Forgets all that was left, and how far it had counted. */
  forget(): void
}

interface Box {
  next: number
  left: { id: number; message: Buffer }[]
  streams: Set<ServerResponse>
}

export async function intermediary(): Promise<Intermediary> {
  const boxes = new Map<string, Box>()
  const asked: Intermediary['asked'] = []
  const boxOf = (path: string): Box => {
    const box = boxes.get(path) ?? { next: 0, left: [], streams: new Set() }
    boxes.set(path, box)
    return box
  }
  const leave = (path: string, message: Buffer): void => {
    const box = boxOf(path)
    const one = { id: box.next++, message }
    box.left.push(one)
    for (const stream of box.streams) stream.write(eventOf(one))
  }
  const server = createServer((req, res) => {
    const path = decodeURIComponent(req.url ?? '')
    if (req.method === 'POST') {
      const pieces: Buffer[] = []
      req.on('data', (piece: Buffer) => pieces.push(piece))
      req.on('end', () => {
        const message = Buffer.concat(pieces)
        const { receiver } = readFrame(message)
        if (receiver === undefined) return void res.writeHead(400).end('invalid message, receiver missing')
        leave(`/endpoint/${shortFormOf(receiver)}`, message)
        res.writeHead(200).end()
      })
      return
    }
    const lastId = req.headers['last-event-id']?.toString()
    asked.push({ path, lastId })
    const box = boxOf(path)
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    res.write(': keepalive\n\n')
    for (const one of box.left) if (lastId === undefined || one.id > Number(lastId)) res.write(eventOf(one))
    box.streams.add(res)
    res.on('close', () => box.streams.delete(res))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    // A TCP listener has one.
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
    asked,
    leave,
    cut() {
      for (const { streams } of boxes.values()) for (const stream of streams) stream.destroy()
    },
    forget() {
      for (const box of boxes.values()) Object.assign(box, { next: 0, left: [] })
    },
  }
}

function eventOf({ id, message }: { id: number; message: Buffer }): string {
  return `id: ${id}\ndata: ${message.toString('base64url')}\n\n`
}
