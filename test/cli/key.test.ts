import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore } from '../../src/store/open-store.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

const ANN = 'did:web:ann.example'

function atHome(): { home: string; typed: (...argv: string[]) => Promise<Transcript> } {
  const { home, env } = ownHome()
  return { home, typed: (...argv) => type(['key', ...argv], { env }) }
}

describe('openmcp key', () => {
  test('create prints the key alone, list shows all but the key, revoke ends it', async () => {
    const { home, typed } = atHome()
    const made = await typed('create', ANN, '--label', 'Laptop', '--scope', 'mcp:tools', '--until', '2127-01-31')
    expect(made.code).toBe(0)
    expect(made.stdout).toMatch(/^sk_[\w-]{43}\n$/)
    const listed = await typed('list')
    expect(listed.stdout).toMatch(/^[\w-]{12} of did:web:ann\.example \("Laptop", mcp:tools, until 2127-01-31T00:00:00\.000Z, never used\)\n$/)
    expect(listed.stdout).not.toContain(made.stdout.slice(3, -1))
    expect(JSON.parse((await typed('list', ANN, '--json')).stdout)).toMatchObject([{ did: ANN, label: 'Laptop' }])
    expect((await typed('list', 'did:web:other.example')).stdout).toBe('')
    const [id = ''] = listed.stdout.split(' ')
    expect(await typed('revoke', id)).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining(`revoked: ${id} of ${ANN}`) })
    expect((await typed('list')).stdout).toBe('')
    expect((await typed('revoke', id)).code).toBe(1)
    const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
    expect((await store.list('revoked')).map(({ key }) => key)).toEqual([`key:${id}`])
    await store.close()
  })

  test.each([
    [['create'], 'lacks a word'],
    [['create', 'any'], 'a key is of one identity'],
    [['create', 'did:key:*'], 'a key is of one identity'],
    [['create', ANN, '--scope', 'root'], 'no scope'],
    [['create', ANN, '--store', 'memory:'], 'ends with the command'],
    [['frobnicate'], "no 'frobnicate'"],
  ])('%j is asked wrongly', async (argv, words) => {
    const { code, stdout, stderr } = await atHome().typed(...argv)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(words)
  })
})
