// Each owner's session with one server: found, or opened with the first call that needs it.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Caller } from '../protocol/caller.ts'
import type { ForwardedHeaders, MessageUpstream } from '../protocol/exchange.ts'
import type { SessionValue, Sessions } from '../protocol/session.ts'
import { openToolSession, type ToolSession } from './session.ts'

/** What has a place among sessions while it is opened, too. */
export interface RestSession extends SessionValue {
  ready(): Promise<ToolSession>
}

export interface OwnersOptions {
  upstream(): MessageUpstream | Promise<MessageUpstream>
  sessions: Sessions<RestSession>
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
      if (found) {
        const release = found.hold()
        return { session: await found.value.ready(), release }
      }
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
    const stop = new AbortController()
    let ready: Promise<ToolSession> | undefined
    // It has its place before anything is asked of the server: whoever has too many costs nothing more.
    const entry = sessions.open(caller, {
      ready: () => ready ?? Promise.reject(new OpenMcpError('internal', 'a session is used before it is opened')),
      async close() {
        forget()
        stop.abort()
        const session = await ready?.catch(() => undefined)
        await session?.close()
      },
    })
    const end = (): void => {
      forget()
      void sessions.end(entry)
    }
    // While it is opened it does not lie idle.
    const release = entry.hold()
    const begin = async (): Promise<ToolSession> => openToolSession({ upstream: await upstream(), caller, headers, ended: end, signal: stop.signal, log, now })
    ready = begin()
    try {
      await ready
    } catch (error) {
      end()
      throw error
    } finally {
      release()
    }
    return entry.id
  }
}
