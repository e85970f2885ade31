// What a look at an API key costs inside the program, without HTTP around it: a key that is known, and one that has to be looked up,
// with 10 and with 100,000 keys in a store on disk. Rounds of the four go round and round; the least of each is told, because
// whatever else runs on the machine only adds to it.   node bench/key-lookup.mjs [DIST]
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'libsql'

const dist = path.resolve(process.argv[2] ?? 'dist')
const load = (file) => import(pathToFileURL(path.join(dist, file)).href)
const { createKeyRing } = await load('api-keys/key-ring.js')
const { createKeyVerifier } = await load('api-keys/verify.js')
const { createAdmission } = await load('tokens/admission.js')
const { openSqlite } = await load('store/sqlite.js')

const ROUNDS = 200
const WARM_CALLS = 5000
const COLD_CALLS = 200
const KEPT = 10
const secret = randomBytes(32)
const now = Date.now

const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'openmcp-lookup-'))
process.on('exit', () => fs.rmSync(tmp, { recursive: true, force: true }))

async function withKeys(count) {
  const file = path.join(tmp, `${count}.db`)
  const store = await openSqlite(file, { now })
  const ring = createKeyRing({ store, hashing: () => secret, ends: { now: async () => {}, from: async () => true }, now })
  const keys = []
  for (let made = 0; made < KEPT; made++) {
    keys.push((await ring.create({ identity: `did:web:${made}.example`, label: '', scopes: ['mcp'], expiresAtMs: undefined })).secret)
  }
  const connection = new Database(file)
  const [put, slot] = ['api_keys', 'api_key_slots'].map((table) => connection.prepare(`INSERT INTO ${table} (key, value, expires_at) VALUES (?, ?, NULL)`))
  connection.exec('BEGIN')
  for (let made = KEPT; made < count; made++) {
    const [hash, name] = [randomBytes(32).toString('base64url'), `${randomBytes(32).toString('base64url')}.0`]
    const [id, createdAtMs] = [randomBytes(9).toString('base64url'), now()]
    put.run(hash, JSON.stringify({ id, identity: `did:web:${made}.example`, label: '', scopes: ['mcp'], createdAtMs, slot: name }))
    slot.run(name, JSON.stringify({ hash, atMs: createdAtMs }))
  }
  connection.exec('COMMIT')
  connection.close()
  const verify = createKeyVerifier({ find: ring.find, used() {}, isStillThere: async () => true, now })
  const admission = createAdmission({ verify, revocation: { isRevoked: () => false }, isTrusted: () => true, isPublished: () => true, now })
  for (const key of keys) await admission.look(key)
  return {
    warm() {
      for (let call = 0; call < WARM_CALLS; call++) admission.wrong(admission.known(keys[call % KEPT]))
      return WARM_CALLS
    },
    async cold() {
      for (let call = 0; call < COLD_CALLS; call++) await verify(keys[call % KEPT])
      return COLD_CALLS
    },
    close: store.close,
  }
}

const stages = new Map()
for (const count of [10, 100_000]) stages.set(count, await withKeys(count))
const least = new Map()
for (let round = 0; round < ROUNDS; round++) {
  for (const [count, stage] of stages) {
    for (const kind of ['warm', 'cold']) {
      const began = performance.now()
      const calls = await stage[kind]()
      const us = ((performance.now() - began) * 1000) / calls
      const name = `${kind}, ${count} keys`
      least.set(name, Math.min(least.get(name) ?? Infinity, us))
    }
  }
}
for (const [name, us] of least) console.log(`${name}: ${us.toFixed(2)} µs`)
for (const { close } of stages.values()) await close()
