// Each owner's session with one server: found, or opened with the first call that needs it.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { ForwardedHeaders, MessageUpstream } from '../protocol/exchange.ts'
import type { Sessions } from '../protocol/session.ts'
import { openToolSession, type ToolSession } from './session.ts'

export interface OwnersOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  sessions: Sessions<ToolSession>
  log: Log
  now: () => number
}

export interface Held {
  readonly session: ToolSession
  release(): void
}

const MOST_ATTEMPTS = 3

/** Held until it is released: with a call in flight it is not idle. Callers of one owner who say other things to the server by headers share none. */
export function createOwners({ upstream, sessions, log, now }: OwnersOptions): (caller: Caller, headers: ForwardedHeaders) => Promise<Held> {
  const ids = new Map<string, Promise<string>>()

  return async (caller, headers) => {
    const key = JSON.stringify([caller.owner, headers])
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const opening = ids.get(key) ?? opened(key, caller, headers)
      const found = sessions.find(caller, await opening)
      if (found) return { session: found.value, release: found.hold() }
      // It was idle for too long, or made room.
      if (ids.get(key) === opening) ids.delete(key)
    }
    throw new OpenMcpError('busy', 'the session with the server was ended as soon as it was open', { hint: 'try again later' })
  }

  function opened(key: string, caller: Caller, headers: ForwardedHeaders): Promise<string> {
    const forget = (): void => void (ids.get(key) === opening && ids.delete(key))
    const opening = open(caller, headers, forget)
    ids.set(key, opening)
    opening.catch(forget)
    return opening
  }

  async function open(caller: Caller, headers: ForwardedHeaders, forget: () => void): Promise<string> {
    let end = (): void => {}
    const ended = (): void => {
      forget()
      end()
    }
    const session = await openToolSession({ upstream: await upstream(), caller, headers, ended, log, now })
    const close = async (): Promise<void> => {
      forget()
      await session.close()
    }
    try {
      const entry = sessions.open(caller, { ...session, close })
      end = (): void => void sessions.end(entry)
      return entry.id
    } catch (error) {
      await session.close()
      throw error
    }
  }
}
