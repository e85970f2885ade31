// One end of a hop by TSP: an endpoint over TCP that hears sealed messages, and beside it the same framing without any seal.
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { pathToFileURL } from 'node:url'

const ANYWHERE = new URL('tcp://127.0.0.1:0')

/** Loads what `tsc` made of a file of src. */
export const modulesOf = (dist) => (file) => import(pathToFileURL(path.join(dist, file)).href)

/** A did:peer:4 with its keys, as the program of `dist` makes it. */
export async function newParty(dist, address) {
  const load = modulesOf(dist)
  const [{ privateKeyOf, publicTextOf }, { peerFourOf }, { ownKeysOf }] = await Promise.all(
    ['identity/okp.js', 'identity/peer-four.js', 'tsp/keys.js'].map(load),
  )
  const secrets = { signing: randomBytes(32).toString('base64url'), opening: randomBytes(32).toString('base64url') }
  const x = (crv, d) => publicTextOf(privateKeyOf(crv, d))
  const { short, long } = peerFourOf({ verifying: x('Ed25519', secrets.signing), sealing: x('X25519', secrets.opening), endpoint: address })
  return { vid: short, long, keys: ownKeysOf(secrets) }
}

/**
 * `hear(data, answer)` and `hearPlain(bytes)` get what comes. `to(other)` forms the relationship with the other end and gives
 * `{ sealed(data), plain(data) }`, each done when what was sent has come back.
 */
export async function openTspHop(dist, { hear = () => {}, hearPlain = () => {} } = {}) {
  const load = modulesOf(dist)
  const [{ createCarriage, listenFor }, { createTspEndpoint }, { createKeptRelationships }, { createMemoryStore }, { createResolver }] = await Promise.all(
    ['tsp/carriage.js', 'tsp/endpoint.js', 'tsp/relationship-store.js', 'store/memory.js', 'identity/resolver.js'].map(load),
  )
  const carriage = createCarriage({ trustLoopback: true })
  const waiting = { sealed: () => {}, plain: () => {}, formed: () => {} }
  let endpoint
  const listener = await listenFor({ endpoint: ANYWHERE, take: (message) => endpoint.take(message) })
  const plainListener = await listenFor({
    endpoint: ANYWHERE,
    take(message) {
      hearPlain(message, carriage)
      waiting.plain()
    },
  })
  const own = await newParty(dist, addressOf(listener))
  endpoint = createTspEndpoint({
    own,
    resolver: createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: Date.now }),
    relationships: createKeptRelationships({ store: createMemoryStore({ now: Date.now }), lifeSeconds: 3600, now: Date.now }),
    trusts: async () => true,
    carry: carriage.carry,
    hear(heard) {
      hear(heard, endpoint)
      waiting.sealed()
    },
    changed: (_remote, state) => state === 'formed' && waiting.formed(),
  })
  const next = (kind) => new Promise((resolve) => (waiting[kind] = resolve))
  return {
    long: own.long,
    plain: addressOf(plainListener),
    async to(other) {
      const formed = next('formed')
      await endpoint.invite(other.long)
      await formed
      const vid = other.long.slice(0, other.long.lastIndexOf(':'))
      const [there, back] = [new URL(other.plain), Buffer.from(addressOf(plainListener))]
      return {
        async sealed(data) {
          const came = next('sealed')
          await endpoint.send(vid, data)
          await came
        },
        // Where to answer stands in front, as it stands in a VID.
        async plain(data) {
          const came = next('plain')
          await carriage.carry(there, Buffer.concat([back, Buffer.from(' '), data]))
          await came
        },
      }
    },
    async close() {
      await Promise.all([listener.close(), plainListener.close()])
      carriage.close()
    },
  }
}

function addressOf({ port }) {
  return `tcp://127.0.0.1:${port}`
}
