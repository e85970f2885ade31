// Servers that are spoken with over connections, as one upstream: each session has a connection to one of them, new ones go where there
// is least to do, and those that are away are left alone until they answer again.
import { OpenMcpError, toOpenMcpError } from '../errors.ts'
import { createEndpoints, type Endpoints } from './endpoints.ts'
import type { Connection, ConnectOptions, Credential, SocketServer } from './options.ts'
import type { OpenedPipe, PipeEvents } from './pipe.ts'
import { connectPipes } from './pipes.ts'
import { openSocket } from './socket.ts'

type Endpoint = Omit<SocketServer, 'others' | 'fallbacks'>

const PROBE_MS = 1000

/** What cannot be reached at start is tried again with every session, and by probe. */
export function connectSockets(target: SocketServer, options: ConnectOptions): Connection {
  const { limits, log, now } = options
  const { others = [], fallbacks = [], ...one } = target
  const named = (url: URL): Endpoint => ({ ...one, url })
  // One of another origin that is no endpoint is told nothing but what the client says.
  const fallback = (url: URL): Endpoint => (originOf(url) === originOf(one.url) ? named(url) : { ...one, url, headers: {} })
  // What proves us to one proves us to nobody else.
  const credentialFor = ({ url }: Endpoint): Credential | undefined => (originOf(url) === originOf(one.url) ? options.credential : undefined)
  const tiers = [[one.url, ...others].map(named), ...fallbacks.map((url) => [fallback(url)])]
  const endpoints = createEndpoints(tiers, { now, random: Math.random })
  let failure: OpenMcpError | undefined
  const works = (): void => void (failure = undefined)

  const prober = setInterval(() => {
    for (const endpoint of endpoints.due()) probe(endpoint, endpoints, options, works)
  }, PROBE_MS)
  prober.unref()
  const connection = connectPipes({
    ...options,
    open(events) {
      const pipe = openAmong(endpoints, events, (endpoint, heard) => openSocket(endpoint, heard, limits, credentialFor(endpoint)))
      pipe.started.then(works, (error: OpenMcpError) => (failure = error)) // it fails with nothing else
      return pipe
    },
    failure: () => failure,
    hasSpare: true,
    isLasting: true,
  })
  const started = connection.started.catch((thrown: unknown) => {
    const error = toOpenMcpError(thrown)
    log.warn(`${error.message}; every session will try again`, { hint: error.hint })
  })
  return {
    ...connection,
    started,
    state: () => (failure ? 'unreachable' : connection.state()),
    async close(graceSeconds) {
      clearInterval(prober)
      await connection.close(graceSeconds)
    },
  }
}

/** A `tcp:` or `ws:` URL has no origin of its own to compare. */
function originOf({ protocol, host }: URL): string {
  return `${protocol}//${host}`
}

/** A connection to the first that takes one. What is sent before waits for it. */
function openAmong(endpoints: Endpoints<Endpoint>, events: PipeEvents, open: (endpoint: Endpoint, events: PipeEvents) => OpenedPipe): OpenedPipe {
  const tried = new Set<Endpoint>()
  let waiting: string[] | undefined = []
  let current: { pipe: OpenedPipe; over: () => void } | undefined
  let isClosed = false
  let settle: { resolve(): void; reject(error: OpenMcpError): void } | undefined
  const started = new Promise<void>((resolve, reject) => (settle = { resolve, reject }))
  started.catch(() => {}) // told through `ended` as well

  function next(reason: OpenMcpError): void {
    const endpoint = endpoints.pick(tried)
    if (!endpoint) {
      settle?.reject(reason)
      return events.ended(reason)
    }
    tried.add(endpoint)
    const over = endpoints.begin(endpoint)
    let isOpen = false
    const pipe = open(endpoint, {
      ...events,
      ended(error) {
        over()
        if (isClosed) return
        if (isOpen) return events.ended(error)
        endpoints.failed(endpoint)
        next(error)
      },
    })
    current = { pipe, over }
    pipe.started.then(
      () => {
        isOpen = true
        endpoints.works(endpoint)
        for (const line of waiting ?? []) pipe.send(line)
        waiting = undefined
        settle?.resolve()
      },
      () => {}, // told through `ended`
    )
  }

  next(new OpenMcpError('internal', 'an upstream without an endpoint'))
  return {
    started,
    send(line, undelivered) {
      if (waiting) waiting.push(line)
      else current?.pipe.send(line, undelivered)
    },
    get bufferedBytes() {
      return (waiting ?? []).reduce((sum, line) => sum + line.length, current?.pipe.bufferedBytes ?? 0)
    },
    async close(graceSeconds) {
      isClosed = true
      current?.over()
      await current?.pipe.close(graceSeconds)
    },
  }
}

/** Whoever takes a connection is there, and so is whoever wants to know first who we are. */
function probe(endpoint: Endpoint, endpoints: Endpoints<Endpoint>, { limits }: ConnectOptions, works: () => void): void {
  const pipe = openSocket(endpoint, { line: () => {}, tooLong: () => {}, ended: () => {} }, limits)
  const isThere = (): void => {
    endpoints.works(endpoint)
    works()
  }
  pipe.started.then(
    () => {
      isThere()
      return pipe.close()
    },
    ({ code }: OpenMcpError) => (code === 'upstream_refused' ? isThere() : endpoints.failed(endpoint)), // it fails with nothing else
  )
}
