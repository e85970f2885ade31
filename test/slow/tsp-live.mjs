// Our endpoint and the Rust SDK's, each with its own transport: relationships that either begins and ends, and messages both ways, over
// TCP, over TLS, to our HTTP listener, and through an intermediary. Skipped where there is no cargo, which otherwise builds for many
// minutes. `npm run build && node test/slow/tsp-live.mjs [--driver PATH]`
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { createApp } from '../../dist/http/app.js'
import { createHostRules } from '../../dist/http/hosts.js'
import { serve } from '../../dist/http/serve.js'
import { createTspDoor } from '../../dist/http/tsp.js'
import { privateKeyOf, publicTextOf } from '../../dist/identity/okp.js'
import { peerFourOf } from '../../dist/identity/peer-four.js'
import { createResolver } from '../../dist/identity/resolver.js'
import { createLog } from '../../dist/observe/log.js'
import { DEFAULT_LIMITS } from '../../dist/protocol/limits.js'
import { createMemoryStore } from '../../dist/store/memory.js'
import { createTspEndpoint } from '../../dist/tsp/endpoint.js'
import { ownKeysOf } from '../../dist/tsp/keys.js'
import { createKeptRelationships } from '../../dist/tsp/relationship-store.js'
import { createCarriage, listenFor } from '../../dist/tsp/carriage.js'
import { openIntermediary } from './lib/intermediary.mjs'
import { driverPath } from './lib/tsp-driver.mjs'

const ECHOES = 200
const say = (words) => process.stdout.write(`${words}\n`)
const log = createLog({ level: 'warn', format: 'text', write: (line) => process.stderr.write(line), now: Date.now })

const folder = mkdtempSync(join(tmpdir(), 'openmcp-tsp-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const program = driverPath({ folder, name: 'tsp-live', features: ['live'] })

/** How each end is reached, and how what comes to ours is given to `take`. */
const WAYS = {
  async TCP(take) {
    const listener = await listenFor({ endpoint: new URL('tcp://127.0.0.1:0'), take })
    return { ours: `tcp://127.0.0.1:${listener.port}`, theirs: `tcp://127.0.0.1:${await freePort()}`, close: listener.close }
  },
  async TLS(take) {
    const { ca, cert, key } = certificates()
    const tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    const listener = await listenFor({ endpoint: new URL('tls://localhost:0'), listen: { host: '127.0.0.1', port: 0 }, tls, take })
    return {
      ours: `tls://localhost:${listener.port}`,
      theirs: `tls://localhost:${await freePort()}`,
      ca: readFileSync(ca, 'utf8'),
      env: { TSP_TLS_CA: ca, TSP_TLS_CERT: cert, TSP_TLS_KEY: key },
      close: listener.close,
    }
  },
  async 'TCP, and HTTP to us'(take) {
    const nobody = () => assert.fail('nobody is behind it')
    // Every echo is of one address, and for this clock they are a second apart.
    let nowMs = 0
    const tsp = createTspDoor({ take, refused: (why) => say(`refused: ${why}`), proxied: false, log, now: () => (nowMs += 1000) })
    const rules = createHostRules({ host: '127.0.0.1', port: () => listening.port, tls: false, allowHosts: [], allowOrigins: [] })
    const behind = { status: {}, security: undefined, mcp: nobody, sse: nobody, messages: nobody }
    const app = createApp({ rules, tls: false, exposeHeaders: [], pathPrefix: '', ...behind, tsp, log })
    const listening = await serve(app, { host: '127.0.0.1', port: 0, limits: DEFAULT_LIMITS })
    return { ours: `http://127.0.0.1:${listening.port}/tsp`, theirs: `tcp://127.0.0.1:${await freePort()}`, close: listening.close }
  },
  async 'an intermediary'(take, carriage) {
    const { address, cut, close } = await openIntermediary()
    const endpoint = new URL(address.replace('[vid_placeholder]', ours(address).vid))
    const listener = await listenFor({ endpoint, take, receive: (at, receiving) => carriage().receiveFrom(at, { ...receiving, log }) })
    return {
      ours: address,
      theirs: address,
      cut,
      async close() {
        await listener.close()
        close()
      },
    }
  },
}

for (const [name, open] of Object.entries(WAYS)) {
  say(`over ${name}:`)
  await exchanged(open)
}

async function exchanged(open) {
  let [endpoint, carriage] = []
  const way = await open(
    (message) => endpoint.take(message),
    () => (carriage ??= createCarriage({ trustLoopback: true })),
  )
  carriage ??= createCarriage({ trustLoopback: true, ca: way.ca })
  const driver = spawn(program, [way.theirs], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...way.env } })
  const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]()
  const [heard, states] = [[], []]
  const own = ours(way.ours)
  endpoint = createTspEndpoint({ own, ...world(carriage, heard, states) })
  try {
    const them = await said()

    await endpoint.invite(them.long)
    assert.equal((await said()).result, 'Ok(())')
    await until(() => states.includes('formed'))
    for (const size of [0, 5, 1024, 100_000, 3_000_000]) assert.equal((await echoed(them, size)).length, size)
    say('ok a relationship that we begin')

    if (way.cut) {
      way.cut()
      assert.equal((await echoed(them, 77)).length, 77)
      say('ok what comes while nobody listens')
    }

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

    ask({ invite: own.long })
    await said()
    await said()
    await until(() => states.at(-1) === 'formed')
    ask({ send: own.vid, data: 'unasked' })
    await said()
    await until(() => String(heard.at(-1)) === 'unasked')
    ask({ cancel: own.vid })
    await said()
    await until(() => states.at(-1) === 'ended')
    say('ok a relationship that they begin, and end')
  } finally {
    driver.kill()
    carriage.close()
    await way.close()
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
}

function ours(address) {
  const seed = (purpose) => createHash('sha256').update(`live ${purpose}`).digest('base64url')
  const secrets = { signing: seed('sign'), opening: seed('open') }
  const x = (crv, d) => publicTextOf(privateKeyOf(crv, d))
  const { short, long } = peerFourOf({ verifying: x('Ed25519', secrets.signing), sealing: x('X25519', secrets.opening), endpoint: address })
  return { vid: short, long, keys: ownKeysOf(secrets) }
}

function world(carriage, heard, states) {
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

/** Of an authority that both ends are told of: what signs itself the Rust SDK believes nobody. */
function certificates() {
  const at = (name) => join(folder, name)
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'ignore' })
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...fresh, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=ca', '-days', '2')
  openssl('req', ...fresh, '-keyout', at('node.key'), '-out', at('node.csr'), '-subj', '/CN=localhost')
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names'), '-days', '2']
  openssl('x509', '-req', '-in', at('node.csr'), ...signed, '-out', at('node.pem'))
  return { ca: at('ca.pem'), cert: at('node.pem'), key: at('node.key') }
}
