// The only switch over the kinds of upstream: from what the operator named to something that carries exchanges.
import { toOpenMcpError } from '../errors.ts'
import { startChild, type Child, type ChildCommand } from './child.ts'
import type { PipeEvents } from './pipe.ts'
import type { CommandServer, Connection, ConnectOptions, RemoteServer, VidServer } from './options.ts'
import type { Remote } from './remote.ts'
import { createSpare } from './spare.ts'
import { createPool } from './pool.ts'
import { connectVid } from './vid.ts'

export function connect(target: CommandServer | RemoteServer | VidServer, options: ConnectOptions): Connection {
  switch (target.kind) {
    case 'command':
      return connectCommand(target, options)
    case 'remote':
      return connectRemote(target, options)
    case 'vid':
      return connectVid(target, options)
  }
}

/**
 * The first child is started at once: a command that does not exist is told at start, and the first client does not wait.
 */
function connectCommand(command: ChildCommand, options: ConnectOptions): Connection {
  const { limits, log, name } = options
  const start = (events: PipeEvents): Child => startChild(command, events, { limits, log, name })
  const spare = createSpare(start, (error) => log.error(error.message, { hint: error.hint }))
  const pool = createPool({ open: (events) => spare.take(events) ?? start(events), ...options })
  const idle = setTimeout(() => void spare.close(), limits.idleSeconds * 1000)
  idle.unref()
  return {
    upstream: () => pool,
    messages: () => pool,
    started: spare.started,
    state: () => (pool.size > 0 ? 'running' : 'idle'),
    pipes: () => pool.size,
    endOf: pool.endOf,
    async close() {
      clearTimeout(idle)
      await Promise.all([pool.close(), spare.close()])
    },
  }
}

function connectRemote(target: RemoteServer, options: ConnectOptions): Connection {
  const { log } = options
  let found: Remote | undefined
  let finding: Promise<Remote> | undefined
  let failed = false
  const find = async (): Promise<Remote> => {
    try {
      // Loaded when needed: a proxy of a stdio server never speaks HTTP upwards.
      const { findRemote } = await import('./remote.ts')
      found = await findRemote(target, options)
      failed = false
      return found
    } catch (error) {
      failed = true
      throw error
    } finally {
      finding = undefined
    }
  }
  const look = (): Promise<Remote> => (finding ??= find())
  const started = look().then(
    () => {},
    (thrown: unknown) => {
      const error = toOpenMcpError(thrown)
      if (error.code === 'internal') throw error
      log.warn(`${error.message}; every request will try again`, { hint: error.hint })
    },
  )
  return {
    upstream: () => found?.upstream ?? look().then((remote) => remote.upstream),
    messages: () => found?.messages ?? look().then((remote) => remote.messages),
    started,
    state: () => (found ? 'running' : failed ? 'unreachable' : 'connecting'),
    pipes: () => found?.pipes() ?? 0,
    endOf: async (isOver) => found?.endOf(isOver),
    async close() {
      await found?.close()
    },
  }
}
