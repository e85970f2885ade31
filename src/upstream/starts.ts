// The starts of one command. A program that ends as soon as it is started, again and again, is not started for everybody who asks.
import { OpenMcpError } from '../errors.ts'
import type { Caller } from '../protocol/caller.ts'
import { createBackOff, FIRST_WAIT_MS, type BackOff } from './back-off.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'

export interface Starts {
  /** A child; or, while none is started, a pipe that ends at once with the reason. */
  open(events: PipeEvents, caller?: Caller): OpenedPipe
  /** Why the last one came to nothing; undefined: it did not. */
  failure(): OpenMcpError | undefined
  /** How long to wait before one is started that nobody has asked for. */
  waitMs(): number
}

export interface StartsOptions {
  start: (events: PipeEvents, caller?: Caller) => OpenedPipe
  /** What each caller says makes another child of it: it may be at fault, and others are not. */
  isPerCaller: boolean
  now: () => number
  random: () => number
}

/** The first end at once may be an accident. */
const FORGIVEN = 1
const LONGEST_MS = 60_000
/** A child that says nothing before it is asked, and is there after so long, is well. */
const STEADY_MS = 5000
/** What a program prints before it fails is no message. */
const MESSAGE = 123 // {
/** Callers whose failures are remembered. */
const CALLERS_KEPT = 1000

export function createStarts({ start, isPerCaller, now, random }: StartsOptions): Starts {
  const waits = new Map<string, { backOff: BackOff; why: OpenMcpError | undefined }>()
  let failure: OpenMcpError | undefined

  function waitOf(caller: Caller | undefined): { backOff: BackOff; why: OpenMcpError | undefined } {
    const key = (isPerCaller && caller?.owner) || ''
    const known = waits.get(key)
    if (known) return known
    const made = { backOff: createBackOff({ forgiven: FORGIVEN, longestMs: LONGEST_MS, now, random }), why: undefined }
    waits.set(key, made)
    for (const oldest of waits.keys()) if (waits.size > CALLERS_KEPT) waits.delete(oldest)
    return made
  }

  return {
    open(events, caller) {
      const wait = waitOf(caller)
      const leftMs = wait.backOff.untilMs - now()
      if (leftMs > 0 && wait.why) return notStarted(wait.why, leftMs, events)
      let state: 'new' | 'well' | 'over' = 'new'
      const well = (): void => {
        if (state !== 'new') return
        state = 'well'
        wait.backOff.works()
        failure = undefined
      }
      const pipe = start(
        {
          ...events,
          line(bytes) {
            if (bytes[0] === MESSAGE) well()
            events.line(bytes)
          },
          ended(error) {
            clearTimeout(steady)
            if (state === 'new') {
              wait.backOff.failed()
              wait.why = error
              if (!isPerCaller || error.code === 'command_not_found') failure = error
            }
            state = 'over'
            events.ended(error)
          },
        },
        caller,
      )
      const steady = setTimeout(well, STEADY_MS)
      steady.unref()
      return {
        started: pipe.started,
        awake: pipe.awake,
        send: pipe.send,
        get bufferedBytes() {
          return pipe.bufferedBytes
        },
        close(graceSeconds) {
          // Whoever is told to end has not failed.
          if (state === 'new') state = 'over'
          return pipe.close(graceSeconds)
        },
      }
    },
    failure: () => failure,
    waitMs: () => Math.max(FIRST_WAIT_MS * (1 + random() / 2), waitOf(undefined).backOff.untilMs - now()),
  }
}

/** Told as if it had been started and had ended: for the same reason as the last one. */
function notStarted({ code, message, hint }: OpenMcpError, leftMs: number, events: PipeEvents): OpenedPipe {
  const error = new OpenMcpError(code, `${message}; it is not started again for ${Math.ceil(leftMs / 1000)} s`, hint === undefined ? {} : { hint })
  let isClosed = false
  const started = Promise.reject(error)
  started.catch(() => isClosed || events.ended(error))
  return {
    started,
    send: () => {},
    bufferedBytes: 0,
    close() {
      isClosed = true
      return Promise.resolve()
    },
  }
}
