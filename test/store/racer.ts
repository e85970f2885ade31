// A process of its own on a store that others write too. Says `ready`, waits for a line, then tells what it got, one line for each.
import { writeSync } from 'node:fs'
import { once } from 'node:events'

import { openSqlite } from '../../src/store/sqlite.ts'
import { loadLibsql, loadNodeSqlite } from '../../src/store/sqlite-driver.ts'

const [path = '', driver = '', act = '', count = '0'] = process.argv.slice(2)
const store = await openSqlite(path, { now: Date.now, drivers: [driver === 'libsql' ? loadLibsql : loadNodeSqlite] })
writeSync(1, 'ready\n')
await once(process.stdin, 'data')
for (let n = 0; n < Number(count); n++) {
  const key = `key${n}`
  const expiresAtMs = Date.now() + 3_600_000
  const got =
    act === 'take'
      ? (await store.take('enrolment', key)) !== undefined
      : act === 'swap'
        ? await store.swap('enrolment', key, '', { value: String(process.pid), expiresAtMs })
        : await store.add(act === 'write' ? 'revoked' : 'replay', { key, value: key, expiresAtMs })
  if (got) writeSync(1, `${key}\n`)
}
writeSync(1, 'done\n')
await store.close()
process.exit(0)
