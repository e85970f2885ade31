// SQLite as it is found on this machine: libsql, which comes built, or Node's own where Node has it. Loaded when a store is opened
// and not before: a program that keeps nothing does not wait for a native module.
import { OpenMcpError } from '../errors.ts'

export interface SqliteDriver {
  readonly name: 'libsql' | 'node:sqlite'
  open(path: string): Sqlite
}

/** What both drivers have. */
export interface Sqlite {
  exec(sql: string): unknown
  prepare(sql: string): Statement
  close(): unknown
}

interface Statement {
  run(...values: (string | number | null)[]): { changes: number | bigint }
  /** All rows, so that the statement has ended: one that is left in the middle holds its lock. */
  all(...values: (string | number | null)[]): unknown[]
}

/** Undefined: not on this machine. */
export type LoadDriver = () => Promise<SqliteDriver | undefined>

export const loadLibsql: LoadDriver = async () => {
  const found = await import('libsql').catch(() => undefined)
  if (!found) return undefined
  const { default: Database } = found
  return { name: 'libsql', open: (path) => new Database(path) }
}

export const loadNodeSqlite: LoadDriver = async () => {
  const found = await import('node:sqlite').catch(() => undefined)
  return found && { name: 'node:sqlite', open: (path) => new found.DatabaseSync(path) }
}

export async function firstOf(drivers: readonly LoadDriver[]): Promise<SqliteDriver> {
  for (const load of drivers) {
    const driver = await load()
    if (driver) return driver
  }
  throw new OpenMcpError('store_failed', 'there is no SQLite on this machine: libsql does not load, and this Node has none', {
    hint: 'install openmcp again with its optional packages, use Node 22 or later, or --store memory: to keep nothing',
  })
}
