import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { findRemote } from '../../src/upstream/remote.ts'
import { forThisTest } from '../support/tidy.ts'
import { json, upstream } from '../support/upstream.ts'
import { SILENT } from './scripted-pipe.ts'

// An openmcp behind openmcp: its /sse was taken for Streamable HTTP, because it said in JSON-RPC that it takes no POST.
test('an address of HTTP+SSE that refuses a POST in JSON-RPC is one of HTTP+SSE', async () => {
  const server = await forThisTest(
    upstream(
      () => {},
      (res) => {
        if (res.req.method === 'POST')
          return json(res, 405, { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'only GET is a method of this endpoint' } })
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /messages?sessionId=1\n\n')
      },
    ),
  )
  const remote = await findRemote(
    { kind: 'remote', urls: [new URL('/sse', server.origin)], transport: 'auto', headers: {} },
    { isolation: 'session', limits: DEFAULT_LIMITS, log: SILENT, now: Date.now, name: 'test' },
  )
  await forThisTest({ stop: () => remote.close() })
  expect(remote.upstream.kind).toBe('messages')
})
