import { expect, test } from 'vitest'

import { createLog, type LogLevel } from '../../src/observe/log.ts'
import { createDropLog, type DropLog } from '../../src/tsp/drop-log.ts'

let nowMs = 0

function dropLog(level: LogLevel): { drops: DropLog; lines: string[] } {
  const lines: string[] = []
  nowMs = 0
  const now = (): number => nowMs
  return { drops: createDropLog({ log: createLog({ level, format: 'text', write: (line) => lines.push(line), now }), now }), lines }
}

test.each(['revision', 'untrusted', 'unresolved', 'unrelated', 'unreachable'])('of what was dropped as %s an operator hears', (reason) => {
  const { drops, lines } = dropLog('info')
  drops.dropped(reason, 'in words')
  expect(lines.join('')).toContain(`reason=${reason} why="in words"`)
})

test.each(['malformed', 'signature', 'decryption', 'busy', 'unheard'])('of what was dropped as %s only whoever looks for it', (reason) => {
  const [quiet, looking] = [dropLog('info'), dropLog('debug')]
  for (const { drops } of [quiet, looking]) drops.dropped(reason, 'in words')
  expect([quiet.lines.length, looking.lines.length]).toEqual([0, 1])
  expect(quiet.drops.counts()).toEqual({ [reason]: 1 })
})

test('the same words are told once a minute, and not more than a hundred in all; everything is counted', () => {
  const { drops, lines } = dropLog('info')
  for (let times = 0; times < 3; times++) drops.dropped('untrusted', 'the same')
  expect(lines.length).toBe(1)
  for (let stranger = 0; stranger < 1000; stranger++) drops.dropped('untrusted', `stranger ${stranger}`)
  expect(lines.length).toBe(100)
  nowMs = 60_000
  drops.dropped('untrusted', 'the same')
  expect(lines.length).toBe(101)
  expect(drops.counts()).toEqual({ untrusted: 1004 })
})
