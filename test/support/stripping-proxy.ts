// A reverse proxy as people put it in front: what is below a path of its own it sends on without that path, with headers that say so.
import { createServer, request } from 'node:http'

import { onLoopback } from './loopback.ts'

export interface StrippingProxy {
  /** Where clients find it, with the path. */
  readonly base: string
  /** The paths that it has sent on. */
  readonly sent: readonly string[]
  stop(): Promise<void>
}

/** Other paths than those below `path` are 404. What clients say goes on as it is, but for `headers`. */
export async function strippingProxy(path: string, to: URL, headers: Readonly<Record<string, string>> = {}): Promise<StrippingProxy> {
  const sent: string[] = []
  const server = createServer((req, res) => {
    const { method, url = '' } = req
    if (!url.startsWith(`${path}/`)) return void res.writeHead(404).end('not here')
    const rest = url.slice(path.length)
    sent.push(rest)
    const onwards = request({ host: to.hostname, port: to.port, method, path: rest, headers: { ...req.headers, host: to.host, ...headers } }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(res)
    })
    onwards.on('error', () => res.destroy())
    req.pipe(onwards)
  })
  const { host, stop } = await onLoopback(server)
  return { base: `http://${host}${path}`, sent, stop }
}
