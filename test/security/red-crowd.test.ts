// One caller against the others: what is bounded for all of them together can be taken by one of them.
import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { holder } from '../support/did.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured } from '../support/secured.ts'
import { scripted } from '../support/servers.ts'
import { ask } from '../support/wire.ts'

test('a caller who opens as many sessions as there may be keeps nobody else out', async () => {
  const [ann, hoarder] = [await holder(), await holder()]
  const [command = '', ...args] = scripted()
  const s = await secured({
    trusted: [ann.did, { id: hoarder.did, tools: [] }],
    options: { target: { kind: 'command', command, args, env: {} }, limits: { ...DEFAULT_LIMITS, drainSeconds: 0, children: 3 } },
  })
  const theirs = bearer(await s.token(hoarder))
  const statuses: number[] = []
  for (let count = 0; count < 3; count++) statuses.push((await ask(s.url, { headers: theirs, body: initializeMessage(1) })).status)
  expect(statuses).toEqual([200, 200, 503])
  const { status } = await ask(s.url, { headers: bearer(await s.token(ann)), body: initializeMessage(1) })
  expect(status).toBe(200)
})
