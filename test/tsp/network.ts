// Endpoints that reach each other by the address in their documents, without a network.
import { publicTextOf } from '../../src/identity/okp.ts'
import { peerFourOf } from '../../src/identity/peer-four.ts'
import { createResolver } from '../../src/identity/resolver.ts'
import type { Vid } from '../../src/identity/vid.ts'
import type { DropReason } from '../../src/tsp/dropped.ts'
import type { EndpointOptions } from '../../src/tsp/endpoint-options.ts'
import { createTspEndpoint, type TspEndpoint } from '../../src/tsp/endpoint.ts'
import { ownKeysOf, type OwnKeys } from '../../src/tsp/keys.ts'
import { NO_RELATIONSHIP, type Relationship } from '../../src/tsp/relationship.ts'
import { until } from '../support/until.ts'

export interface Node {
  readonly vid: Vid
  readonly long: Vid
  readonly keys: OwnKeys
  readonly endpoint: TspEndpoint
  readonly heard: [Vid, string][]
  readonly states: string[]
  readonly dropped: DropReason[]
  readonly resolved: string[]
}

export function network(): (name: string, options?: Partial<EndpointOptions>) => Node {
  const nodes = new Map<string, Node>()
  return (name, options = {}) => {
    const keys = ownKeysOf({ signing: seed(`${name} signs`), opening: seed(`${name} opens`) })
    const address = `tcp://${name}:1`
    const { short: vid, long } = peerFourOf({ verifying: publicTextOf(keys.signing), sealing: publicTextOf(keys.opening), endpoint: address })
    const [heard, states, dropped, resolved]: [[Vid, string][], string[], DropReason[], string[]] = [[], [], [], []]
    const relationships = new Map<string, Relationship>()
    const invites = new Set<string>()
    const resolver = createResolver({ fetch: () => Promise.reject(new Error('nothing is to be fetched')), now: () => 0 })
    const endpoint = createTspEndpoint({
      own: { vid, long, keys },
      resolver: {
        resolve(wanted) {
          resolved.push(wanted)
          return resolver.resolve(wanted)
        },
      },
      relationships: {
        get: async (local, remote) => ({
          relationship: relationships.get(`${local} ${remote}`) ?? NO_RELATIONSHIP,
          id: `${local} ${remote}`,
          untilMs: Infinity,
        }),
        put: async (local, remote, relationship) => void relationships.set(`${local} ${remote}`, relationship),
        isFirst: async (_local, remote, invite) => !invites.has(`${remote} ${invite}`) && invites.add(`${remote} ${invite}`) !== undefined,
      },
      trusts: async () => true,
      async carry(url, message) {
        void nodes.get(url.href)?.endpoint.take(message)
      },
      hear: ({ from, data }) => heard.push([from, data.toString()]),
      changed: (_remote, state) => states.push(state),
      dropped: (reason) => dropped.push(reason),
      ...options,
    })
    const node = { vid, long, keys, endpoint, heard, states, dropped, resolved }
    nodes.set(address, node)
    return node
  }
}

export async function related(options: Partial<EndpointOptions> = {}): Promise<[Node, Node]> {
  const add = network()
  const [alice, bob] = [add('alice', options), add('bob', options)]
  await alice.endpoint.invite(bob.long)
  await until('it is formed', () => alice.states.includes('formed') && bob.states.includes('formed'))
  return [alice, bob]
}

export function seed(name: string): string {
  return Buffer.from(name.padEnd(32, '.')).toString('base64url')
}
