// An intermediary as tsp_sdk's example is one: what is posted for a VID stays there, and whoever asks for that VID's events gets what is
// behind the last that it names, and then what comes.
import { once } from 'node:events'
import { createServer } from 'node:http'

import { shortFormOf } from '../../../dist/identity/vid.js'
import { readFrame } from '../../../dist/tsp/envelope.js'

export async function openIntermediary() {
  const boxes = new Map()
  const boxOf = (path) => {
    const box = boxes.get(path) ?? { left: [], streams: new Set() }
    boxes.set(path, box)
    return box
  }
  const keep = async (req, res) => {
    const message = Buffer.concat(await req.toArray())
    const { left, streams } = boxOf(`/endpoint/${shortFormOf(readFrame(message).receiver)}`)
    const id = left.push(message) - 1
    for (const stream of streams) stream.write(eventOf(message, id))
    res.writeHead(200).end()
  }
  const server = createServer((req, res) => {
    if (req.method === 'POST') return void keep(req, res)
    const { left, streams } = boxOf(decodeURIComponent(req.url))
    const last = Number(req.headers['last-event-id'] ?? -1)
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': keepalive\n\n')
    for (const [id, message] of left.entries()) if (id > last) res.write(eventOf(message, id))
    streams.add(res)
    res.on('close', () => streams.delete(res))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    /** For whatever VID it is in: who that is stands in the document that is made with it. */
    address: `http://127.0.0.1:${server.address().port}/endpoint/[vid_placeholder]`,
    cut() {
      for (const { streams } of boxes.values()) for (const stream of streams) stream.destroy()
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function eventOf(message, id) {
  return `id: ${id}\ndata: ${message.toString('base64url')}\n\n`
}
