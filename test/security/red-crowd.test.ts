// One caller against the others: what is bounded for all of them together can be taken by one of them.
import { expect, test } from 'vitest'

import { DEFAULT_LIMITS } from '../../src/protocol/limits.ts'
import { holder } from '../support/did.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured, sessionWith } from '../support/secured.ts'
import { scripted } from '../support/servers.ts'
import { ask } from '../support/wire.ts'

// The caps on sessions and children count everybody's together, and only whoever is at the cap makes room, out of its own. To end this
// an owner would need a share of them: the one who holds most gives way to the one who holds least.
test.fails('a caller who opens as many sessions as there may be keeps nobody else out', async () => {
  const [ann, hoarder] = [await holder(), await holder()]
  const [command = '', ...args] = scripted()
  const s = await secured({
    trusted: [ann.did, { id: hoarder.did, tools: [] }],
    options: { target: { kind: 'command', command, args, env: {} }, limits: { ...DEFAULT_LIMITS, drainSeconds: 0, children: 3 } },
  })
  const theirs = bearer(await s.token(hoarder))
  for (let count = 0; count < 3; count++) await sessionWith(s, theirs)
  const { status } = await ask(s.url, { headers: bearer(await s.token(ann)), body: initializeMessage(1) })
  expect(status).toBe(200)
})
