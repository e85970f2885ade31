// A store that forgets everything with the process: for tests, and for those who want to keep nothing.
import { OpenMcpError } from '../errors.ts'
import { FOLLOWED, TABLES } from './migrations.ts'
import type { Row, Store, Table } from './shapes.ts'

/** Beyond that nothing is taken in: to forget what was used once would be to allow it twice. */
const MOST_ROWS = 1_000_000
/** So many rows are looked at with every write, going round, whether they have expired. */
const TIDY_ROWS = 16

export function createMemoryStore({ now, mostRows = MOST_ROWS }: { now: () => number; mostRows?: number }): Store {
  const tables = new Map(TABLES.map((table) => [table, createTable()]))
  let version = 0
  let closed = false

  function tableOf(name: Table): MemoryTable {
    if (closed) throw new OpenMcpError('store_failed', 'the store is closed')
    const table = tables.get(name)
    if (!table) throw new TypeError(`there is no table ${name}`)
    return table
  }
  function changed(name: Table): void {
    if (FOLLOWED.includes(name)) version += 1
  }
  function found(name: Table, key: string): Row | undefined {
    const row = tableOf(name).rows.get(key)
    return row && isThere(row, now()) ? row : undefined
  }
  function write(name: Table, { key, value, expiresAtMs }: Row): void {
    const { rows, tidy } = tableOf(name)
    tidy(now())
    if (rows.size >= mostRows && !rows.has(key)) throw new OpenMcpError('store_failed', `the store holds ${mostRows} rows and takes no more`)
    rows.set(key, { key, value, expiresAtMs })
    changed(name)
  }
  function take(name: Table, key: string): Row | undefined {
    const row = found(name, key)
    if (!row) return undefined
    tableOf(name).rows.delete(key)
    changed(name)
    return row
  }

  return {
    async add(name, row) {
      if (found(name, row.key)) return false
      write(name, row)
      return true
    },
    put: async (name, row) => write(name, row),
    get: async (name, key) => copyOf(found(name, key)),
    take: async (name, key) => take(name, key),
    async swap(name, key, value, by) {
      if (found(name, key)?.value !== value) return false
      if (by) write(name, { key, ...by })
      else take(name, key)
      return true
    },
    remove: async (name, key) => take(name, key) !== undefined,
    list: async (name) =>
      [...tableOf(name).rows.values()]
        .filter((row) => isThere(row, now()))
        .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
        .map((row) => ({ ...row })),
    async version() {
      tableOf('trust')
      return version
    },
    async close() {
      closed = true
    },
  }
}

interface MemoryTable {
  rows: Map<string, Row>
  tidy(nowMs: number): void
}

function createTable(): MemoryTable {
  const rows = new Map<string, Row>()
  // The iterator of a Map stays good while rows come and go.
  let round = rows.values()
  return {
    rows,
    tidy(nowMs) {
      for (let looked = 0; looked < TIDY_ROWS; looked++) {
        const { value: row, done } = round.next()
        if (done) {
          round = rows.values()
          return
        }
        if (!isThere(row, nowMs)) rows.delete(row.key)
      }
    },
  }
}

function isThere({ expiresAtMs }: Row, nowMs: number): boolean {
  return expiresAtMs === undefined || expiresAtMs > nowMs
}

function copyOf(row: Row | undefined): Row | undefined {
  return row && { ...row }
}
