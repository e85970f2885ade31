// The only switch over the kinds of upstream: from what the operator named to something that carries exchanges.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'
import { startChild } from './child.ts'
import { RETRY, type CommandServer, type Connection, type ConnectOptions, type RemoteServer, type SocketServer, type VidServer } from './options.ts'
import { createLastingPipe } from './lasting-pipe.ts'
import type { Remote } from './over-http.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { createPlaceOfSpare } from './spare-place.ts'
import { createSpare } from './spare.ts'
import { createPipeCap, createPool } from './pool.ts'
import { openSocket } from './socket.ts'
import { connectVid } from './vid.ts'

export function connect(target: CommandServer | RemoteServer | SocketServer | VidServer, asked: ConnectOptions): Connection {
  // Without sessions there is nothing smaller than an owner that could have something of its own.
  const options: ConnectOptions = asked.stateless && asked.isolation === 'session' ? { ...asked, isolation: 'identity' } : asked
  switch (target.kind) {
    case 'command':
      return connectCommand(target, options)
    case 'remote':
      return connectRemote(target, options)
    case 'socket':
      return connectSocket(target, options)
    case 'vid':
      return connectVid(target, options)
  }
}

/** A command that does not exist is told at start, and ends it: no later try will mend that. */
function connectCommand(command: CommandServer, options: ConnectOptions): Connection {
  const { limits, log, name, isolation, variablesOf } = options
  const start = (events: PipeEvents, caller?: Caller): OpenedPipe =>
    startChild({ ...command, env: { ...command.env, ...variablesOf?.(caller) } }, events, { limits, log, name })
  // What a child kept for one session alone is gone with it, and the end of the session says so. One of several serves the others on.
  const isLasting = isolation !== 'session'
  if (!command.headerToEnv) return connectPipes(start, options, { isLasting })
  if (isolation === 'shared') throw new OpenMcpError('usage', `the server ${name} cannot be one for all and take headers of each`)
  // What nobody has said anything to is nobody's child: none is started before somebody comes.
  return connectPipes(start, options, { hasSpare: false, isLasting })
}

/** What cannot be reached at start is tried again with every session. */
function connectSocket(target: SocketServer, options: ConnectOptions): Connection {
  const { limits, log } = options
  const connection = connectPipes((events) => openSocket(target, events, limits), options, { isLasting: true })
  const started = connection.started.catch((thrown: unknown) => {
    const error = toOpenMcpError(thrown)
    log.warn(`${error.message}; every session will try again`, { hint: error.hint })
  })
  return { ...connection, started }
}

/** The first pipe is opened at once: what is wrong shows at start, and the first client does not wait. */
function connectPipes(
  openPipe: (events: PipeEvents, caller?: Caller) => OpenedPipe,
  options: ConnectOptions,
  { hasSpare = true, isLasting = false }: { hasSpare?: boolean; isLasting?: boolean } = {},
): Connection {
  const { limits, log, now } = options
  let failure: OpenMcpError | undefined
  function open(events: PipeEvents, caller?: Caller): OpenedPipe {
    const pipe = openPipe(events, caller)
    pipe.started.then(
      () => (failure = undefined),
      (error: OpenMcpError) => (failure = error), // it fails with nothing else
    )
    return pipe
  }
  const cap = options.cap ?? createPipeCap(limits, log)
  // Where there is no room for what nobody has asked for yet, the first who asks waits for it.
  const spare =
    hasSpare && cap.size < cap.most
      ? createSpare(open, (error) => {
          failure = error
          place?.giveBack()
          log.error(error.message, { hint: error.hint })
        })
      : undefined
  const place = spare && createPlaceOfSpare(cap, spare, now())
  const opening = (events: PipeEvents, caller?: Caller): OpenedPipe => spare?.take(events) ?? open(events, caller)
  const pool = createPool({ open: isLasting ? createLastingPipe(opening, { ...RETRY, log, now }) : opening, ...options, cap: place ?? cap })
  const idle = setTimeout(() => place?.end(), limits.idleSeconds * 1000)
  idle.unref()
  return {
    upstream: () => pool,
    messages: () => pool,
    started: spare?.started ?? Promise.resolve(),
    state: () => (failure ? 'failed' : pool.size > 0 ? 'running' : 'idle'),
    failure: () => failure,
    pipes: () => pool.size,
    endOf: pool.endOf,
    async close(graceSeconds) {
      clearTimeout(idle)
      place?.giveBack()
      await Promise.all([pool.close(graceSeconds), spare?.close(graceSeconds)])
    },
  }
}

function connectRemote(target: RemoteServer, options: ConnectOptions): Connection {
  const { log } = options
  let found: Remote | undefined
  let finding: Promise<Remote> | undefined
  let failure: OpenMcpError | undefined
  const find = async (): Promise<Remote> => {
    try {
      // Loaded when needed: a proxy of a stdio server never speaks HTTP upwards.
      const { findRemote } = await import('./remote.ts')
      found = await findRemote(target, options)
      failure = undefined
      return found
    } catch (thrown) {
      failure = toOpenMcpError(thrown)
      throw failure
    } finally {
      finding = undefined
    }
  }
  const look = (): Promise<Remote> => (finding ??= find())
  const started = look().then(
    () => {},
    (error: OpenMcpError) => {
      if (error.code === 'internal') throw error
      log.warn(`${error.message}; every request will try again`, { hint: error.hint })
    },
  )
  return {
    upstream: () => found?.upstream ?? look().then((remote) => remote.upstream),
    messages: () => found?.messages ?? look().then((remote) => remote.messages),
    started,
    state: () => (found?.isUp?.() === false ? 'unreachable' : found ? 'running' : failure ? 'unreachable' : 'connecting'),
    failure: () => failure,
    pipes: () => found?.pipes() ?? 0,
    endOf: async (isOver) => found?.endOf(isOver),
    async close(graceSeconds) {
      await found?.close(graceSeconds)
    },
  }
}
