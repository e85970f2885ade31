import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { openStore } from '../../src/store/open-store.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { loadLibsql, loadNodeSqlite, type LoadDriver, type Sqlite } from '../../src/store/sqlite-driver.ts'
import { storeContract } from './contract.ts'

const RACER = fileURLToPath(new URL('racer.ts', import.meta.url))
/** Below node_modules, from where the racer finds its native module. */
const BUILT = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url))
const EVER = Number.MAX_SAFE_INTEGER

const isThere = new Map<string, boolean>([
  ['libsql', (await loadLibsql()) !== undefined],
  ['node:sqlite', (await loadNodeSqlite()) !== undefined],
])
const drivers: readonly [string, LoadDriver][] = [
  ['libsql', loadLibsql],
  ['node:sqlite', loadNodeSqlite],
]

let racer: string
let directory: string
let path: string

beforeAll(async () => {
  mkdirSync(BUILT, { recursive: true })
  racer = join(mkdtempSync(join(BUILT, 'racer-')), 'racer.mjs')
  const bundle = await rolldown({ input: RACER, platform: 'node', external: [/^node:/, 'libsql'] })
  await bundle.write({ file: racer, format: 'esm', codeSplitting: false })
  await bundle.close()
})
afterAll(() => rmSync(join(racer, '..'), { recursive: true }))
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'openmcp-store-'))
  path = join(directory, 'store.db')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('libsql is there: the rest is not tested otherwise', () => {
  expect(isThere.get('libsql')).toBe(true)
})

describe.each(drivers)('a file by %s', (name, load) => {
  describe.skipIf(!isThere.get(name))('on this machine', () => {
    const open = (options: { now?: () => number; busyMs?: number } = {}) => openSqlite(path, { now: Date.now, drivers: [load], ...options })
    const raw = async (): Promise<Sqlite> => {
      const driver = await load()
      if (!driver) throw new Error('no driver')
      return driver.open(path)
    }
    async function race(act: string, count: number, racers: number): Promise<string[][]> {
      const children = Array.from({ length: racers }, () =>
        spawn(process.execPath, [racer, path, name, act, String(count)], { stdio: ['pipe', 'pipe', 'inherit'] }),
      )
      const told = children.map(() => [] as string[])
      const ends = children.map((child) => once(child, 'close'))
      await Promise.all(children.map((child, index) => ready(child, told[index] ?? [])))
      for (const child of children) child.stdin?.write('go\n')
      await Promise.all(ends)
      return told
    }

    describe('as any store', () => {
      storeContract((options) => open(options))
    })

    test('keeps what was written when it is opened again', async () => {
      const before = await open()
      await before.put('trust', { key: 'did:key:z1', value: '{}', expiresAtMs: undefined })
      const version = await before.version()
      await before.close()
      const after = await open()
      expect(await after.list('trust')).toHaveLength(1)
      expect(await after.version()).toBe(version)
      await after.close()
    })

    test('tells one opener of the changes of another', async () => {
      const [proxy, command] = [await open(), await open()]
      const before = await proxy.version()
      await command.put('trust', { key: 'did:key:z1', value: '{}', expiresAtMs: undefined })
      expect(await proxy.version()).not.toBe(before)
      expect(await proxy.list('trust')).toHaveLength(1)
      await proxy.close()
      await command.close()
    })

    test.each(['add', 'take', 'swap'])('of processes that race to %s, one gets each row', async (act) => {
      const COUNT = 200
      if (act !== 'add') {
        const store = await open()
        for (let n = 0; n < COUNT; n++) await store.put('enrolment', { key: `key${n}`, value: '', expiresAtMs: EVER })
        await store.close()
      }
      const told = await race(act, COUNT, 3)
      expect(told.map((lines) => lines.at(-1))).toEqual(['done', 'done', 'done'])
      const got = told.flatMap((lines) => lines.slice(0, -1))
      expect(got.toSorted()).toEqual(Array.from({ length: COUNT }, (_, n) => `key${n}`).toSorted())
    })

    test('a process that is killed in the middle of its writes loses none that it was told of', async () => {
      const child = spawn(process.execPath, [racer, path, name, 'write', '1000000'], { stdio: ['pipe', 'pipe', 'inherit'] })
      const told: string[] = []
      const ended = once(child, 'close')
      await ready(child, told, (lines) => lines >= 300 && child.kill('SIGKILL'))
      child.stdin.write('go\n')
      await ended
      expect(told.length).toBeGreaterThanOrEqual(300)
      const store = await open()
      const kept = new Set((await store.list('revoked')).map(({ key }) => key))
      expect(told.filter((key) => !kept.has(key))).toEqual([])
      expect(await store.add('revoked', { key: 'after', value: '', expiresAtMs: EVER })).toBe(true)
      await store.close()
      const connection = await raw()
      expect(connection.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
      connection.close()
    })

    test('a full disk is a failure that did nothing, and is over when there is room', async () => {
      let limited: Sqlite | undefined
      const limiting: LoadDriver = async () => {
        const driver = await load()
        // The first connection is the durable one.
        return driver && { ...driver, open: (file) => (limited ? driver.open(file) : (limited = driver.open(file))) }
      }
      const store = await openSqlite(path, { now: Date.now, drivers: [limiting] })
      const row = { key: 'did:key:big', value: 'x'.repeat(1_000_000), expiresAtMs: undefined }
      limited?.exec('PRAGMA max_page_count = 30')
      const before = await store.version()
      await expect(store.put('trust', row)).rejects.toMatchObject({ code: 'store_failed' })
      expect(await store.list('trust')).toEqual([])
      expect(await store.version()).toBe(before)
      limited?.exec('PRAGMA max_page_count = 100000')
      await store.put('trust', row)
      expect(await store.get('trust', row.key)).toEqual(row)
      await store.close()
    })

    test('a locked store is a failure that did nothing, and is over with the lock', async () => {
      const store = await open({ busyMs: 1 })
      const other = await raw()
      other.exec('BEGIN IMMEDIATE')
      await expect(store.add('replay', { key: 'a', value: '', expiresAtMs: EVER })).rejects.toMatchObject({ code: 'store_failed' })
      expect(await store.get('replay', 'a')).toBeUndefined()
      other.exec('ROLLBACK')
      expect(await store.add('replay', { key: 'a', value: '', expiresAtMs: EVER })).toBe(true)
      other.close()
      await store.close()
    })

    test('a file that is taken away is not made anew, and works again when it is back', async () => {
      const store = await open()
      await store.put('revoked', { key: 'token', value: '', expiresAtMs: undefined })
      await (await open()).close()
      const connection = await raw()
      connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all()
      connection.close()
      renameSync(path, `${path}.away`)
      await expect(store.add('replay', { key: 'a', value: '', expiresAtMs: EVER })).rejects.toMatchObject({ code: 'store_failed' })
      await expect(store.version()).rejects.toMatchObject({ code: 'store_failed' })
      expect(existsSync(path)).toBe(false)
      renameSync(`${path}.away`, path)
      expect(await store.get('revoked', 'token')).toBeDefined()
      await store.close()
    })

    test('another file in its place is opened, and its version is another', async () => {
      const store = await open()
      await store.put('trust', { key: 'did:key:old', value: '{}', expiresAtMs: undefined })
      const version = await store.version()
      const other = join(directory, 'other.db')
      const copy = await openSqlite(other, { now: Date.now, drivers: [load] })
      await copy.put('trust', { key: 'did:key:new', value: '{}', expiresAtMs: undefined })
      await copy.close()
      for (const tail of ['', '-wal', '-shm']) {
        rmSync(path + tail, { force: true })
        if (existsSync(other + tail)) renameSync(other + tail, path + tail)
      }
      expect(await store.version()).not.toBe(version)
      expect((await store.list('trust')).map(({ key }) => key)).toEqual(['did:key:new'])
      await store.close()
    })

    test('a store of a newer openmcp is refused with words and not touched', async () => {
      await (await open()).close()
      const connection = await raw()
      connection.exec('PRAGMA user_version = 99')
      connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all()
      connection.close()
      const before = readFileSync(path)
      await expect(open()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringContaining('newer openmcp') })
      expect(readFileSync(path)).toEqual(before)
    })

    test('a database of another program is refused and not touched', async () => {
      writeFileSync(path, '', { mode: 0o600 })
      const connection = await raw()
      connection.exec('CREATE TABLE theirs (a)')
      connection.close()
      const before = readFileSync(path)
      await expect(open()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringContaining('another program') })
      expect(readFileSync(path)).toEqual(before)
    })

    test('a file that is no database is refused and not touched', async () => {
      writeFileSync(path, 'x'.repeat(10_000), { mode: 0o600 })
      await expect(open()).rejects.toMatchObject({ code: 'store_failed', hint: expect.stringContaining('move the file away') })
      expect(readFileSync(path, 'utf8')).toBe('x'.repeat(10_000))
    })

    test('a row that is not as it was written is a failure, not a guess', async () => {
      await (await open()).close()
      const connection = await raw()
      connection.exec("DROP TABLE trust; CREATE TABLE trust (key PRIMARY KEY, value, expires_at); INSERT INTO trust VALUES ('a', 5, NULL)")
      connection.close()
      const store = await open()
      await expect(store.list('trust')).rejects.toMatchObject({ code: 'store_failed' })
      await store.close()
    })
  })
})

describe('the file of the store', () => {
  const open = () => openStore(`file:${path}`, { now: Date.now })

  test('is made 0600 in a directory of 0700, and so are the files beside it', async () => {
    path = join(directory, 'deep', 'er', 'store.db')
    const store = await open()
    await store.put('trust', { key: 'a', value: '{}', expiresAtMs: undefined })
    expect(modeOf(join(directory, 'deep', 'er'))).toBe('700')
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(modeOf(file)).toBe('600')
    await store.close()
  })

  test('is refused when others can write it', async () => {
    await (await open()).close()
    chmodSync(path, 0o620)
    await expect(open()).rejects.toMatchObject({ code: 'store_failed', hint: `chmod 600 ${path}` })
  })

  test('is refused when others can write its directory', async () => {
    chmodSync(directory, 0o777)
    await expect(open()).rejects.toMatchObject({ code: 'store_failed', hint: `chmod 700 ${directory}` })
    expect(existsSync(path)).toBe(false)
  })

  test.skipIf(process.getuid?.() !== 0)('is refused when it belongs to another user', async () => {
    await (await open()).close()
    chownSync(path, 12_345, 12_345)
    await expect(open()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringContaining('another user') })
  })

  test('is not reached by a symbolic link', async () => {
    const elsewhere = join(directory, 'elsewhere.db')
    symlinkSync(elsewhere, path)
    await expect(open()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringContaining('symbolic link') })
    expect(existsSync(elsewhere)).toBe(false)
  })

  test('is refused when it is a directory, or its directory is a file', async () => {
    mkdirSync(path)
    await expect(open()).rejects.toMatchObject({ code: 'store_failed' })
    path = join(directory, 'file', 'store.db')
    writeFileSync(join(directory, 'file'), '')
    await expect(open()).rejects.toMatchObject({ code: 'store_failed' })
  })
})

test('without any SQLite the refusal says what to do', async () => {
  await expect(openSqlite(path, { now: Date.now, drivers: [async () => undefined] })).rejects.toMatchObject({
    code: 'store_failed',
    hint: expect.stringContaining('--store memory:'),
  })
  expect(existsSync(path)).toBe(false)
})

function modeOf(file: string): string {
  return (statSync(file).mode & 0o777).toString(8)
}

/** Settles when the process has said that it is; its later lines are collected. */
function ready(child: ChildProcess, told: string[], onLine: (lines: number) => unknown = () => {}): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => reject(new Error('the racer ended early')))
    if (!child.stdout) return
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') return resolve()
      told.push(line)
      onLine(told.length)
    })
  })
}
