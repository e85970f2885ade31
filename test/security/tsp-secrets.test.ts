// What comes and goes sealed is in no log, however much is logged: neither tokens, nor what they are given for, nor what opens the first door.
import { expect, test } from 'vitest'

import { createDpopKey } from '../../src/login/dpop-key.ts'
import { obtainTokenByTsp } from '../../src/login/tsp-token.ts'
import { createLog } from '../../src/observe/log.ts'
import { parseVid } from '../../src/identity/vid.ts'
import { initializeMessage } from '../support/openmcp.ts'
import { secured } from '../support/secured.ts'
import { ask } from '../support/wire.ts'
import { newTspIdentity, peer } from '../tsp/peer.ts'

test('neither side logs a token, a key, a challenge or the secret of an enrolment link', async () => {
  const node = await secured({ security: { tsp: { modes: ['verify'], id: 'tsp' } } })
  const [own, dpop, lines] = [await newTspIdentity(), await createDpopKey({ now: Date.now }), [] as string[]]
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now: Date.now })
  const link = node.enrolment?.href ?? ''
  const { accessToken } = await obtainTokenByTsp({ own, remote: parseVid(node.tsp), enrolment: link, dpop, seconds: 10, log, now: Date.now })
  const { d = '' } = await dpop.privateJwk()

  // Shown without its proof, and played with by somebody who has it.
  await ask(node.url, { headers: { authorization: `DPoP ${accessToken}` }, body: initializeMessage(1) })
  const other = await peer()
  await other.node.relate(parseVid(node.tsp), 0.3).catch(() => undefined)

  const said = [...node.log, ...lines].join('')
  const secrets = [accessToken.split('.')[2], link.split('=')[1], d, own.secrets.signing, own.secrets.opening, 'Give a token for the key']
  for (const secret of secrets) expect(said).not.toContain(secret)
  expect(said).toContain('a token was issued')
})
