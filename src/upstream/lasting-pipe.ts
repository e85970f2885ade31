// A pipe that outlives its other side: when that is gone, the next message opens another one and brings it to where the client
// believes it to be: initialised as it was, at the same log level, with the same subscriptions.
//
// What was in flight is not sent again: it may have been done.
import { OpenMcpError } from '../errors.ts'
import type { Log } from '../observe/log.ts'
import { jsonIn } from '../protocol/json.ts'
import type { Caller } from '../protocol/caller.ts'
import { isObject, type JsonObject } from '../protocol/message.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

export interface LastingPipeOptions {
  /** How often it is tried to open another one for one message, when nobody is there. */
  attempts: number
  /** Before the second try; doubled with each that follows. */
  delayMs: number
  log: Log
  now: () => number
}

type Open = (events: PipeEvents, caller?: Caller) => OpenedPipe

/** Ids of ours, which no client gets an answer to. */
const AGAIN = 'openmcp:again'
/** A server that ends again and again is not started for ever: after so many within a minute its end is told. */
const MOST_PER_MINUTE = 5
const MINUTE_MS = 60_000
/** An answer to `initialize` is small. */
const OPENING_BYTES = 256 * 1024
/** What has to be said again. The rest of the message is read only where this is found. */
const KEPT = /"method":"(?:initialize|logging\/setLevel|resources\/(?:un)?subscribe)"/

export function createLastingPipe(open: Open, { attempts, delayMs, log, now }: LastingPipeOptions): Open {
  return (events, caller) => {
    let state: 'first' | 'running' | 'lost' | 'opening' | 'over' = 'first'
    let pipe: OpenedPipe
    let queue: { line: string; undelivered: ((error: OpenMcpError) => void) | undefined }[] = []
    let timer: NodeJS.Timeout | undefined
    let losses: number[] = []
    /** What the client has said, and what the server has answered to it. */
    let initialize: JsonObject | undefined
    let answered: JsonObject | undefined
    let level: JsonObject | undefined
    const subscriptions = new Map<string, JsonObject>()

    function note(line: string): void {
      if (!KEPT.test(line)) return
      const message = jsonIn(line)
      if (!isObject(message)) return
      const uri = isObject(message['params']) ? message['params']['uri'] : undefined
      if (message['method'] === 'initialize') initialize = message
      else if (message['method'] === 'logging/setLevel') level = message
      else if (message['method'] === 'resources/subscribe' && typeof uri === 'string') subscriptions.set(uri, message)
      else if (message['method'] === 'resources/unsubscribe' && typeof uri === 'string') subscriptions.delete(uri)
    }

    /** The other side is that of now as long as this is true: one that was left may still speak. */
    function eventsOf(isNow: () => boolean, left: number): PipeEvents {
      return {
        line(bytes) {
          if (!isNow()) return
          if (state === 'first' || state === 'opening') return beginning(bytes)
          if (losses.length === 0 || !isAnswerToUs(bytes)) events.line(bytes)
        },
        tooLong: (head, tail) => isNow() && events.tooLong(head, tail),
        ended(error) {
          if (!isNow()) return
          if (state === 'opening') return notOpened(error, left)
          if (state === 'first' || isTooOften()) return over(error)
          state = 'lost'
          log.warn(`${error.message}; it is started or connected to again with the next message`)
          events.interrupted?.(
            new OpenMcpError(error.code, `${error.message}; whether this was done before is not known`, {
              ...(error.hint !== undefined && { hint: error.hint }),
            }),
          )
        },
      }
    }

    function isTooOften(): boolean {
      losses = [...losses.filter((at) => at > now() - MINUTE_MS), now()]
      return losses.length > MOST_PER_MINUTE
    }

    /** Until the answer to `initialize`: of the client's own, or of ours. */
    function beginning(bytes: Buffer): void {
      const message = bytes.length > OPENING_BYTES ? undefined : jsonIn(bytes.toString())
      const id = isObject(message) ? message['id'] : undefined
      const result = isObject(message) && isObject(message['result']) ? message['result'] : undefined
      if (state === 'first') {
        if (initialize && id === initialize['id'] && result) {
          answered = result
          state = 'running'
        }
        return events.line(bytes)
      }
      if (id !== AGAIN) return events.line(bytes)
      if (!result || result['protocolVersion'] !== answered?.['protocolVersion']) {
        return over(new OpenMcpError('upstream_broke', 'the server came back as another one: it does not speak the revision that was agreed on'))
      }
      answered = result
      goOn(result)
    }

    function goOn(result: JsonObject): void {
      pipe.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
      for (const [index, message] of [...(level ? [level] : []), ...subscriptions.values()].entries())
        pipe.send(JSON.stringify({ ...message, id: `${AGAIN}:${index}` }))
      state = 'running'
      const waiting = queue
      queue = []
      for (const { line, undelivered } of waiting) pipe.send(line, undelivered)
      // What it has may be another than it was.
      for (const family of ['tools', 'resources', 'prompts']) {
        const capabilities = isObject(result['capabilities']) ? result['capabilities'][family] : undefined
        if (isObject(capabilities) && capabilities['listChanged'] === true) {
          events.line(Buffer.from(JSON.stringify({ jsonrpc: '2.0', method: `notifications/${family}/list_changed` })))
        }
      }
    }

    function again(left: number): void {
      state = 'opening'
      let isNow = true
      const fresh = open(
        eventsOf(() => isNow && pipe === fresh, left),
        caller,
      )
      pipe = fresh
      fresh.started.catch(() => {}) // told through `ended` as well
      if (state !== 'opening') isNow = false
      else fresh.send(JSON.stringify({ ...initialize, id: AGAIN }))
    }

    function notOpened(error: OpenMcpError, left: number): void {
      if (left > 0) {
        timer = setTimeout(() => again(left - 1), delayMs * 2 ** (attempts - left))
        return
      }
      queue = []
      state = 'lost'
      events.interrupted?.(error)
    }

    function over(error: OpenMcpError): void {
      if (state === 'over') return
      state = 'over'
      queue = []
      clearTimeout(timer)
      void pipe.close()
      events.ended(error)
    }

    const first = open(
      eventsOf(() => pipe === first, 0),
      caller,
    )
    pipe = first
    return {
      started: first.started,
      send(line, undelivered) {
        if (state === 'over') return
        note(line)
        if (state === 'first' || state === 'running') return pipe.send(line, undelivered)
        queue.push({ line, undelivered })
        if (state === 'lost') again(attempts)
      },
      get bufferedBytes() {
        return pipe.bufferedBytes + queue.reduce((sum, { line }) => sum + line.length, 0)
      },
      async close(graceSeconds) {
        state = 'over'
        queue = []
        clearTimeout(timer)
        await pipe.close(graceSeconds)
      },
    }
  }
}

function isAnswerToUs(bytes: Buffer): boolean {
  // Only what is short can be one.
  if (bytes.length > 4096 || !bytes.includes(AGAIN)) return false
  const message = jsonIn(bytes.toString())
  const id = isObject(message) && message['method'] === undefined ? message['id'] : undefined
  return typeof id === 'string' && id.startsWith(`${AGAIN}:`)
}
