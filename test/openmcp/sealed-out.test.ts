// Which of the two ways of TSP leads to a VID: its document says it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { createSealedOut } from '../../src/openmcp/sealed-out.ts'
import { QUIET, someVid } from '../support/sealed.ts'

test.each([
  ['https://tsp.example/tsp', 'http'],
  ['https://tsp.example/behind/tsp/', 'http'],
  // An intermediary keeps messages, and answers nothing.
  ['https://intermediary.example/transport/somebody', 'messages'],
  ['https://intermediary.example/', 'messages'],
  ['tcp://tsp.example:1337', 'messages'],
])('to a VID at %s: by %s', async (endpoint, by) => {
  const keys = await mkdtemp(join(tmpdir(), 'openmcp-out-'))
  onTestFinished(() => rm(keys, { recursive: true, force: true }))
  const target = { kind: 'vid', vid: someVid({ endpoint }).long, id: undefined, keys } as const
  const out = createSealedOut({ target, secured: Promise.resolve(undefined), tls: undefined, connectSeconds: 1, log: QUIET, now: Date.now })
  onTestFinished(() => out.close())
  expect(await out.find()).toHaveProperty('by', by)
})
