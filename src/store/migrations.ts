// What the embedded store looks like inside, step by numbered step. A step that was released is never changed: add another.
import { OpenMcpError } from '../errors.ts'
import type { Table } from './shapes.ts'
import type { Sqlite } from './sqlite-driver.ts'

export const FOLLOWED: readonly Table[] = ['trust', 'revoked', 'deactivated']
const FIRST_TABLES: readonly Table[] = [...FOLLOWED, 'enrolment', 'replay']
const SECOND_TABLES: readonly Table[] = ['api_keys', 'api_key_slots', 'api_key_uses', 'login']
const THIRD_TABLES: readonly Table[] = ['tsp']
export const TABLES: readonly Table[] = [...FIRST_TABLES, ...SECOND_TABLES, ...THIRD_TABLES]

/** 'omcp': marks a file as ours, so that no other program's database is changed. */
const APPLICATION_ID = 0x6f6d6370

const MIGRATIONS: readonly string[] = [
  [
    ...FIRST_TABLES.flatMap(tableOfRows),
    'CREATE TABLE version (number INTEGER NOT NULL) STRICT',
    // Begins anywhere: a file that takes the place of another is a change too.
    'INSERT INTO version VALUES (abs(random() % 1000000000000))',
    // A trigger is in the transaction of the change itself, whoever makes it.
    ...FOLLOWED.flatMap((table) =>
      ['INSERT', 'UPDATE', 'DELETE'].map(
        (act) => `CREATE TRIGGER ${table}_after_${act} AFTER ${act} ON ${table} BEGIN UPDATE version SET number = number + 1; END`,
      ),
    ),
  ].join(';\n'),
  SECOND_TABLES.flatMap(tableOfRows).join(';\n'),
  THIRD_TABLES.flatMap(tableOfRows).join(';\n'),
]

function tableOfRows(table: Table): string[] {
  return [
    `CREATE TABLE ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at INTEGER) STRICT, WITHOUT ROWID`,
    `CREATE INDEX ${table}_expires_at ON ${table} (expires_at) WHERE expires_at IS NOT NULL`,
  ]
}

/** Brings a file of ours, or an empty one, up to date in one transaction. Any other is refused as it is. */
export function migrate(connection: Sqlite, path: string): void {
  if (refusedOrVersion(connection, path) === MIGRATIONS.length) return
  connection.exec('PRAGMA journal_mode = WAL')
  connection.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been first.
    const missing = MIGRATIONS.slice(refusedOrVersion(connection, path))
    for (const migration of missing) connection.exec(migration)
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
    connection.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
    connection.exec('COMMIT')
  } catch (thrown) {
    rollback(connection)
    throw thrown
  }
}

function refusedOrVersion(connection: Sqlite, path: string): number {
  const version = numberOf(connection, 'PRAGMA user_version')
  const application = numberOf(connection, 'PRAGMA application_id')
  const isEmpty = application === 0 && version === 0 && numberOf(connection, 'SELECT count(*) FROM sqlite_schema') === 0
  if (isEmpty) return 0
  if (application !== APPLICATION_ID) {
    throw new OpenMcpError('store_failed', `${path} is a database of another program`, { hint: 'name another file: --store file:PATH' })
  }
  if (version > MIGRATIONS.length) {
    throw new OpenMcpError('store_failed', `${path} was written by a newer openmcp (store version ${version}, this one knows ${MIGRATIONS.length})`, {
      hint: 'use that openmcp, or name another file: --store file:PATH',
    })
  }
  return version
}

export function numberOf(connection: Sqlite, sql: string): number {
  const [row] = connection.prepare(sql).all()
  const value: unknown = typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
  if (typeof value !== 'number') throw new OpenMcpError('store_failed', 'the store does not hold what it should', { detail: sql })
  return value
}

function rollback(connection: Sqlite): void {
  try {
    connection.exec('ROLLBACK')
  } catch {
    // SQLite has already rolled back when the disk was full or broke.
  }
}
