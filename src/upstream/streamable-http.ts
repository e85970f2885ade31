// Streamable HTTP to Streamable HTTP: what the upstream answers is passed on byte by byte, as it comes.
import type { ByteReply, HttpRequest, HttpUpstream } from '../protocol/exchange.ts'
import { refusedBy, wantsCredential, type HttpClient } from './http-client.ts'

export function createStreamableHttp(client: HttpClient, url: URL): HttpUpstream {
  return {
    kind: 'http',
    exchange({ method, sessionId, headers, body }: HttpRequest, reply: ByteReply) {
      let refused = false
      const stop = client.request(
        { method, url, body, endless: method === 'GET', headers: sessionId === undefined ? headers : { ...headers, 'mcp-session-id': sessionId } },
        {
          head(status, answered, flow) {
            if (wantsCredential(status)) {
              refused = true
              stop()
              return reply.failed(refusedBy(status))
            }
            paused = flow
            reply.head(status, answered)
          },
          chunk(bytes) {
            if (reply.chunk(bytes) || !paused) return
            const flow = paused
            flow.pause()
            reply.drained(() => flow.resume())
          },
          end: () => refused || reply.end(),
          failed: (error) => refused || reply.failed(error),
        },
      )
      let paused: { pause(): void; resume(): void } | undefined
      return stop
    },
  }
}
