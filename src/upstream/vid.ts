// A server that is named by a VID, as an upstream: the only place that knows both ways to one.
import { toOpenMcpError, type ErrorCode, type OpenMcpError } from '../errors.ts'
import type { OpenSealed } from '../protocol/sealed-session.ts'
import type { Connection, ConnectOptions, FoundVid, VidServer } from './options.ts'
import { createPool } from './pool.ts'
import type { Remote } from './over-http.ts'
import { openSealedPipe } from './tsp.ts'

/** What is wrong with our own side is told at start; the other side may be away for now. */
const OURS: readonly ErrorCode[] = ['usage', 'unavailable_option', 'port_taken', 'keys_unsafe', 'identity_invalid', 'internal']

/** Each client, or one for all, as with every upstream; beside that the other side is one VID to which we are one. */
export function connectVid(target: VidServer, options: ConnectOptions): Connection {
  const { limits, log } = options
  let found: Remote | undefined
  let finding: Promise<Remote> | undefined
  let failure: OpenMcpError | undefined
  const reached = (): void => void (failure = undefined)
  const away = (thrown: unknown): void => {
    const error = toOpenMcpError(thrown)
    failure = error
    log.warn(`${error.message}; it will be tried again`, { hint: error.hint })
  }

  function byMessages({ open, reach }: FoundVid & { by: 'messages' }): Remote {
    const noted: OpenSealed = (events) => {
      const opening = open(events)
      opening.then(reached, (thrown: unknown) => {
        const error = toOpenMcpError(thrown)
        if (error.code !== 'busy') failure ??= error
      })
      return opening
    }
    reach().then(reached, away)
    const pool = createPool({ open: openSealedPipe(noted, limits), ...options })
    return { upstream: pool, messages: pool, pipes: () => pool.size, endOf: pool.endOf, close: pool.close }
  }

  async function find(): Promise<Remote> {
    const vid = await target.find()
    if (vid.by === 'messages') return byMessages(vid)
    const { findSealedRemote } = await import('./sealed-http.ts')
    return findSealedRemote(vid.peer, options)
  }

  const look = (): Promise<Remote> =>
    (finding ??= find()
      .then((remote) => {
        reached()
        return (found = remote)
      })
      .finally(() => (finding = undefined)))
  const started = target.find().then(
    () => void look().catch(away),
    (thrown: unknown) => {
      if (OURS.includes(toOpenMcpError(thrown).code)) throw thrown
      away(thrown)
    },
  )
  // Whoever starts with it waits for it.
  started.catch(() => {})
  return {
    upstream: () => found?.upstream ?? look().then(({ upstream }) => upstream),
    messages: () => found?.messages ?? look().then(({ messages }) => messages),
    started,
    state: () => (failure ? 'unreachable' : found ? 'running' : 'connecting'),
    failure: () => failure,
    pipes: () => found?.pipes() ?? 0,
    endOf: async (isOver) => found?.endOf(isOver),
    async close(graceSeconds) {
      await found?.close(graceSeconds)
    },
  }
}
