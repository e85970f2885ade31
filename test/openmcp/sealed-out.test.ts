// Which of the two ways of TSP leads to a VID: its document says it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

import { createLog } from '../../src/observe/log.ts'
import { createSealedOut } from '../../src/openmcp/sealed-out.ts'
import type { FoundVid } from '../../src/upstream/options.ts'
import { QUIET, someVid } from '../support/sealed.ts'
import { newTspIdentity, ownDirectory } from '../tsp/peer.ts'

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

describe('it is said at once', () => {
  test('that a short did:peer:4 says nothing of where it is', async () => {
    await expect(outTo(someVid().vid)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('says nothing of where it is reached') })
  })

  test('that we cannot be the server behind us', async () => {
    const keys = await ownDirectory()
    const { long } = await newTspIdentity({ dir: keys })
    await expect(outTo(long, { keys })).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('is our own identity') })
  })

  test('that no identity has the name that was given', async () => {
    await expect(outTo(someVid().long, { id: 'nobody' })).rejects.toMatchObject({ code: 'usage' })
  })

  test('that answers would come to a door of HTTP, which is not there', async () => {
    const keys = await ownDirectory()
    await newTspIdentity({ dir: keys, endpoint: 'http://127.0.0.1:8000/tsp' })
    await expect(outTo(someVid().long, { keys })).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('where nothing of ours listens') })
  })

  test('that another process is who we are', async () => {
    const keys = await ownDirectory()
    await newTspIdentity({ dir: keys })
    await outTo(someVid().long, { keys })
    await expect(outTo(someVid().long, { keys })).rejects.toMatchObject({ code: 'port_taken', hint: expect.stringContaining('--id names another one') })
  })

  test('that somebody elsewhere cannot answer to this machine', async () => {
    const lines: string[] = []
    await outTo(someVid({ endpoint: 'tcp://tsp.example:1337' }).long, { lines })
    expect(lines.join('')).toMatch(
      /warning: answers come to tcp:\/\/127\.0\.0\.1:\d+, where did:peer:4\w+ does not reach us hint="openmcp id create NAME --tsp --endpoint/,
    )
    lines.splice(0)
    await outTo(someVid({ endpoint: 'tcp://127.0.0.1:1337' }).long, { lines })
    expect(lines.join('')).not.toContain('warning')
  })
})

async function outTo(vid: string, { keys, id, lines = [] }: { keys?: string; id?: string; lines?: string[] } = {}): Promise<FoundVid> {
  const target = { kind: 'vid', vid, id, keys: keys ?? (await ownDirectory()) } as const
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now: Date.now })
  const out = createSealedOut({ target, secured: Promise.resolve(undefined), tls: undefined, connectSeconds: 1, log, now: Date.now })
  onTestFinished(() => out.close())
  return out.find()
}
