// A credential comes in one header, once; what stands beside it is nobody's business.
import { expect, test } from 'vitest'

import { holder } from '../support/did.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { bearer, secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'

test('a header whose name is as long as Authorization is no second credential', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  const headers = { ...bearer(await s.token(ann)), 'x-sdk-version': '1', 'x-trace-y': '1' }
  expect((await ask(s.url, { headers, body: initializeMessage(1) })).status).toBe(200)
})
