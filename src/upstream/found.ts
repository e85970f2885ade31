// An upstream that has to be found first: looked for at start, and, while it is not found, by whoever needs it.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import type { Connection } from './options.ts'
import type { Remote } from './over-http.ts'

export interface Finding {
  find(): Promise<Remote>
  /** What is waited for at start, when that is not the whole look. */
  first?(): Promise<unknown>
  /** What is said when it was not found: who will try again. */
  again: string
  /** No later try will mend it: it is told at start. */
  isForGood(error: OpenMcpError): boolean
  log: Log
}

export function connectFound({ find, first, again, isForGood, log }: Finding): Connection {
  let found: Remote | undefined
  let finding: Promise<Remote> | undefined
  let failure: OpenMcpError | undefined

  async function search(): Promise<Remote> {
    try {
      found = await find()
      failure = undefined
      return found
    } catch (thrown) {
      failure = toOpenMcpError(thrown)
      throw failure
    } finally {
      finding = undefined
    }
  }
  const look = (): Promise<Remote> => (finding ??= search())
  function away(thrown: unknown): void {
    failure = toOpenMcpError(thrown)
    // The caller hears of it, who alone can do something about it.
    if (failure.code === 'login_needed') return
    log.warn(`${failure.message}; ${again}`, { hint: failure.hint })
  }
  async function start(): Promise<void> {
    try {
      await (first ? first() : look())
      if (first) void look().catch(away)
    } catch (thrown) {
      if (isForGood(toOpenMcpError(thrown))) throw thrown
      away(thrown)
    }
  }
  const started = start()
  // Whoever starts with it waits for it.
  started.catch(() => {})

  return {
    upstream: () => found?.upstream ?? look().then(({ upstream }) => upstream),
    messages: () => found?.messages ?? look().then(({ messages }) => messages),
    started,
    state() {
      if (found) return found.isUp?.() === false || found.failure?.() ? 'unreachable' : 'running'
      return failure ? 'unreachable' : 'connecting'
    },
    failure: () => (found ? found.failure?.() : failure),
    pipes: () => found?.pipes() ?? 0,
    endOf: async (isOver) => found?.endOf(isOver),
    async close(graceSeconds) {
      await found?.close(graceSeconds)
    },
  }
}
