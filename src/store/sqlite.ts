// The embedded store: one SQLite file that several processes share. Every function is one statement, and so all or nothing.
import { setTimeout as wait } from 'node:timers/promises'

import { OpenMcpError } from '../errors.ts'
import { migrate, numberOf } from './migrations.ts'
import type { Row, Store, Table } from './shapes.ts'
import { firstOf, loadLibsql, loadNodeSqlite, type LoadDriver, type Sqlite, type SqliteDriver } from './sqlite-driver.ts'
import { checkFile, fileIdentity, prepareStoreFile } from './store-file.ts'

export interface SqliteOptions {
  now: () => number
  /** The first one that loads is used. */
  drivers?: readonly LoadDriver[]
  /** How long a statement waits for another process. The program stands still meanwhile. */
  busyMs?: number
}

const BUSY_MS = 2000
const OPEN_ATTEMPTS = 20
/** So often a write is followed by removing what has expired, and so many rows at most. */
const TIDY_EVERY = 64
const TIDY_ROWS = 256

export async function openSqlite(path: string, { now, drivers = [loadLibsql, loadNodeSqlite], busyMs = BUSY_MS }: SqliteOptions): Promise<Store> {
  const driver = await firstOf(drivers)
  prepareStoreFile(path)
  let opened = await failing(path, () => openSettled(driver, path, busyMs))
  let writes = 0
  let closed = false

  /** The file that was opened may be gone or another one by now: writing into a file without a name would be writing nowhere. */
  function current(): Opened {
    if (closed) throw new OpenMcpError('store_failed', 'the store is closed')
    const found = fileIdentity(path)
    if (found === opened.file) return opened
    // Made anew it would have forgotten what was revoked.
    if (found === undefined) throw new OpenMcpError('store_failed', `the store ${path} is gone`, { hint: 'put it back, or start openmcp again' })
    checkFile(path)
    const before = opened
    opened = open(driver, path, busyMs)
    before.close()
    return opened
  }
  const doing = <T>(act: (store: Opened) => T): Promise<T> => failing(path, () => act(current()))
  const writing = <T>(table: Table, act: (store: Opened) => T): Promise<T> =>
    doing((store) => {
      const result = act(store)
      writes += 1
      if (writes % TIDY_EVERY === 0) store.tables[table].tidy(now())
      return result
    })

  return {
    add: (table, { key, value, expiresAtMs }) => writing(table, ({ tables }) => tables[table].add(key, value, expiresAtMs ?? null, now())),
    put: (table, { key, value, expiresAtMs }) => writing(table, ({ tables }) => tables[table].put(key, value, expiresAtMs ?? null)),
    get: (table, key) => doing(({ tables }) => tables[table].get(key, now())),
    take: (table, key) => writing(table, ({ tables }) => tables[table].take(key, now())),
    swap: (table, key, value, by) => writing(table, ({ tables }) => tables[table].swap(key, value, by, now())),
    remove: async (table, key) => (await writing(table, ({ tables }) => tables[table].take(key, now()))) !== undefined,
    list: (table) => doing(({ tables }) => tables[table].list(now())),
    version: () => doing(({ version }) => version()),
    async close() {
      if (!closed) opened.close()
      closed = true
    },
  }
}

interface Opened {
  file: string | undefined
  tables: Readonly<Record<Table, TableStatements>>
  version(): number
  close(): void
}

/** Two processes that make the file at once may refuse each other for a moment, which SQLite does not wait for by itself. */
async function openSettled(driver: SqliteDriver, path: string, busyMs: number): Promise<Opened> {
  for (let attempt = 1; ; attempt++) {
    try {
      return open(driver, path, busyMs)
    } catch (thrown) {
      if (attempt === OPEN_ATTEMPTS || !/locked|busy/i.test(textOf(thrown))) throw thrown
      await wait(attempt * 5)
    }
  }
}

function open(driver: SqliteDriver, path: string, busyMs: number): Opened {
  const file = fileIdentity(path)
  const connections: Sqlite[] = []
  const connect = (synchronous: 'FULL' | 'NORMAL'): Sqlite => {
    const connection = driver.open(path)
    connections.push(connection)
    connection.exec(`PRAGMA busy_timeout = ${busyMs}`)
    connection.exec(`PRAGMA synchronous = ${synchronous}`)
    return connection
  }
  const close = (): void => {
    for (const connection of connections.splice(0)) connection.close()
  }
  try {
    const durable = connect('FULL')
    migrate(durable, path)
    const quick = connect('NORMAL')
    const of = (table: Table): TableStatements => statementsOf(QUICK.includes(table) ? quick : durable, table)
    return { file, tables: tablesBy(of), version: () => numberOf(durable, 'SELECT number FROM version'), close }
  } catch (thrown) {
    close()
    throw thrown
  }
}

/** What was used once is forgotten in minutes anyway, and when a key was used is a hint: a power cut may lose the last moments of it, a crash of the program nothing. */
const QUICK: readonly Table[] = ['replay', 'api_key_uses']

function tablesBy(of: (table: Table) => TableStatements): Readonly<Record<Table, TableStatements>> {
  return {
    trust: of('trust'),
    revoked: of('revoked'),
    deactivated: of('deactivated'),
    enrolment: of('enrolment'),
    replay: of('replay'),
    api_keys: of('api_keys'),
    api_key_slots: of('api_key_slots'),
    api_key_uses: of('api_key_uses'),
    login: of('login'),
    tsp: of('tsp'),
  }
}

interface TableStatements {
  add(key: string, value: string, expiresAtMs: number | null, nowMs: number): boolean
  put(key: string, value: string, expiresAtMs: number | null): void
  get(key: string, nowMs: number): Row | undefined
  take(key: string, nowMs: number): Row | undefined
  swap(key: string, value: string, by: Pick<Row, 'value' | 'expiresAtMs'> | undefined, nowMs: number): boolean
  list(nowMs: number): Row[]
  tidy(nowMs: number): void
}

function statementsOf(connection: Sqlite, table: Table): TableStatements {
  const columns = 'key, value, expires_at'
  const isThere = '(expires_at IS NULL OR expires_at > ?)'
  const upsert = `INSERT INTO ${table} (${columns}) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`
  const add = connection.prepare(`${upsert} WHERE ${table}.expires_at <= ?`)
  const put = connection.prepare(upsert)
  const get = connection.prepare(`SELECT ${columns} FROM ${table} WHERE key = ? AND ${isThere}`)
  const take = connection.prepare(`DELETE FROM ${table} WHERE key = ? AND ${isThere} RETURNING ${columns}`)
  const change = connection.prepare(`UPDATE ${table} SET value = ?, expires_at = ? WHERE key = ? AND value = ? AND ${isThere}`)
  const removeIf = connection.prepare(`DELETE FROM ${table} WHERE key = ? AND value = ? AND ${isThere}`)
  const list = connection.prepare(`SELECT ${columns} FROM ${table} WHERE ${isThere} ORDER BY key`)
  const tidy = connection.prepare(`DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE expires_at <= ? LIMIT ${TIDY_ROWS})`)
  return {
    add: (key, value, expiresAtMs, nowMs) => Number(add.run(key, value, expiresAtMs, nowMs).changes) === 1,
    put: (key, value, expiresAtMs) => void put.run(key, value, expiresAtMs),
    get: (key, nowMs) => get.all(key, nowMs).map(toRow)[0],
    take: (key, nowMs) => take.all(key, nowMs).map(toRow)[0],
    swap(key, value, by, nowMs) {
      const done = by ? change.run(by.value, by.expiresAtMs ?? null, key, value, nowMs) : removeIf.run(key, value, nowMs)
      return Number(done.changes) === 1
    },
    list: (nowMs) => list.all(nowMs).map(toRow),
    tidy(nowMs) {
      try {
        tidy.run(nowMs)
      } catch {
        // The write before it is done; what has expired waits for the next time.
      }
    },
  }
}

function toRow(row: unknown): Row {
  if (typeof row === 'object' && row !== null && 'key' in row && 'value' in row && 'expires_at' in row) {
    const { key, value, expires_at: expiresAtMs } = row
    const isEnd = expiresAtMs === null || typeof expiresAtMs === 'number'
    if (typeof key === 'string' && typeof value === 'string' && isEnd) return { key, value, expiresAtMs: expiresAtMs ?? undefined }
  }
  throw new OpenMcpError('store_failed', 'the store does not hold what it should')
}

async function failing<T>(path: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (thrown) {
    if (thrown instanceof OpenMcpError) throw thrown
    throw new OpenMcpError('store_failed', `the store ${path} cannot be used: ${textOf(thrown)}`, { hint: hintFor(textOf(thrown)), cause: thrown })
  }
}

function hintFor(words: string): string {
  if (/not a database|malformed|corrupt/i.test(words)) return 'move the file away and put a copy back; without one, trust and revocations are lost'
  if (/locked|busy/i.test(words)) return 'another process holds it: try again'
  return 'make room on the disk, see that this user may write there, or name another file: --store file:PATH'
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
