// API keys in a store of openmcp, as many as are wanted: the first by `openmcp key create`, the others as rows like its own.
import { execFileSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import Database from 'libsql'

/** Of one identity; gives the secrets. What openmcp refuses of its own rows shows as an error of the first call. */
export function makeKeys({ tmp, program, did, count }) {
  const env = { ...process.env, OPENMCP_HOME: tmp }
  const first = execFileSync(process.execPath, [program, 'key', 'create', did], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  const { jwk } = JSON.parse(fs.readFileSync(path.join(tmp, 'keys', 'api-keys-1.json'), 'utf8'))
  const hashing = Buffer.from(jwk.k, 'base64url')
  const store = new Database(path.join(tmp, 'store.db'))
  const insert = (table) => store.prepare(`INSERT INTO ${table} (key, value, expires_at) VALUES (?, ?, NULL)`)
  const [keys, slots] = [insert('api_keys'), insert('api_key_slots')]
  const secrets = [first]
  store.exec('BEGIN')
  for (let made = 1; made < count; made++) {
    const secret = `sk_${randomBytes(32).toString('base64url')}`
    const [hash, slot, atMs] = [createHmac('sha256', hashing).update(secret).digest('base64url'), `bench.${made}`, Date.now()]
    const key = { id: randomBytes(9).toString('base64url'), identity: did, label: '', scopes: ['mcp'], createdAtMs: atMs, slot }
    keys.run(hash, JSON.stringify(key))
    slots.run(slot, JSON.stringify({ hash, atMs }))
    secrets.push(secret)
  }
  store.exec('COMMIT')
  store.close()
  return secrets
}
