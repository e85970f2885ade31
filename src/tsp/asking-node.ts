// One of our VIDs for as long as something is asked of another: it hears that one alone, and leaves nothing behind.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { TspIdentity } from '../identity/tsp/piv.ts'
import { shortFormOf, type Vid } from '../identity/vid.ts'
import { createCarriage } from './carriage.ts'
import { nearOfNamed } from './near.ts'
import { openTspNode, type TspNode, type TspNodeOptions } from './node.ts'
import { createPassingRelationships } from './passing-relationships.ts'

export interface AskingNodeOptions extends Pick<TspNodeOptions, 'own' | 'resolver' | 'log' | 'now'> {
  /** As somebody typed it. */
  remote: Vid
  /** Where answers come in, when that is not what our document says; certificate and key for a tls:// endpoint. */
  place: Pick<TspNodeOptions['place'], 'listen' | 'tls'>
}

/** Fails with `port_taken`, or with `usage` when our endpoint does not say where to listen. */
export async function openAskingNode({ own, remote, place, resolver, log, now }: AskingNodeOptions): Promise<TspNode> {
  const carriage = createCarriage(nearOfNamed(remote))
  const node = await openTspNode({
    own,
    place: { ...place, receive: (address, receiving) => carriage.receiveFrom(address, { ...receiving, log }) },
    resolver,
    relationships: createPassingRelationships(),
    trusts: async (vid) => vid === shortFormOf(remote),
    carry: carriage.carry,
    log,
    now,
  }).catch((thrown: unknown) => {
    carriage.close()
    throw notListening(thrown, own)
  })
  return {
    ...node,
    async close() {
      await node.close()
      carriage.close()
    },
  }
}

function notListening(thrown: unknown, own: TspIdentity): OpenMcpError {
  const error = toOpenMcpError(thrown)
  if (error.code !== 'port_taken') return error
  return new OpenMcpError('port_taken', `${error.message}, and answers to ${own.vid} come there`, {
    hint: 'perhaps another openmcp runs as this identity: --id names another one, and openmcp id create NAME --tsp makes one',
    cause: error,
  })
}
