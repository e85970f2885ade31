// The only switch over the kinds of upstream: from what the operator named to something that carries exchanges.
import { OpenMcpError } from '../errors.ts'
import { startChild } from './child.ts'
import { loadedLater } from './loaded-later.ts'
import type { CommandServer, Connection, ConnectOptions, RemoteServer, SocketServer, VidServer } from './options.ts'
import { connectPipes } from './pipes.ts'
import { createStarts } from './starts.ts'

export function connect(target: CommandServer | RemoteServer | SocketServer | VidServer, asked: ConnectOptions): Connection {
  // Without sessions there is nothing smaller than an owner that could have something of its own.
  const options: ConnectOptions = asked.stateless && asked.isolation === 'session' ? { ...asked, isolation: 'identity' } : asked
  switch (target.kind) {
    case 'command':
      return connectCommand(target, options)
    // A proxy of a command speaks none of these upwards.
    case 'remote':
      return options.credentialOf
        ? ownRemotes(target, options, options.credentialOf)
        : loadedLater(async () => (await import('./remote.ts')).connectRemote(target, options))
    case 'socket':
      return loadedLater(async () => (await import('./sockets.ts')).connectSockets(target, options))
    case 'vid':
      return loadedLater(async () => (await import('./vid.ts')).connectVid(target, options))
  }
}

function ownRemotes(target: RemoteServer, options: ConnectOptions, credentialOf: NonNullable<ConnectOptions['credentialOf']>): Connection {
  const { name, isolation, limits, now } = options
  if (isolation === 'shared') throw new OpenMcpError('usage', `the server ${name} cannot be one for all and have a login of each`)
  return loadedLater(async () => {
    const [{ perCaller }, { connectRemote }] = await Promise.all([import('./per-caller.ts'), import('./remote.ts')])
    return perCaller({ connect: (caller) => connectRemote(target, { ...options, credential: credentialOf(caller) }), limits, now })
  })
}

/** A command that does not exist is told at start, and ends what was to serve it alone. */
function connectCommand(command: CommandServer, options: ConnectOptions): Connection {
  const { limits, log, name, isolation, variablesOf, now } = options
  const takesHeaders = command.headerToEnv !== undefined
  if (takesHeaders && isolation === 'shared') throw new OpenMcpError('usage', `the server ${name} cannot be one for all and take headers of each`)
  const starts = createStarts({
    start: (events, caller) => startChild({ ...command, env: { ...command.env, ...variablesOf?.(caller) } }, events, { limits, log, name }),
    isPerCaller: takesHeaders,
    now,
    random: Math.random,
  })
  return connectPipes({
    ...options,
    ...starts,
    // What nobody has said anything to is nobody's child: none is started before somebody comes.
    hasSpare: !takesHeaders,
    // What a child kept for one session alone is gone with it, and the end of the session says so. One of several serves the others on.
    isLasting: isolation !== 'session',
  })
}
