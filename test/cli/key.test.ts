import { existsSync, rmSync } from 'node:fs'
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
    expect(listed.stdout).toMatch(/^[\da-f]{16} of did:web:ann\.example \("Laptop", mcp:tools, until 2127-01-31T00:00:00\.000Z, never used\)\n$/)
    expect(listed.stdout).not.toContain(made.stdout.slice(3, -1))
    expect(JSON.parse((await typed('list', ANN, '--json')).stdout)).toMatchObject([{ did: ANN, label: 'Laptop' }])
    expect((await typed('list', 'did:web:other.example')).stdout).toBe('')
    const [id = ''] = listed.stdout.split(' ')
    expect(JSON.parse((await typed('list', '--json')).stdout)).toEqual([
      {
        id,
        did: ANN,
        label: 'Laptop',
        scopes: ['mcp:tools'],
        created_at: expect.stringMatching(/Z$/),
        expires_at: '2127-01-31T00:00:00.000Z',
        last_used_at: null,
      },
    ])
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
    [['create', ANN, '--scope', ''], 'no scope'],
    [['create', ANN, '--until', 'soon'], 'no time'],
    [['create', ANN, '--until', '2001-01-01'], 'is over'],
    [['create', ANN, '--label', 'a\nb'], 'not one line'],
    [['create', ANN, '--label', 'x'.repeat(65)], 'not one line'],
    [['create', ANN, '--json'], 'takes no --json'],
    [['create', ANN, '--store', 'memory:'], 'ends with the command'],
    [['revoke'], 'lacks a word'],
    [['frobnicate'], "no 'frobnicate'"],
  ])('%j is asked wrongly', async (argv, words) => {
    const { code, stdout, stderr } = await atHome().typed(...argv)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(words)
  })

  test.each([['revoke'], ['create'], ['list'], []])('%s takes no key where its id is meant, and does not repeat it', async (...command) => {
    const secret = `sk_${'S3cr3t'.repeat(7)}x`
    const { home, typed } = atHome()
    const { code, stdout, stderr } = await typed(...command, secret)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('name the key by its id')
    expect(stderr).not.toContain('S3cr3t')
    expect(existsSync(join(home, 'store.db'))).toBe(false)
  })

  test('list and revoke need no secret of the node, and make none', async () => {
    const { home, typed } = atHome()
    const made = await typed('create', ANN)
    rmSync(join(home, 'keys'), { recursive: true })
    const [id = ''] = (await typed('list')).stdout.split(' ')
    expect(made.stderr).toContain(id)
    expect((await typed('revoke', id)).code).toBe(0)
    expect(existsSync(join(home, 'keys'))).toBe(false)
  })

  test('create makes none that the keys of others in the store would not be hashed with', async () => {
    const { home, typed } = atHome()
    await typed('create', ANN)
    const { code, stdout, stderr } = await typed('create', ANN, '--keys', join(home, 'other'))
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('hashed under a secret')
  })

  test('an identity has twenty keys at most, and no row is left of another', async () => {
    const { home, typed } = atHome()
    for (let made = 0; made < 20; made++) expect((await typed('create', ANN)).code).toBe(0)
    expect(await typed('create', ANN)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('as many keys as an identity may have') })
    const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
    expect(await store.list('api_keys')).toHaveLength(20)
    await store.close()
  })
})
