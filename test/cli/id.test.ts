import { chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openNodeKeys } from '../../src/identity/key-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { SILENT } from '../upstream/scripted-pipe.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

function atHome(): { home: string; keys: string; typed: (...argv: string[]) => Promise<Transcript> } {
  const { home, env } = ownHome()
  return { home, keys: join(home, 'keys'), typed: (...argv) => type(['id', ...argv], { env }) }
}

describe('openmcp id', () => {
  test.each([
    [[], /^did:key:z6Mk/],
    [['--curve', 'P-256'], /^did:key:zDn/],
    [['--curve', 'secp256k1'], /^did:key:zQ3s/],
    [['--method', 'jwk', '--curve', 'ed25519'], /^did:jwk:/],
  ])('create ann %s prints the DID, and nothing else', async (options, did) => {
    const { home, typed } = atHome()
    expect(await typed('create', 'ann', ...options)).toEqual({ code: 0, stdout: expect.stringMatching(new RegExp(`${did.source}\\S+\n$`)), stderr: '' })
    expect(readdirSync(join(home, 'keys', 'identities'))).toEqual(['ann.json'])
    expect(statSync(join(home, 'keys', 'identities', 'ann.json')).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['example.com', 'did:web:example.com', 'https://example.com/.well-known/did.json'],
    ['example.com:8443', 'did:web:example.com%3A8443', 'https://example.com:8443/.well-known/did.json'],
    ['example.com/a/b/', 'did:web:example.com:a:b', 'https://example.com/a/b/did.json'],
    ['example.com%3A8443:a', 'did:web:example.com%3A8443:a', 'https://example.com:8443/a/did.json'],
  ])('create --method web --domain %s says where its document belongs', async (domain, did, url) => {
    const { typed } = atHome()
    expect(await typed('create', 'site', '--method', 'web', '--domain', domain)).toEqual({
      code: 0,
      stdout: `${did}\n`,
      stderr: `openmcp: publish its document at ${url}: it is the didDocument of 'openmcp id export site'\n`,
    })
    const { stdout } = await typed('export', 'site')
    expect(JSON.parse(stdout)).toMatchObject({ vid: did, didDocument: { id: did, authentication: [expect.stringContaining(`${did}#`)] } })
  })

  test('list and show tell what there is', async () => {
    const { typed } = atHome()
    expect(await typed('list')).toEqual({ code: 0, stdout: '', stderr: 'openmcp: there is no identity yet: openmcp id create NAME\n' })
    const { stdout: did } = await typed('create', 'ann')
    expect(await typed('list')).toEqual({ code: 0, stdout: `ann ${did}`, stderr: '' })
    expect((await typed('show', 'ann')).stdout).toMatch(
      new RegExp(`^name: ann\ndid: ${did}key: ${did.trim()}#\\S+\nalg: EdDSA\ncreated: \\S+Z\ndeactivated: false\n$`),
    )
    expect(JSON.parse((await typed('list', '--json')).stdout)).toMatchObject([{ name: 'ann', did: did.trim(), deactivated: false }])
    expect(JSON.parse((await typed('show', 'ann', '--json')).stdout)).toMatchObject({ name: 'ann', did: did.trim(), alg: 'EdDSA' })
  })

  test('export keeps the private key, unless it is asked for, and then says so', async () => {
    const { typed } = atHome()
    await typed('create', 'ann')
    const bare = await typed('export', 'ann')
    expect(bare).toMatchObject({ code: 0, stderr: '' })
    expect(bare.stdout).not.toContain('"d"')
    const whole = await typed('export', 'ann', '--private')
    expect(JSON.parse(whole.stdout)).toMatchObject({ privateJwk: { d: expect.any(String) } })
    expect(whole.stderr).toBe('openmcp: warning: what is printed is the private key of ann: whoever reads it is ann, everywhere and for good\n')
  })

  test('rotate NAME gives a did:web another key, and a did:key none', async () => {
    const { typed } = atHome()
    await typed('create', 'site', '--method', 'web', '--domain', 'example.com')
    await typed('create', 'ann')
    const before = JSON.parse((await typed('show', 'site', '--json')).stdout)
    const { code, stdout, stderr } = await typed('rotate', 'site')
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^did:web:example\.com#\S+\n$/),
      stderr: 'openmcp: site signs with a new key: publish its document again at https://example.com/.well-known/did.json\n',
    })
    expect(stdout.trim()).not.toBe(before.key)
    expect(await typed('rotate', 'ann')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('ann is a did:key, which is its key') })
  })

  test('deactivate NAME ends it here, and writes it down for what runs on the store', async () => {
    const { home, typed } = atHome()
    const { stdout } = await typed('create', 'ann')
    const did = stdout.trim()
    expect(await typed('deactivate', 'ann')).toEqual({
      code: 0,
      stdout: '',
      stderr: `openmcp: deactivated: ${did}; what it has open at a proxy on this store ends\n`,
    })
    expect((await typed('list')).stdout).toBe(`ann ${did} (deactivated)\n`)
    const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
    expect((await store.list('deactivated')).map(({ key }) => key)).toEqual([did])
    await store.close()
  })

  test('deactivate DID shuts out somebody else, and one of ours as well', async () => {
    const { home, typed } = atHome()
    const { stdout } = await typed('create', 'ann')
    expect(await typed('deactivate', 'did:web:eve.example')).toMatchObject({ code: 0 })
    expect(await typed('deactivate', stdout.trim())).toMatchObject({ code: 0 })
    expect((await typed('list')).stdout).toContain('(deactivated)')
    const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
    expect((await store.list('deactivated')).map(({ key }) => key)).toEqual([stdout.trim(), 'did:web:eve.example'].toSorted())
    await store.close()
  })

  test('a did:web that is deactivated is to be published without a key', async () => {
    const { typed } = atHome()
    await typed('create', 'site', '--method', 'web', '--domain', 'example.com')
    expect((await typed('deactivate', 'site')).stderr).toContain('publish its document again, without a key: openmcp id export site')
    expect(JSON.parse((await typed('export', 'site')).stdout)).toMatchObject({ didDocument: { authentication: [] } })
  })

  test.each<[string[], string]>([
    [[], 'openmcp id does not say what to do'],
    [['make', 'ann'], "openmcp id has no 'make'"],
    [['create'], 'openmcp id create lacks a word'],
    [['create', 'a', 'b'], "openmcp id create: one word too many: 'b'"],
    [['create', '../ann'], 'the name of an identity is'],
    [['create', 'Ann'], 'the name of an identity is'],
    [['create', 'ann', '--method', 'ethr'], "--method: 'ethr' is none of its choices"],
    [['create', 'ann', '--curve', 'rsa'], "--curve: 'rsa' is none of its choices"],
    [['create', 'ann', '--method', 'web'], 'a did:web needs its domain'],
    [['create', 'ann', '--domain', 'example.com'], 'a did:key has no domain'],
    [['create', 'ann', '--json'], 'openmcp id create takes no --json'],
    [['show', 'nobody'], 'there is no identity nobody'],
    [['export', 'nobody'], 'there is no identity nobody'],
    [['rotate', 'nobody'], 'there is no identity nobody'],
    [['rotate', 'ann', '--now'], '--now is for the keys of this node'],
    [['deactivate', 'nobody'], 'there is no identity nobody'],
    [['deactivate', 'did:key:nope'], 'the did:key is not written as it must be'],
    [['deactivate', 'ann', '--store', 'memory:'], '--store memory: ends with the command'],
    [['show'], 'there are no keys of a node in'],
    [['rotate'], 'there are no keys of a node in'],
  ])('%j is asked wrongly', async (argv, words) => {
    const { typed } = atHome()
    const { code, stdout, stderr } = await typed(...argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(`openmcp: error: `)
    expect(stderr).toContain(words)
  })

  test('a second identity of a name is refused, and the first one stays', async () => {
    const { typed } = atHome()
    const { stdout } = await typed('create', 'ann')
    expect(await typed('create', 'ann')).toMatchObject({ code: 2, stderr: expect.stringContaining('there is an identity ann already') })
    expect((await typed('list')).stdout).toBe(`ann ${stdout}`)
  })

  test('a key directory that others can read is refused', async () => {
    const { keys, typed } = atHome()
    await typed('create', 'ann')
    chmodSync(keys, 0o755)
    expect(await typed('export', 'ann')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^openmcp: error: .*\nopenmcp: hint: chmod/) })
  })
})

describe('the keys of a node', () => {
  async function withNode(): Promise<ReturnType<typeof atHome>> {
    const there = atHome()
    const node = await openNodeKeys(there.keys, { now: Date.now, log: SILENT })
    node.close()
    return there
  }
  const statesIn = (text: string): string[] =>
    text
      .trim()
      .split('\n')
      .map((line) => line.replace(/ \S+$/, ''))

  test('are shown with their states, and looking makes none', async () => {
    const { typed } = await withNode()
    const { stdout } = await typed('show')
    expect(statesIn(stdout)).toEqual(['tokens active', 'seal active', 'api-keys active'])
    expect(JSON.parse((await typed('show', '--json')).stdout)).toMatchObject([
      { purpose: 'tokens', state: 'active' },
      { purpose: 'seal' },
      { purpose: 'api-keys' },
    ])
  })

  test('rotate: the next one is published before it signs', async () => {
    const { typed } = await withNode()
    const { code, stdout, stderr } = await typed('rotate')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^openmcp: is published now and signs from \S+Z on; the one before it stays published until its last token has expired\n$/),
    })
    const shown = (await typed('show')).stdout
    expect(statesIn(shown)).toEqual(expect.arrayContaining(['tokens active', 'tokens next']))
    expect(shown).toContain(`tokens next ${stdout}`)
  })

  test('rotate --now: the keys of before are gone', async () => {
    const { typed } = await withNode()
    const before = (await typed('show')).stdout
    const { code, stdout, stderr } = await typed('rotate', '--now')
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'openmcp: signs from now on; all keys of before are gone, and every token they signed is refused\n' })
    const shown = (await typed('show')).stdout
    expect(shown).toContain(`tokens active ${stdout}`)
    expect(statesIn(shown)).toEqual(['tokens active', 'seal active', 'api-keys active'])
    expect(before).not.toContain(stdout.trim())
  })
})
