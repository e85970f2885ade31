// A server that is named by a VID, as an upstream: the only place that knows both ways to one.
import { toOpenMcpError, type ErrorCode, type OpenMcpError } from '../errors.ts'
import type { OpenSealed } from '../protocol/sealed-session.ts'
import { connectFound } from './found.ts'
import type { Connection, ConnectOptions, FoundVid, VidServer } from './options.ts'
import { createPool } from './pool.ts'
import type { Remote } from './over-http.ts'
import { openSealedPipe } from './tsp.ts'

/** What is wrong with our own side is told at start; the other side may be away for now. */
const OURS: readonly ErrorCode[] = ['usage', 'unavailable_option', 'port_taken', 'keys_unsafe', 'identity_invalid', 'internal']

/** Each client, or one for all, as with every upstream; beside that the other side is one VID to which we are one. */
export function connectVid(target: VidServer, options: ConnectOptions): Connection {
  async function find(): Promise<Remote> {
    const vid = await target.find()
    if (vid.by === 'messages') return byMessages(vid, options)
    const { findSealedRemote } = await import('./sealed-http.ts')
    return findSealedRemote(vid.peer, options)
  }
  return connectFound({ find, first: target.find, again: 'it will be tried again', isForGood: ({ code }) => OURS.includes(code), log: options.log })
}

function byMessages({ open, reach }: FoundVid & { by: 'messages' }, options: ConnectOptions): Remote {
  const { limits, log } = options
  let failure: OpenMcpError | undefined
  const reached = (): void => void (failure = undefined)
  const noted: OpenSealed = (events) => {
    const opening = open(events)
    opening.then(reached, (thrown: unknown) => {
      const error = toOpenMcpError(thrown)
      if (error.code !== 'busy') failure ??= error
    })
    return opening
  }
  reach().then(reached, (thrown: unknown) => {
    failure = toOpenMcpError(thrown)
    log.warn(`${failure.message}; it will be tried again`, { hint: failure.hint })
  })
  const pool = createPool({ open: openSealedPipe(noted, limits), ...options })
  return { upstream: pool, messages: pool, pipes: () => pool.size, failure: () => failure, endOf: pool.endOf, close: pool.close }
}
