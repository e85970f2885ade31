// A peer on a real network: an identity and a port of its own, and what it was told. And a wire that remembers what went over it.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

import { createGuardedFetch } from '../../src/identity/guarded-fetch.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import { createTspIdentity } from '../../src/identity/tsp/own.ts'
import type { TspIdentity } from '../../src/identity/tsp/piv.ts'
import { parseVid, shortFormOf, type Vid } from '../../src/identity/vid.ts'
import { createPassingRelationships } from '../../src/tsp/passing-relationships.ts'
import { createLog } from '../../src/observe/log.ts'
import { createCarriage } from '../../src/tsp/carriage.ts'
import { openTspNode, type TspNode } from '../../src/tsp/node.ts'
import type { RelationshipStore } from '../../src/tsp/relationship-store.ts'
import { jsonOf, type Json } from '../support/json.ts'
import { until } from '../support/until.ts'

export interface Peer {
  readonly identity: TspIdentity
  readonly vid: Vid
  readonly node: TspNode
  readonly heard: Json[]
  /** `formed` and `ended`, as they came. */
  readonly states: string[]
  /** Sends it, and waits for what comes back. */
  say(remote: string, message: object): Promise<Json>
}

export interface PeerOptions {
  identity?: TspIdentity
  trusts?: (vid: Vid) => boolean
  /** Whether a message is for it; without this every one is, and is JSON. */
  takes?: (data: Buffer) => boolean
  /** Lines of its log. */
  lines?: string[]
  relationships?: RelationshipStore
}

export async function peer({
  identity,
  trusts = () => true,
  takes,
  lines = [],
  relationships = createPassingRelationships(),
}: PeerOptions = {}): Promise<Peer> {
  const own = identity ?? (await newTspIdentity())
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line), now: Date.now })
  const { fetch, close } = createGuardedFetch({ trustLoopback: true })
  const carriage = createCarriage({ trustLoopback: true })
  const node = await openTspNode({
    own,
    place: {},
    resolver: createResolver({ fetch, now: Date.now, trustLoopback: true }),
    relationships,
    trusts: async (vid) => trusts(vid),
    carry: carriage.carry,
    log,
    now: Date.now,
  })
  onTestFinished(async () => {
    await node.close()
    carriage.close()
    close()
  })
  const heard: Json[] = []
  const states: string[] = []
  node.onHeard(({ data }) => {
    if (takes) return takes(data)
    heard.push(jsonOf(JSON.parse(data.toString())))
    return true
  })
  node.onChanged((_remote, state) => states.push(state))
  return {
    identity: own,
    vid: own.vid,
    node,
    heard,
    states,
    async say(remote, message) {
      const before = heard.length
      await node.send(parseVid(remote), Buffer.from(JSON.stringify(message)))
      return until('an answer', () => heard[before])
    },
  }
}

/** In a directory of its own, unless it is named. Its endpoint is a free port of this machine. */
export async function newTspIdentity({
  dir,
  name = 'tsp',
  endpoint = 'tcp://127.0.0.1:0',
}: { dir?: string; name?: string; endpoint?: string } = {}): Promise<TspIdentity> {
  return createTspIdentity({ dir: dir ?? (await ownDirectory()), name, method: 'peer', endpoint, now: Date.now })
}

export async function ownDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'openmcp-tsp-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export const JKT = 'A'.repeat(43)

/** What asks for a token, twice: the second time with the challenge. */
export async function askFor(client: Peer, remote: string, changes: object = {}): Promise<Json> {
  const ask = { type: 'openmcp/token-ask', jkt: JKT, nonce: `nonce-${client.heard.length}-of-this-ask`, ...changes }
  const { challenge } = await client.say(remote, ask)
  return client.say(remote, { ...ask, challenge })
}

/** Invites, is accepted, and asks. */
export async function tokenFor(client: Peer, remote: string, changes: object = {}): Promise<string> {
  await client.node.relate(parseVid(remote), 10)
  const { access_token: token, ...rest } = await askFor(client, remote, changes)
  if (typeof token !== 'string') throw new Error(`no token: ${JSON.stringify(rest)}`)
  return token
}

export interface Wire {
  /** Where peers send to. */
  readonly endpoint: string
  /** Where it leads. */
  readonly to: { host: string; port: number }
  /** Messages that went over it, each with its length in front. */
  frames(): Buffer[]
  /** Sends bytes once more, and waits until all of them were taken in. */
  play(bytes: Buffer): Promise<void>
}

/** A wire of TCP that is tapped. */
export async function tapped(): Promise<Wire> {
  const to = { host: '127.0.0.1', port: await freePort() }
  const recorded: Buffer[][] = []
  const server = createServer((from) => {
    const chunks: Buffer[] = []
    recorded.push(chunks)
    const onward = connect(to)
    from.on('data', (chunk: Buffer) => chunks.push(chunk))
    from.pipe(onward).pipe(from)
    for (const [one, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
    onTestFinished(() => void from.destroy())
  })
  const port = await listening(server)
  onTestFinished(() => void server.close())
  return {
    endpoint: `tcp://127.0.0.1:${port}`,
    to,
    frames: () => recorded.flatMap((chunks) => split(Buffer.concat(chunks))),
    play: (bytes) =>
      new Promise((resolve, reject) => {
        const socket = connect(to, () => socket.end(bytes))
        socket.on('error', reject)
        socket.on('close', () => resolve())
        socket.resume()
      }),
  }
}

function split(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at)
    frames.push(bytes.subarray(at, end))
    at = end
  }
  return frames
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('a TCP listener has an address')
  return address.port
}

export function short(vid: string | undefined): Vid {
  return shortFormOf(parseVid(vid))
}
