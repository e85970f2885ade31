// Words that hold what nobody is to read.
import { expect, test } from 'vitest'

import { OpenMcpError, neverSay } from '../src/errors.ts'
import { createLog } from '../src/observe/log.ts'

test('what is secret stands in no failure and in no line of the log, however it is spelled', () => {
  neverSay(['hunter2/ä"', 'hunter2/ä"-and-more', 'short'])
  const { message, hint } = new OpenMcpError('usage', 'no hunter2/ä"-and-more at https://host/hunter2%2F%C3%A4%22', { hint: 'not hunter2/ä"' })
  expect([message, hint]).toEqual(['no [secret] at https://host/[secret]', 'not [secret]'])
  const lines: string[] = []
  for (const format of ['text', 'json'] as const) {
    const log = createLog({ level: 'info', format, write: (line) => lines.push(line), now: () => 0 })
    log.info('a child says hunter2/ä"', { url: 'https://host/?x=hunter2/ä"' })
  }
  expect(lines.join()).not.toContain('hunter2')
  expect(new OpenMcpError('usage', 'a short word').message).toBe('a short word')
})
