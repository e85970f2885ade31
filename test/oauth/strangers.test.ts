// What the operator reads of those who were not let in.
import { expect, test } from 'vitest'

import { createStrangers } from '../../src/oauth/strangers.ts'
import { createLog } from '../../src/observe/log.ts'
import { holder } from '../support/did.ts'
import { secured } from '../support/secured.ts'

test('the log says at info why a trusted identity was refused: a clock that is wrong looks like nothing else', async () => {
  const ann = await holder()
  const s = await secured({ trusted: [ann.did] })
  await expect(s.token(ann, { claims: { iat: 1_000_000, exp: 1_000_120 } })).rejects.toThrow('invalid_grant')
  expect(s.log.filter((line) => line.includes('a proof was refused'))).toEqual([expect.stringMatching(/^openmcp: a proof was refused why=expired\s*$/)])
})

test('a crowd does not fill the log, and a minute later others are told', () => {
  const lines: string[] = []
  let now = 0
  const { untrusted, unproved } = createStrangers({
    log: createLog({ level: 'info', format: 'text', write: (line) => lines.push(line), now: () => now }),
    now: () => now,
  })
  for (let count = 0; count < 100; count++) {
    untrusted(`did:web:a${count}.example`)
    unproved(`reason ${count}`)
    unproved('reason 1')
  }
  expect(lines).toHaveLength(20)
  now = 60_001
  untrusted('did:web:a99.example')
  expect(lines[20]).toContain('did:web:a99.example')
})
