import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { openStore } from '../../src/store/open-store.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'openmcp-home-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

test.each<[string, (path: string) => string]>([
  ['file:PATH', (path) => `file:${path}`],
  ['file:///PATH', (path) => pathToFileURL(path).href],
  ['file:~/NAME', () => 'file:~/kept/store.db'],
])('%s is a file', async (_form, urlOf) => {
  const path = join(home, 'kept', 'store.db')
  await (await openStore(urlOf(path), { now: Date.now, home })).close()
  expect(existsSync(path)).toBe(true)
})

test.each(['redis://localhost', 'rediss://:secret@localhost:6379/1'])('%s is known and not there yet', async (url) => {
  const refusal = openStore(url, { now: Date.now })
  await expect(refusal).rejects.toMatchObject({ code: 'unavailable_option' })
  await expect(refusal).rejects.not.toMatchObject({ message: expect.stringContaining('secret') })
})

test.each(['', 'memory', 'memory:x', 'file:', 'store.db', 'postgres://user:secret@host/db', 'file://elsewhere/store.db'])('%s is no store', async (url) => {
  const refusal = openStore(url, { now: Date.now })
  await expect(refusal).rejects.toMatchObject({ code: 'usage' })
  await expect(refusal).rejects.not.toMatchObject({ message: expect.stringContaining('secret') })
})
