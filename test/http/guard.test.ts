// The guard by itself, for what cannot be brought about from outside within a test's time.
import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'

import { createGuard } from '../../src/http/guard.ts'
import { createLive } from '../../src/http/live.ts'
import { createLog } from '../../src/observe/log.ts'
import { ANYBODY } from '../../src/protocol/caller.ts'
import type { Verdict } from '../../src/tokens/verifier.ts'
import { ask, type Answer } from '../support/wire.ts'

const KEY = 'k'.repeat(40)
const VERDICT: Verdict = { caller: ANYBODY, jkt: undefined, audience: 'x', notBefore: 0, lineage: [], kid: undefined, freshUntilMs: Infinity }

/** A guard that takes every token, before a door that counts. */
async function guarded(isBlind: boolean): Promise<{ call: (headers: Readonly<Record<string, string>>) => Promise<Answer>; reached: () => number }> {
  let reached = 0
  const log = createLog({ level: 'error', format: 'text', write: () => {}, now: Date.now })
  const { handler } = createGuard({
    admission: {
      known: () => VERDICT,
      look: () => Promise.resolve(VERDICT),
      wrong: () => undefined,
      holding: () => Promise.resolve(VERDICT),
      isOver: () => false,
      identities: () => [],
    },
    dpop: { check: () => Promise.resolve({ rejected: 'never asked' }), nonce: () => '' },
    replay: { isFirst: () => Promise.resolve(true) },
    places: { baseOf: () => 'http://here', isOwnIssuer: () => true, resourceOf: () => 'http://here/mcp', opens: () => true },
    live: createLive(Date.now),
    isBlind: () => isBlind,
    apiKeys: [KEY],
    mayTryKey: () => ({ waitSeconds: 0, giveBack() {} }),
    dpopMode: 'optional',
    pathPrefix: '',
    root: 'default',
    log,
  })
  const server = createServer((req, res) => {
    // Express gives its own request and response; the guard uses what Node's have.
    void handler(req as never, res as never, () => {
      reached++
      res.end('in')
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
  return { call: (headers) => ask(new URL(`http://127.0.0.1:${address.port}/mcp`), { headers }), reached: () => reached }
}

test('while nothing can be heard of revocations, no token lets anybody in', async () => {
  const { call, reached } = await guarded(true)
  const { status, headers } = await call({ authorization: 'Bearer some.token' })
  expect({ status, retry: headers['retry-after'], reached: reached() }).toEqual({ status: 503, retry: '5', reached: 0 })
})

test('a key of the operator does not depend on what can be heard', async () => {
  const { call, reached } = await guarded(true)
  const answers = [await call({ authorization: `Bearer ${KEY}` }), await call({ 'x-api-key': KEY })]
  expect({ statuses: answers.map(({ status }) => status), reached: reached() }).toEqual({ statuses: [200, 200], reached: 2 })
})

test('otherwise a token that holds lets in', async () => {
  const { call, reached } = await guarded(false)
  expect({ status: (await call({ authorization: 'Bearer some.token' })).status, reached: reached() }).toEqual({ status: 200, reached: 1 })
})
