// `--config` while openmcp runs: the program is typed, files are files, and what is applied is what the proxy is told.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

import { readArguments } from '../../src/cli/arguments.ts'
import { parseConfig } from '../../src/cli/config-file.ts'
import { followConfig } from '../../src/cli/follow-config.ts'
import type { Machine } from '../../src/cli/machine.ts'
import { machineOf } from '../../src/cli/machine.ts'
import { RUN_OPTIONS } from '../../src/cli/option-table.ts'
import { createProver } from '../../src/cli/prove-servers.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { watchFiles } from '../../src/cli/watch-files.ts'
import { createLog } from '../../src/observe/log.ts'
import type { SecurityOptions } from '../../src/openmcp.ts'
import type { NamedServer } from '../../src/openmcp/servers.ts'
import { until } from '../support/until.ts'

interface Stage {
  readonly home: string
  readonly applied: (readonly NamedServer[])[]
  readonly trusted: (readonly string[])[]
  readonly log: string[]
  write(file: string, text: string): Promise<void>
  moveIn(file: string, text: string): Promise<void>
}

async function stage(first: string, files: Record<string, string> = {}, more: readonly string[] = []): Promise<Stage> {
  const home = await mkdtemp(join(tmpdir(), 'openmcp-config-'))
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(home, file)), { recursive: true })
    await writeFile(join(home, file), text)
  }
  await write('c.json', first)
  for (const [file, text] of Object.entries(files)) await write(file, text)
  const machine: Machine = {
    ...machineOf({ env: {}, platform: 'linux', cwd: home } as Parameters<typeof machineOf>[0]), // all it reads of Io
    resolve: (path) => resolve(home, path),
  }
  const typed = runOptions(readArguments(['--config', 'c.json', '-p', '0', ...more], RUN_OPTIONS), machine, parseConfig)
  const applied: (readonly NamedServer[])[] = []
  const trusted: (readonly string[])[] = []
  const log: string[] = []
  const proxy = {
    configure({ identities }: SecurityOptions['trust']) {
      trusted.push(identities.map(({ id }) => id))
      return Promise.resolve()
    },
    apply(servers: readonly NamedServer[]) {
      applied.push(servers)
      return Promise.resolve({ added: [], changed: [], removed: [] })
    },
  }
  const { source } = typed
  if (!source) throw new Error('a file was named')
  const words = createLog({ level: 'info', format: 'text', write: (line) => log.push(line), now: Date.now })
  const quick: typeof watchFiles = (onChange) => watchFiles(onChange, 5)
  const following = followConfig({ ...typed, source }, { proxy, prove: createProver(words), log: words }, quick)
  onTestFinished(async () => {
    following.stop()
    await rm(home, { recursive: true })
  })
  return {
    home,
    applied,
    trusted,
    log,
    write,
    async moveIn(file, text) {
      await write(`${file}.new`, text)
      await rename(join(home, `${file}.new`), join(home, file))
    },
  }
}

const config = (servers: object): string => JSON.stringify({ mcpServers: servers })
const namesIn = (servers: readonly NamedServer[] = []): string[] => servers.map(({ name }) => name)

test('a changed file is applied, however it was written', async () => {
  const { applied, write, moveIn } = await stage(config({ a: { command: 'a' } }))
  await write('c.json', config({ a: { command: 'a' }, b: { command: 'b' } }))
  await until('the first change', () => applied.length === 1)
  await moveIn('c.json', config({ b: { command: 'b' } }))
  await until('the second', () => applied.length === 2)
  expect(applied.map(namesIn)).toEqual([['a', 'b'], ['b']])
})

test('a broken file changes nothing and says why, and so does one that is gone; a good one is taken up again', async () => {
  const { applied, log, write } = await stage(config({ a: { command: 'a' } }))
  await write('c.json', '{ "mcpServers": { "a": { "command": 1, "agrs": [] } } ')
  await until('words', () => log.some((line) => line.includes('is not applied')))
  expect(applied).toEqual([])
  await write('c.json', config({ c: { command: 'c' } }))
  await until('the good one', () => applied.length === 1)
  expect(namesIn(applied[0])).toEqual(['c'])
})

test.each<[string, (file: string) => Promise<void>]>([
  ['a link to itself', (file) => symlink(file, file)],
  ['a pipe that nobody writes to', async (file) => void execFileSync('mkfifo', [file])],
  ['a directory', (file) => mkdir(file)],
])('%s in the place of the file is said, and ends or holds up nothing', async (_what, make) => {
  const { applied, log, home, write } = await stage(config({ a: { command: 'a' } }))
  await rm(join(home, 'c.json'))
  await make(join(home, 'c.json'))
  await until('words', () => log.some((line) => line.includes('is not applied')))
  expect(applied).toEqual([])
  await rm(join(home, 'c.json'), { recursive: true })
  await write('c.json', config({ b: { command: 'b' } }))
  await until('the good one', () => applied.length === 1)
})

test('a file where a directory was is said, too', async () => {
  const { applied, log, home } = await stage(config({ a: { command: '${file:sub/secret}' } }), { 'sub/secret': 'a' })
  await rm(join(home, 'sub'), { recursive: true })
  await writeFile(join(home, 'sub'), '')
  await until('words', () => log.some((line) => line.includes('is not applied')))
  expect(applied).toEqual([])
})

test('a secret in a file of its own is followed, also while it is missing', async () => {
  const { applied, log, write, moveIn } = await stage(config({ a: { command: 'a', env: { KEY: '${file:key}' } } }), { key: 'first' })
  // Whole: a look at half of a write would be news as well.
  await moveIn('key', 'second')
  await until('the new key', () => applied.length === 1)
  expect(applied[0]?.[0]?.target).toMatchObject({ env: { KEY: 'second' } })
  await write('c.json', config({ a: { command: 'a', env: { KEY: '${file:other}' } } }))
  await until('words', () => log.some((line) => line.includes('needs the file "other"')))
  await moveIn('other', 'third')
  await until('the other key', () => applied.length === 2)
  expect(applied[1]?.[0]?.target).toMatchObject({ env: { KEY: 'third' } })
  expect(log.join()).not.toMatch(/first|second|third/)
})

test('what cannot be changed while it runs is said', async () => {
  const { applied, log, write } = await stage(config({ a: { command: 'a' } }))
  await write('c.json', '{ "mcpServers": { "a": { "command": "a" } }, "trust": { "any": true } }')
  // Who may call is asked of nobody here.
  await until('words', () => log.some((line) => line.includes('add --security')))
  expect(applied).toEqual([])
})

test.each([
  ['what a login has left', undefined],
  ['the secret of a client', { clientId: 'us', clientSecret: '${file:secret}', tokenUrl: 'https://id.example/token' }],
])('what proves us to a server (%s) stays the same while nothing about it changes', async (_what, oauth) => {
  const far = { url: 'https://far.example/mcp', ...(oauth && { oauth }) }
  const { applied, write } = await stage(config({ far, a: { command: 'a' } }), { secret: 's3cret' })
  await write('c.json', config({ far }))
  await until('the first change', () => applied.length === 1)
  await write('c.json', config({ far, b: { command: 'b' } }))
  await until('the second', () => applied.length === 2)
  const [first, second] = applied.map((servers) => servers.find(({ name }) => name === 'far')?.credential)
  expect(first).toBeDefined()
  expect(second).toBe(first)
})

test('a secret of a client that changes is taken up, and is told to nobody', async () => {
  const far = { url: 'https://far.example/mcp', oauth: { clientId: 'us', clientSecret: '${file:secret}', tokenUrl: 'https://id.example/token' } }
  const { applied, log, write } = await stage(config({ far, a: { command: 'a' } }), { secret: 'first' })
  await write('c.json', config({ far }))
  await until('the first change', () => applied.length === 1)
  await write('secret', 'second')
  await until('the second', () => applied.length === 2)
  const [first, second] = applied.map(([server]) => server?.credential)
  expect([first, second]).toEqual([expect.anything(), expect.anything()])
  expect(second).not.toBe(first)
  expect(log.join()).not.toMatch(/first|second/)
})

test('whom to trust follows, and of other sections it is said that they do not', async () => {
  const text = (id: string, port: number): string =>
    JSON.stringify({ mcpServers: {}, trust: { identities: [{ id }] }, listen: { port }, limits: { maxSessions: port } })
  const { applied, trusted, log, write } = await stage(text('did:web:ann.example', 8000), {}, ['--security'])
  await write('c.json', text('did:web:bob.example', 8000))
  await until('the first change', () => applied.length === 1)
  expect(trusted).toEqual([['did:web:bob.example']])
  expect(log.join()).toContain('whom to trust is as the configuration says')
  expect(log.join()).not.toContain('next start')
  await write('c.json', text('did:web:bob.example', 9000))
  await until('the second', () => applied.length === 2)
  expect(trusted).toHaveLength(1)
  // -p was typed, and goes before the port of the file.
  expect(log.filter((line) => line.includes('next start'))).toEqual([expect.stringContaining('a change of limits is taken up at the next start')])
})

test('a file whose rule of trust is wrong changes nothing, its servers neither', async () => {
  const { applied, trusted, log, write } = await stage(config({}), {}, ['--security'])
  await write('c.json', '{ "mcpServers": { "a": { "command": "a" } },\n "trust": { "identities": [{ "id": "bob" }] } }')
  await until('words', () => log.some((line) => line.includes('c.json:2: trust.identities[0]: ')))
  expect([applied, trusted]).toEqual([[], []])
})
