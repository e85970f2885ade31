// Our endpoint and the Rust SDK's, each over its own TCP: relationships that either begins and ends, and messages both ways. Skipped where
// there is no cargo, which otherwise builds for many minutes. `npm run build && node test/slow/tsp-live.mjs [--driver PATH]`
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { privateKeyOf, publicTextOf } from '../../dist/identity/okp.js'
import { peerFourOf } from '../../dist/identity/peer-four.js'
import { createResolver } from '../../dist/identity/resolver.js'
import { createMemoryStore } from '../../dist/store/memory.js'
import { createTspEndpoint } from '../../dist/tsp/endpoint.js'
import { ownKeysOf } from '../../dist/tsp/keys.js'
import { createKeptRelationships } from '../../dist/tsp/relationship-store.js'
import { createCarriage, listenFor } from '../../dist/tsp/carriage.js'
import { driverPath } from './lib/tsp-driver.mjs'

const ECHOES = 200
const say = (words) => process.stdout.write(`${words}\n`)

const folder = mkdtempSync(join(tmpdir(), 'openmcp-tsp-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const driver = spawn(driverPath({ folder, name: 'tsp-live', features: ['live'] }), [String(await freePort())], { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]()
const [heard, states] = [[], []]
let endpoint
const listener = await listenFor({ endpoint: new URL('tcp://127.0.0.1:0'), take: (message) => endpoint.take(message) })
const carriage = createCarriage({ trustLoopback: true })

try {
  const them = await said()
  endpoint = createTspEndpoint({ ...ours(), ...world() })

  await endpoint.invite(them.long)
  assert.equal((await said()).result, 'Ok(())')
  await until(() => states.includes('formed'))
  for (const size of [0, 5, 1024, 100_000, 3_000_000]) assert.equal((await echoed(them, size)).length, size)
  say('ok a relationship that we begin')

  const times = []
  for (let round = 0; round < ECHOES; round++) {
    const start = performance.now()
    await echoed(them, 1024)
    times.push(performance.now() - start)
  }
  const [p50, p95] = [0.5, 0.95].map((share) => times.toSorted((a, b) => a - b)[Math.floor(share * ECHOES)].toFixed(2))
  say(`an echo of 1 KiB: p50 ${p50} ms, p95 ${p95} ms`)

  await endpoint.cancel(them.vid)
  assert.match((await said()).other, /^CancelRelationship/)
  say('ok the end of it')

  const { long, vid } = ours().own
  ask({ invite: long })
  await said()
  await said()
  await until(() => states.at(-1) === 'formed')
  ask({ send: vid, data: 'unasked' })
  await said()
  await until(() => String(heard.at(-1)) === 'unasked')
  ask({ cancel: vid })
  await said()
  await until(() => states.at(-1) === 'ended')
  say('ok a relationship that they begin, and end')
} finally {
  driver.kill()
  carriage.close()
  await listener.close()
}

function ours() {
  const seed = (purpose) => createHash('sha256').update(`live ${purpose}`).digest('base64url')
  const secrets = { signing: seed('sign'), opening: seed('open') }
  const x = (crv, d) => publicTextOf(privateKeyOf(crv, d))
  const address = `tcp://127.0.0.1:${listener.port}`
  const { short, long } = peerFourOf({ verifying: x('Ed25519', secrets.signing), sealing: x('X25519', secrets.opening), endpoint: address })
  return { own: { vid: short, long, keys: ownKeysOf(secrets) } }
}

function world() {
  return {
    resolver: createResolver({ fetch: async () => assert.fail('nothing is to be fetched'), now: Date.now }),
    relationships: createKeptRelationships({ store: createMemoryStore({ now: Date.now }), lifeSeconds: 3600, now: Date.now }),
    trusts: async () => true,
    carry: (address, message) => carriage.carry(address, message),
    hear: ({ data }) => heard.push(data),
    changed: (_remote, state) => states.push(state),
    dropped: (reason) => say(`dropped: ${reason}`),
  }
}

async function echoed(them, size) {
  const before = heard.length
  await endpoint.send(them.vid, Buffer.alloc(size, 'abc'))
  assert.equal((await said()).length, size)
  await until(() => heard.length > before)
  return heard.at(-1)
}

function ask(question) {
  driver.stdin.write(`${JSON.stringify(question)}\n`)
}

async function said() {
  const { value, done } = await lines.next()
  if (done) throw new Error('the driver ended')
  return JSON.parse(value)
}

async function until(look) {
  for (const deadline = performance.now() + 10_000; !look();) {
    if (performance.now() > deadline) throw new Error(`in vain: ${look}`)
    await new Promise(setImmediate)
  }
}

/** Their own address is in their VID, so it has to be known before they listen. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
