// Somebody between a client and a server of HTTP: sees every byte, and may answer, alter or cut whatever passes.
import { createServer, request, type IncomingHttpHeaders, type ServerResponse } from 'node:http'

import { onLoopback } from './loopback.ts'

export interface Passed {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** May be replaced before it goes on. */
  body: string
  status: number
  answerHeaders: IncomingHttpHeaders
  answer: string
  /** Cuts the answer, now. */
  cut(): void
}

export interface Middleman {
  readonly origin: string
  readonly passed: readonly Passed[]
  /** What is done with a request before it goes on; true: it was answered here, and goes no further. */
  meddle: (passed: Passed, res: ServerResponse) => boolean
  /** What is done with the head of an answer. */
  head: (status: number, headers: IncomingHttpHeaders) => { status: number; headers: IncomingHttpHeaders }
  /** What is done with a whole answer, or with each piece of a stream of events. */
  alter: (text: string, passed: Passed) => string
  /** Before that: a whole answer waits for this. */
  hold: (text: string) => Promise<string>
  stop(): Promise<void>
}

/** Leads to wherever `to` says when a request comes. */
export async function middleman(to: () => URL): Promise<Middleman> {
  const passed: Passed[] = []
  const server = createServer((req, res) => {
    let body = ''
    req.setEncoding('latin1').on('data', (piece: string) => (body += piece))
    req.on('end', () => {
      const { method = '', url = '', headers } = req
      const one: Passed = { method, url, headers, body, status: 0, answerHeaders: {}, answer: '', cut: () => res.destroy() }
      passed.push(one)
      if (!self.meddle(one, res)) forward(one, res)
    })
  })
  function forward(one: Passed, res: ServerResponse): void {
    const target = to()
    const { host: _host, 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...headers } = one.headers
    const onward = request(
      { host: target.hostname, port: target.port, path: one.url, method: one.method, agent: false, headers: { ...headers, 'content-length': one.body.length } },
      (answer) => {
        one.status = answer.statusCode ?? 0
        one.answerHeaders = answer.headers
        const { 'content-length': _, 'transfer-encoding': __, connection: ___, ...rest } = answer.headers
        const { status, headers: head } = self.head(one.status, rest)
        const isStream = rest['content-type']?.startsWith('text/event-stream') === true
        if (isStream) res.writeHead(status, head).flushHeaders()
        answer.setEncoding('latin1').on('data', (piece: string) => {
          one.answer += piece
          if (isStream) res.write(self.alter(piece, one), 'latin1')
        })
        answer.on('end', () => {
          if (isStream) res.end()
          else void self.hold(one.answer).then((text) => res.writeHead(status, head).end(self.alter(text, one), 'latin1'))
        })
        answer.on('error', () => res.destroy())
      },
    )
    onward.on('error', () => res.destroy())
    res.on('close', () => onward.destroy())
    onward.end(one.body, 'latin1')
  }
  const { host, stop } = await onLoopback(server)
  const self: Middleman = {
    origin: `http://${host}`,
    passed,
    meddle: () => false,
    head: (status, headers) => ({ status, headers }),
    alter: (text) => text,
    hold: async (text) => text,
    stop,
  }
  return self
}
