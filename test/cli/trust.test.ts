import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readTrustRule } from '../../src/config/trust-rule.ts'
import { newOkpPair } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/shapes.ts'
import { knownLongForms } from '../../src/tsp/known-vids.ts'
import { ownHome } from './home.ts'
import { type, type Transcript } from './terminal.ts'

const ANN = 'did:web:ann.example'
const KEY = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'

function atHome(): { home: string; typed: (...argv: string[]) => Promise<Transcript> } {
  const { home, env } = ownHome()
  return { home, typed: (...argv) => type(['trust', ...argv], { env }) }
}

describe('openmcp trust', () => {
  test('add, list and remove act on the store', async () => {
    const { home, typed } = atHome()
    expect(await typed('list')).toEqual({ code: 0, stdout: '', stderr: 'openmcp: nobody is trusted yet: openmcp trust add ID\n' })
    expect(await typed('add', ANN)).toEqual({ code: 0, stdout: '', stderr: `openmcp: trusted: ${ANN} (scope mcp, all tools)\n` })
    expect(await typed('add', KEY, '--scope', 'mcp:tools mcp:prompts', '--tools', 'search_*, echo', '--until', '2127-01-31')).toEqual({
      code: 0,
      stdout: '',
      stderr: `openmcp: trusted: ${KEY} (scopes mcp:tools mcp:prompts, tools search_*,echo, until 2127-01-31T00:00:00.000Z)\n`,
    })
    expect(await typed('list')).toEqual({
      code: 0,
      stdout: `${KEY} (scopes mcp:tools mcp:prompts, tools search_*,echo, until 2127-01-31T00:00:00.000Z)\n${ANN} (scope mcp, all tools)\n`,
      stderr: '',
    })
    expect(await typed('remove', ANN)).toEqual({ code: 0, stdout: '', stderr: `openmcp: no longer trusted: ${ANN}\n` })
    const { stdout } = await typed('list', '--json')
    expect(JSON.parse(stdout)).toEqual([{ id: KEY, scopes: ['mcp:tools', 'mcp:prompts'], tools: ['search_*', 'echo'], until: '2127-01-31T00:00:00.000Z' }])
    expect(statSync(join(home, 'store.db')).mode & 0o777).toBe(0o600)
  })

  test('add in place of a rule replaces it', async () => {
    const { typed } = atHome()
    await typed('add', ANN)
    await typed('add', ANN, '--tools', '')
    expect((await typed('list')).stdout).toBe(`${ANN} (scope mcp, tools none)\n`)
  })

  test('add for some servers shows which, and refuses a pattern that is none', async () => {
    const { typed } = atHome()
    expect((await typed('add', ANN, '--server', 'git*', '--server', 'mail')).stderr).toBe(
      `openmcp: trusted: ${ANN} (scope mcp, all tools, servers git*,mail)\n`,
    )
    expect(JSON.parse((await typed('list', '--json')).stdout)).toEqual([{ id: ANN, servers: ['git*', 'mail'] }])
    await typed('add', ANN, '--server', '')
    expect((await typed('list')).stdout).toBe(`${ANN} (scope mcp, all tools, servers none)\n`)
    expect(await typed('add', ANN, '--server', 'a'.repeat(257))).toMatchObject({ code: 2, stderr: expect.stringContaining('servers: a pattern has 1 to 256') })
  })

  test('add refuses who was deactivated, and list says that a rule from before counts for nothing', async () => {
    const { env } = ownHome()
    const typed = (...argv: string[]): Promise<Transcript> => type(argv, { env })
    await typed('trust', 'add', ANN)
    await typed('id', 'deactivate', ANN)
    expect(await typed('trust', 'add', ANN, '--tools', 'echo')).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        `openmcp: error: ${ANN} was deactivated in this store, and stays out whatever a rule says\n`,
        'openmcp: hint: its holder makes another identity: openmcp id create NAME\n',
      ].join(''),
    })
    expect((await typed('trust', 'list')).stdout).toBe(`${ANN} (scope mcp, all tools) but deactivated\n`)
    expect(JSON.parse((await typed('trust', 'list', '--json')).stdout)).toEqual([{ id: ANN, deactivated: true }])
  })

  test('works on the store that is named', async () => {
    const { home, typed } = atHome()
    await typed('add', ANN, '--store', `file:${join(home, 'other.db')}`)
    expect((await typed('list')).stdout).toBe('')
    expect((await typed('list', '--store', `file:${join(home, 'other.db')}`)).stdout).toContain(ANN)
  })

  test('is seen by who has the store open', async () => {
    const { home, typed } = atHome()
    await typed('list')
    const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
    const before = await store.version()
    await typed('add', ANN)
    expect(await store.version()).not.toBe(before)
    expect((await store.list('trust')).map(({ key }) => key)).toEqual([ANN])
    await store.close()
  })

  test('writes a DID in the spelling in which it will be proved, and finds it in any', async () => {
    const { typed } = atHome()
    const wallet = 'did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    expect((await typed('add', wallet)).stderr).toContain(`trusted: ${wallet.toLowerCase()} `)
    expect(await typed('remove', wallet)).toMatchObject({ code: 0 })
  })

  test.each(['any', 'did:key:*', 'did:jwk:*', 'did:peer:*', 'did:pkh:*'])('add %s works, and warns that nobody is kept out', async (id) => {
    const { typed } = atHome()
    expect(await typed('add', id)).toEqual({
      code: 0,
      stdout: '',
      stderr: `openmcp: warning: whoever asks can make an identity that '${id}' stands for, so nobody is kept out\nopenmcp: trusted: ${id} (scope mcp, all tools)\n`,
    })
  })

  describe('a did:peer:4', () => {
    const keys = { verifying: newOkpPair('Ed25519').x, sealing: newOkpPair('X25519').x }
    const { short, long } = peerFourOf({ ...keys, endpoint: 'tcp://127.0.0.1:13371' })
    const other = peerFourOf({ ...keys, endpoint: 'tcp://127.0.0.1:13372' })
    const inStore = async <T>(home: string, look: (store: Store) => Promise<T>): Promise<T> => {
      const store = await openStore(`file:${join(home, 'store.db')}`, { now: Date.now })
      try {
        return await look(store)
      } finally {
        await store.close()
      }
    }

    test('is trusted by its short form, and the long one is known by which it is found', async () => {
      const { home, typed } = atHome()
      expect(await typed('add', long)).toEqual({ code: 0, stdout: '', stderr: `openmcp: trusted: ${short} (scope mcp, all tools)\n` })
      expect((await typed('list')).stdout).toBe(`${short} (scope mcp, all tools)\n`)
      expect(JSON.parse((await typed('list', '--json')).stdout)).toEqual([{ id: short }])
      expect(await inStore(home, knownLongForms)).toEqual([long])
    })

    test.each([
      ['its long form', long],
      ['its short one', short],
    ])('is removed by %s, with all that is known of it', async (_what, id) => {
      const { home, typed } = atHome()
      await typed('add', long)
      await typed('add', other.long)
      expect(await typed('remove', id)).toEqual({ code: 0, stdout: '', stderr: `openmcp: no longer trusted: ${short}\n` })
      expect((await typed('list')).stdout).toBe(`${other.short} (scope mcp, all tools)\n`)
      expect(await inStore(home, knownLongForms)).toEqual([other.long])
    })

    test('that was added by its short form has to show its long one, unless that was said before', async () => {
      const { home, typed } = atHome()
      const words = `openmcp: ${short} is a short form, and is found once it has shown its long one: 'openmcp trust add' takes that too\n`
      expect((await typed('add', short)).stderr).toBe(`${words}openmcp: trusted: ${short} (scope mcp, all tools)\n`)
      await typed('add', long, '--until', '1h')
      expect((await typed('add', short)).stderr).toBe(`openmcp: trusted: ${short} (scope mcp, all tools)\n`)
      const [row] = await inStore(home, (store) => store.list('tsp'))
      expect(row).toMatchObject({ key: `known ${short}`, expiresAtMs: undefined })
    })

    test('in a rule of a configuration is known by its long form too', () => {
      expect(readTrustRule({ id: long, tools: ['echo'] })).toEqual({ id: short, long, tools: ['echo'] })
      expect(readTrustRule({ id: short })).toEqual({ id: short })
    })

    test('is known no longer than it is trusted', async () => {
      const { home, typed } = atHome()
      await typed('add', long, '--until', '2127-01-31')
      expect(await inStore(home, (store) => store.list('tsp'))).toMatchObject([{ key: `known ${short}`, expiresAtMs: Date.UTC(2127, 0, 31) }])
    })

    test.each<[string, string, string]>([
      ['the document of another', `${short}:${other.long.split(':')[3]}`, 'the hash in the did:peer:4 is not of its document'],
      ['no document', `${short}:z1111`, 'the hash in the did:peer:4 is not of its document'],
    ])('with %s is refused, and nothing is written', async (_what, id, words) => {
      const { home, typed } = atHome()
      await typed('list')
      expect(await typed('add', id)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(words) })
      expect(await inStore(home, async (store) => [await store.list('trust'), await store.list('tsp')])).toEqual([[], []])
    })

    test('that was deactivated stays out by its long form too, and nothing is written', async () => {
      const { home, env } = ownHome()
      await type(['id', 'deactivate', long], { env })
      expect(await type(['trust', 'add', long], { env })).toMatchObject({ code: 1, stderr: expect.stringContaining(`${short} was deactivated in this store`) })
      expect(await inStore(home, async (store) => [await store.list('trust'), await store.list('tsp')])).toEqual([[], []])
    })
  })

  test('--until takes a span', async () => {
    const { typed } = atHome()
    await typed('add', ANN, '--until', '30d')
    const [rule] = JSON.parse((await typed('list', '--json')).stdout)
    const days = (Date.parse(rule.until) - Date.now()) / 86_400_000
    expect(Math.round(days)).toBe(30)
  })

  test('remove of what is not there fails', async () => {
    const { typed } = atHome()
    expect(await typed('remove', ANN)).toEqual({
      code: 1,
      stdout: '',
      stderr: `openmcp: error: there is no rule for ${ANN} in this store\nopenmcp: hint: openmcp trust list\n`,
    })
  })

  test.each<[string[], string]>([
    [[], 'openmcp trust does not say what to do'],
    [['allow', ANN], "openmcp trust has no 'allow'"],
    [['add'], 'openmcp trust add lacks a word'],
    [['add', ANN, KEY], `openmcp trust add: one word too many: '${KEY}'`],
    [['add', 'bob'], 'id: must be a DID'],
    [['add', '*'], 'id: write any for every identity that can be proved'],
    [['add', 'did:web:ANN.example'], 'the did:web is not written as it must be'],
    [['add', `did:key:z${'6'.repeat(100_000)}`], 'id: must be a DID'],
    [['add', `did:key:z${'6'.repeat(600)}`], 'the did:key is too long'],
    [['add', ANN, '--scope', 'all'], 'scopes: "all" is none of mcp'],
    [['add', ANN, '--until', 'tomorrow'], "--until: 'tomorrow' is no time"],
    [['add', ANN, '--until', '2020-01-01'], '--until: 2020-01-01 is over'],
    [['add', ANN, '--until', '0d'], "--until: '0d' is no time"],
    [['add', ANN, '--json'], 'openmcp trust add takes no --json'],
    [['list', '--scope', 'mcp'], 'openmcp trust list takes no --scope'],
    [['list', '--store', 'memory:'], '--store memory: ends with the command, and nobody would see the change'],
    [['list', '--keys', 'k'], 'unknown option --keys'],
  ])('what is asked wrongly is refused, and why: %#', async (argv, words) => {
    const { typed } = atHome()
    const { code, stdout, stderr } = await typed(...argv)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })

  test('a store that others can write is refused, and nothing is written', async () => {
    const { home, typed } = atHome()
    await typed('list')
    const { chmodSync } = await import('node:fs')
    chmodSync(join(home, 'store.db'), 0o666)
    const { code, stderr } = await typed('add', ANN)
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^openmcp: error: others can write .*\nopenmcp: hint: chmod 600 /) })
  })
})
